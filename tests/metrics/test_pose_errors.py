"""ADD and ADD-S: by hand, against brute force, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from selfpose6d.metrics.pose_errors import POSES_PER_CHUNK, add, adds, least_add

CORNERS_M = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]) * 0.05


def random_poses(rng: np.random.Generator, count: int) -> np.ndarray:
    T = np.tile(np.eye(4), (count, 1, 1))
    T[:, :3, :3] = Rotation.random(count, rng=rng).as_matrix()
    T[:, :3, 3] = rng.uniform((-0.1, -0.1, 0.9), (0.1, 0.1, 1.1), (count, 3))
    return T


def brute_force_adds(T_est: np.ndarray, T_true: np.ndarray, points_m: np.ndarray) -> float:
    est = points_m @ T_est[:3, :3].T + T_est[:3, 3]
    true = points_m @ T_true[:3, :3].T + T_true[:3, 3]
    return np.linalg.norm(true[:, None] - est[None], axis=-1).min(axis=1).mean()


def test_translation_alone_moves_every_point_by_its_length():
    T_true, T_est = np.eye(4)[None], np.eye(4)[None].copy()
    T_est[0, :3, 3] = (0.003, 0, 0.004)
    assert add(T_est, T_true, CORNERS_M) == pytest.approx([0.005])
    assert adds(T_est, T_true, CORNERS_M) == pytest.approx([0.005])


def test_quarter_turn_of_a_square_costs_add_but_not_adds():
    T_est = np.eye(4)[None].copy()
    T_est[0, :3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    assert add(T_est, np.eye(4)[None], CORNERS_M) == pytest.approx([0.05 * np.sqrt(2)])
    assert adds(T_est, np.eye(4)[None], CORNERS_M) == pytest.approx([0], abs=1e-12)


def test_adds_goes_from_true_to_estimated_points():
    """A lone far point counts once: with the roles swapped the value would differ."""
    points_m = np.array([[0.0, 0, 0], [0.01, 0, 0], [0.05, 0, 0]])
    T_est = np.eye(4)[None].copy()
    T_est[0, 0, 3] = 0.04
    # True x: 0, 10, 50 mm; estimated x: 40, 50, 90 mm. Nearest: 40, 30, 0.
    assert adds(T_est, np.eye(4)[None], points_m) == pytest.approx([0.07 / 3])
    assert adds(np.eye(4)[None], T_est, points_m) == pytest.approx([(0.01 + 0 + 0.04) / 3])


def test_agrees_with_brute_force_over_several_chunks():
    rng = np.random.default_rng(3)
    count = POSES_PER_CHUNK + 3
    points_m = rng.normal(0, 0.04, (60, 3))
    T_est, T_true = random_poses(rng, count), random_poses(rng, count)
    expected = [brute_force_adds(e, t, points_m) for e, t in zip(T_est, T_true, strict=True)]
    np.testing.assert_allclose(adds(T_est, T_true, points_m), expected, rtol=1e-9)
    moved = [points_m @ T[:, :3, :3].swapaxes(1, 2) + T[:, None, :3, 3] for T in (T_est, T_true)]
    np.testing.assert_allclose(
        add(T_est, T_true, points_m), np.linalg.norm(moved[0] - moved[1], axis=-1).mean(1)
    )


@given(seed=st.integers(0, 2**16))
@settings(max_examples=20, deadline=None)
def test_camera_motion_changes_nothing_and_adds_is_the_smaller(seed):
    rng = np.random.default_rng(seed)
    points_m = rng.normal(0, 0.05, (30, 3))
    T_est, T_true, T_world_cam = random_poses(rng, 3)[:, None]
    for metric in (add, adds):
        moved = metric(T_world_cam @ T_est, T_world_cam @ T_true, points_m)
        np.testing.assert_allclose(moved, metric(T_est, T_true, points_m), atol=1e-12)
        np.testing.assert_allclose(metric(T_true, T_true, points_m), 0, atol=1e-12)
    assert (adds(T_est, T_true, points_m) <= add(T_est, T_true, points_m) + 1e-12).all()


def test_missing_estimate_is_infinitely_far():
    T_true = np.tile(np.eye(4), (2, 1, 1))
    T_est = T_true.copy()
    T_est[0] = np.nan
    for metric in (add, adds):
        assert metric(T_est, T_true, CORNERS_M).tolist() == [np.inf, 0.0]


def test_no_poses_give_no_distances():
    none = np.empty((0, 4, 4))
    assert add(none, none, CORNERS_M).shape == adds(none, none, CORNERS_M).shape == (0,)


def test_single_precision_is_accepted():
    T_true = np.eye(4, dtype=np.float32)[None]
    T_est = T_true.copy()
    T_est[0, 0, 3] = 0.01
    assert adds(T_est, T_true, CORNERS_M.astype(np.float32)) == pytest.approx([0.01], rel=1e-5)


def quarter_turns() -> np.ndarray:
    T_obj_sym = np.tile(np.eye(4), (4, 1, 1))
    T_obj_sym[:, :3, :3] = Rotation.from_euler("z", [[0], [90], [180], [270]], degrees=True).as_matrix()
    return T_obj_sym


def test_a_declared_turn_costs_nothing_another_one_its_least():
    T_obj_sym, T_true = quarter_turns(), np.eye(4)[None]
    assert least_add(T_obj_sym[1:2], T_true, CORNERS_M, T_obj_sym) == pytest.approx([0], abs=1e-12)
    T_est = np.eye(4)[None].copy()
    T_est[0, :3, :3] = Rotation.from_euler("z", 100, degrees=True).as_matrix()
    # 10 degrees from the nearest: every corner, 5 cm out, moves by a chord.
    assert least_add(T_est, T_true, CORNERS_M, T_obj_sym) == pytest.approx([0.1 * np.sin(np.radians(5))])
    # Half turns alone leave 80 degrees.
    assert least_add(T_est, T_true, CORNERS_M, T_obj_sym[::2]) == pytest.approx(
        [0.1 * np.sin(np.radians(40))]
    )


def test_least_add_is_between_adds_and_add_and_add_for_the_identity_alone():
    rng = np.random.default_rng(7)
    T_est, T_true = random_poses(rng, 9), random_poses(rng, 9)
    T_est[4, 0, 0] = np.nan
    least = least_add(T_est, T_true, CORNERS_M, quarter_turns())
    assert (adds(T_est, T_true, CORNERS_M) <= least + 1e-12).all()
    assert (least <= add(T_est, T_true, CORNERS_M)).all()
    assert least[4] == np.inf
    np.testing.assert_array_equal(
        least_add(T_est, T_true, CORNERS_M, np.eye(4)[None]), add(T_est, T_true, CORNERS_M)
    )


@pytest.mark.parametrize("defect", [0.0, 1e-9, 1e-4, 5e-3, 0.05])
def test_adds_never_exceeds_add_whatever_the_matrices_are(defect):
    """Also of pure rounding: estimates equal to the truth, and matrices that are no rotations."""
    generator = np.random.default_rng(3)
    points_m = generator.uniform(-0.1, 0.1, (200, 3))
    true = np.tile(np.eye(4), (300, 1, 1))
    true[:, :3, :3] = Rotation.random(300, random_state=4).as_matrix()
    true[:, :3, 3] = (0.1, 0.2, 1.0)
    estimate = true.copy()
    estimate[:, :3, :3] += defect * generator.uniform(-1, 1, (300, 3, 3))
    estimate[:100, :3, 3] += 1e-9
    assert (adds(estimate, true, points_m) <= add(estimate, true, points_m)).all()
