"""Camera poses: where they look from and to."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.synthetic.cameras import K_YCB_VIDEO, all_around, direction, look_at, orbit

TARGET_M = np.array([0.1, -0.2, 0.1])


def eye_m(T_cam_world: np.ndarray) -> np.ndarray:
    return -T_cam_world[:3, :3].T @ T_cam_world[:3, 3]


def test_a_camera_south_of_the_target_sees_up_as_up() -> None:
    T_cam_world = look_at(np.array([0.0, -1.0, 0.0]), np.zeros(3))
    expected = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    np.testing.assert_allclose(T_cam_world[:3, :3], expected, atol=1e-12)
    np.testing.assert_allclose(T_cam_world[:3, 3], [0, 0, 1], atol=1e-12)


@given(st.floats(0, 6.28), st.floats(0.1, 1.4), st.floats(0.3, 3), st.floats(-3, 3))
def test_target_is_straight_ahead(azimuth: float, elevation: float, distance_m: float, roll: float) -> None:
    eye = TARGET_M + distance_m * direction(azimuth, elevation)
    T_cam_world = look_at(eye, TARGET_M, roll)
    seen_m = T_cam_world[:3, :3] @ TARGET_M + T_cam_world[:3, 3]
    np.testing.assert_allclose(seen_m, [0, 0, distance_m], atol=1e-9)
    np.testing.assert_allclose(T_cam_world[:3, :3] @ T_cam_world[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(T_cam_world[:3, :3]) > 0


def test_all_around_keeps_its_limits_and_covers_every_heading() -> None:
    cameras = all_around(range(200), TARGET_M, np.random.default_rng(0))
    offset = np.array([eye_m(T) for T in cameras]) - TARGET_M
    distance_m = np.linalg.norm(offset, axis=1)
    elevation_deg = np.degrees(np.arcsin(offset[:, 2] / distance_m))
    assert distance_m.min() >= 0.6 - 1e-9
    assert distance_m.max() <= 1.1 + 1e-9
    assert elevation_deg.min() >= 15 - 1e-6
    assert elevation_deg.max() <= 70 + 1e-6
    heading = np.sort(np.arctan2(offset[:, 1], offset[:, 0]))
    assert np.diff(heading).max() < np.radians(10)


def test_orbit_moves_in_small_steps_and_keeps_the_target_in_view() -> None:
    cameras = orbit(8, TARGET_M, np.random.default_rng(1))
    eyes = np.array([eye_m(T) for T in cameras])
    assert np.linalg.norm(np.diff(eyes, axis=0), axis=1).max() < 0.9
    for T in cameras:
        seen = K_YCB_VIDEO @ (T[:3, :3] @ TARGET_M + T[:3, 3])
        assert 160 < seen[0] / seen[2] < 480
        assert 120 < seen[1] / seen[2] < 360
    assert len(orbit(1, TARGET_M, np.random.default_rng(1))) == 1
