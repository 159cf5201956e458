"""The sensor model: noise grows with distance, depth is lost where real sensors lose it."""

import numpy as np
import pytest

from selfpose6d.synthetic.sensor import (
    DEPTH_UNITS_PER_M,
    SensorModel,
    draw_sensor,
    measure_depth,
    take_image,
)

SHAPE = (120, 160)


@pytest.fixture(scope="module")
def sensor() -> SensorModel:
    return draw_sensor(*SHAPE, np.random.default_rng(0))


def measured_m(sensor: SensorModel, depth_m: np.ndarray, incidence: float = 1.0) -> np.ndarray:
    flat = np.full(SHAPE, incidence, np.float32)
    return (
        measure_depth(depth_m.astype(np.float32), flat, sensor, np.random.default_rng(1)) / DEPTH_UNITS_PER_M
    )


def test_noise_grows_with_the_square_of_the_distance(sensor: SensorModel) -> None:
    spread = {}
    for distance_m in (0.5, 1.0, 2.0):
        error = measured_m(sensor, np.full(SHAPE, distance_m)) - distance_m
        spread[distance_m] = error[error > -0.4].std()
        assert abs(error[error > -0.4].mean()) < 0.002
    assert 0.0008 < spread[1.0] < 0.004
    assert 2.5 < spread[2.0] / spread[1.0] < 4.5


def test_depth_is_quantised_in_disparity(sensor: SensorModel) -> None:
    values = np.unique(measured_m(sensor, np.full(SHAPE, 1.5)))
    steps = np.diff(values[values > 1])
    assert steps.min() > 0.8 * 1.4**2 / sensor.disparity_m


def test_grazing_surfaces_edges_and_far_surfaces_are_lost(sensor: SensorModel) -> None:
    flat = np.full(SHAPE, 1.0)
    assert (measured_m(sensor, flat, incidence=0.9) > 0).mean() > 0.99
    assert (measured_m(sensor, flat, incidence=0.02) > 0).mean() < 0.1
    assert not measured_m(sensor, np.full(SHAPE, 4.5)).any()
    step = flat.copy()
    step[:, 80:] = 0.7
    kept = measured_m(sensor, step) > 0
    assert kept[:, 79:81].mean() < 0.5
    assert kept[:, [70, 90]].mean() > 0.95


def test_image_keeps_its_mean_and_gets_noise(sensor: SensorModel) -> None:
    grey = np.full((*SHAPE, 3), 128, np.uint8)
    image = take_image(grey, sensor, np.random.default_rng(2))
    assert image.mean() == pytest.approx(128, abs=0.5)
    assert 0.5 < image.std() < 5
    again = take_image(grey, sensor, np.random.default_rng(2))
    assert np.array_equal(image, again)
