"""The depth noise that a frame shows: of planes with known noise, of frames without any, of frames too small."""

import numpy as np
import pytest

from labeling.conftest import rendered_frame, tilted_pose
from selfpose6d.labeling.noise import DEFAULT_PER_M, FLOOR_PER_M, known_noise, measure_noise
from selfpose6d.labeling.observation import ObservedFrame

HEIGHT, WIDTH = 240, 320


def plane_m(distance_m: float, slope: float = 0.4) -> np.ndarray:
    """A plane whose inverse depth changes by `slope` of itself from one side of the image to the other."""
    across = np.linspace(-0.5, 0.5, WIDTH)
    return np.broadcast_to(distance_m / (1 + slope * across), (HEIGHT, WIDTH)).copy()


def noisy(depth_m: np.ndarray, per_m: float, seed: int = 0) -> np.ndarray:
    """White noise of `per_m` metres at 1 m, growing with the square of the distance."""
    white = np.random.default_rng(seed).normal(size=depth_m.shape)
    return (depth_m + per_m * depth_m**2 * white).astype(np.float32)


@pytest.mark.parametrize("distance_m", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("per_m", [0.001, 0.004])
def test_a_planes_noise_is_measured_to_a_quarter(distance_m, per_m):
    found = measure_noise(noisy(plane_m(distance_m), per_m))
    assert found.at(distance_m) == pytest.approx(per_m * distance_m**2, rel=0.25)


def test_objects_before_the_plane_hardly_change_it():
    depth_m = plane_m(1.0)
    depth_m[60:180, 100:220] = 0.8
    depth_m[:40, :40] = 0
    found = measure_noise(noisy(depth_m, 0.002) * (depth_m > 0))
    assert found.at(1.0) == pytest.approx(0.002, rel=0.25)


def test_near_and_far_are_told_apart():
    """Of a sensor whose noise does not grow with the square of the distance."""
    near, far = noisy(plane_m(0.5, 0.1), 0.004), noisy(plane_m(2.0, 0.1), 0.001)
    found = measure_noise(np.concatenate([near, far]))
    assert found.at(0.5) == pytest.approx(0.004 * 0.25, rel=0.25)
    assert found.at(2.0) == pytest.approx(0.001 * 4, rel=0.25)


@pytest.mark.parametrize("distance_m", [0.5, 2.0])
def test_depth_without_noise_has_the_least_that_a_sensor_has(distance_m):
    found = measure_noise(plane_m(distance_m).astype(np.float32))
    assert found.at(distance_m) == pytest.approx(FLOOR_PER_M * distance_m**2)


def test_known_noise_is_the_same_everywhere():
    assert [known_noise(0.003).at(distance_m) for distance_m in (0.3, 1.0, 9.0)] == [0.003] * 3


@pytest.mark.parametrize("shape", [(1, 1), (12, 640), (480, 12)])
def test_images_too_small_to_measure_have_a_cameras_usual_noise(shape):
    found = measure_noise(np.ones(shape, np.float32))
    assert found.at(2.0) == pytest.approx(DEFAULT_PER_M * 4)


def test_depth_that_is_unknown_everywhere_has_a_cameras_usual_noise():
    assert measure_noise(np.zeros((48, 64), np.float32)).at(1.0) == pytest.approx(DEFAULT_PER_M)


def test_a_frame_is_measured_unless_its_noise_is_given(box):
    frame = rendered_frame(box, tilted_pose())
    frame.depth_m[:20] = np.nan
    measured, given = ObservedFrame.of(frame), ObservedFrame.of(frame, 0.007)
    assert measured.noise.at(1.6) == pytest.approx(FLOOR_PER_M * 1.6**2)
    assert given.noise.at(1.6) == 0.007
    assert (measured.depth_m[:20] == 0).all()
