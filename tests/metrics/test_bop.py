"""BOP's errors by hand, and its matching."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.metrics import bop
from selfpose6d.metrics.bop import VSD_TAUS, matched, mspd, mssd, vsd

K = np.array([[500.0, 0, 20], [0, 500, 15], [0, 0, 1]])
POINTS_M = np.array([[0.1, 0, 0], [-0.1, 0, 0], [0, 0.02, 0]])
NO_SYMMETRY = np.eye(4)[None]


def pose(z_m: float = 1.0, rotation_deg: float = 0.0, x_m: float = 0.0) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", rotation_deg, degrees=True).as_matrix()
    T[:3, 3] = (x_m, 0, z_m)
    return T


def half_rotation() -> np.ndarray:
    return np.stack([np.eye(4), pose(0.0, 180)])


def test_mssd_takes_the_worst_point():
    # Rotated by 180 degrees about z: the outer points move 0.2 m, the third 0.04 m.
    assert mssd(pose(rotation_deg=180), pose(), POINTS_M, NO_SYMMETRY) == pytest.approx(0.2)


def test_mssd_takes_the_best_symmetry():
    assert mssd(pose(rotation_deg=180, x_m=0.01), pose(), POINTS_M, half_rotation()) == pytest.approx(0.01)


def test_mspd_is_in_pixels_of_an_image_640_wide():
    assert mspd(pose(x_m=0.01), pose(), POINTS_M, NO_SYMMETRY, K, 640) == pytest.approx(5.0)
    assert mspd(pose(x_m=0.01), pose(), POINTS_M, NO_SYMMETRY, K, 1280) == pytest.approx(2.5)
    assert mspd(pose(rotation_deg=180), pose(), POINTS_M, half_rotation(), K, 640) == pytest.approx(
        0, abs=1e-9
    )


def plane(depth_m: float, columns: slice) -> np.ndarray:
    image = np.zeros((30, 40))
    image[10:20, columns] = depth_m
    return image


def test_vsd_is_zero_for_the_true_depth_and_counts_the_pixels_seen_by_one_only():
    true_m = plane(1.0, slice(10, 20))
    measured_m = np.where(true_m > 0, true_m, 2.0)
    np.testing.assert_array_equal(vsd(true_m, true_m, measured_m, K, 0.2), np.zeros(10))
    half_off_m = plane(1.0, slice(15, 25))
    # 10 of the 15 columns that either covers are covered by one alone.
    np.testing.assert_allclose(vsd(half_off_m, true_m, measured_m, K, 0.2), np.full(10, 10 / 15))


def test_vsd_tolerance_is_a_share_of_the_diameter():
    true_m = plane(1.0, slice(19, 22))
    error = vsd(true_m - (true_m > 0) * 0.03, true_m, np.where(true_m > 0, 1.0, 2.0), K, 0.2)
    # 30 mm along almost straight rays is 0.15 of the diameter: outside the first three tolerances.
    np.testing.assert_array_equal(error, (VSD_TAUS < 0.155).astype(float))


def test_vsd_leaves_out_what_an_occluder_hides_and_keeps_unknown_depth():
    true_m = plane(1.0, slice(10, 20))
    occluded_m = true_m.copy()
    occluded_m[:, 10:15] = 0.5
    wrong_where_hidden_m = true_m.copy()
    wrong_where_hidden_m[10:20, 10:15] = 1.2
    np.testing.assert_array_equal(vsd(wrong_where_hidden_m, true_m, occluded_m, K, 0.1), np.zeros(10))
    unknown_m = np.zeros_like(true_m)
    assert vsd(wrong_where_hidden_m, true_m, unknown_m, K, 0.1)[0] == pytest.approx(0.5)


def test_vsd_of_invisible_poses_is_one():
    nothing = np.zeros((30, 40))
    np.testing.assert_array_equal(vsd(nothing, nothing, nothing, K, 0.1), np.ones(10))


def test_matching_goes_by_score_and_by_threshold():
    errors = np.array([[[1.0, 2.0], [0.5, 3.0]]])
    scores = np.array([0.9, 0.1])
    # The better scored first estimate takes truth 0; the second is left with truth 1 at error 3.
    found = matched(errors.repeat(2, 0), scores, np.array([2.5, 3.5]))
    np.testing.assert_array_equal(found, [[True, False], [True, True]])
    # With the scores swapped, truth 0 goes to the second estimate and truth 1 to the first.
    np.testing.assert_array_equal(matched(errors, scores[::-1], np.array([2.5])), [[True, True]])


def test_matching_is_strict_and_takes_empty_sides():
    assert not matched(np.ones((1, 1, 1)), np.ones(1), np.ones(1)).any()
    assert matched(np.empty((2, 0, 3)), np.empty(0), np.ones(2)).shape == (2, 3)
    assert matched(np.empty((2, 3, 0)), np.ones(3), np.ones(2)).shape == (2, 0)


def test_thresholds_are_bops():
    for fractions in (VSD_TAUS, bop.VSD_THETAS, bop.MSSD_THETAS):
        np.testing.assert_allclose(fractions, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5])
    np.testing.assert_array_equal(bop.MSPD_THETAS_PX, [5, 10, 15, 20, 25, 30, 35, 40, 45, 50])
    assert bop.VSD_DELTA_M == 0.015


def test_mssd_of_a_translation_is_its_length():
    moved = pose()
    moved[:3, 3] += (0.03, 0.04, 0)
    assert mssd(moved, pose(), POINTS_M, NO_SYMMETRY) == pytest.approx(0.05)


def test_mspd_sees_no_motion_along_the_ray():
    """A point on the optical axis does not move in the image, one beside it does: 0.1 m at 1 m and at 1.25 m."""
    on_axis = np.zeros((1, 3))
    assert mspd(pose(1.25), pose(), on_axis, NO_SYMMETRY, K, 640) == pytest.approx(0)
    assert mspd(pose(1.25), pose(), POINTS_M, NO_SYMMETRY, K, 640) == pytest.approx(
        500 * 0.1 * (1 - 1 / 1.25)
    )


def test_an_axis_leaves_half_a_step_at_most():
    """Between two of BOP's 315 rotations: the point 0.1 m from the axis is 0.1 * 2 sin(a / 4) off."""
    axis = SymmetryGroup(np.empty((0, 4, 4)), (ContinuousSymmetry(np.array([0.0, 0, 1]), np.zeros(3)),))
    step_deg = 360 / 315
    T_obj_sym = axis.expand(315)
    assert mssd(pose(rotation_deg=7 * step_deg), pose(), POINTS_M, T_obj_sym) == pytest.approx(0, abs=1e-9)
    between = mssd(pose(rotation_deg=7.5 * step_deg), pose(), POINTS_M, T_obj_sym)
    assert between == pytest.approx(0.2 * np.sin(np.deg2rad(step_deg / 4)))


@pytest.mark.parametrize(("in_front_m", "hidden"), [(0.014, False), (0.016, True)])
def test_what_lies_15_mm_behind_the_measured_surface_is_still_visible(in_front_m, hidden):
    """Of a plane near the axis, where the ray is as long as the depth; invisible poses count as wrong."""
    true_m = plane(1.0, slice(19, 22))
    measured_m = np.where(true_m > 0, 1.0 - in_front_m, 2.0)
    np.testing.assert_array_equal(vsd(true_m, true_m, measured_m, K, 0.2), np.full(10, float(hidden)))


def test_vsd_measures_along_the_ray():
    """Far from the axis a step in depth is longer along the ray: 20 mm become 20 sqrt(1 + 0.75^2) = 25 mm."""
    wide_K = np.array([[20.0, 0, 0], [0, 20, 15], [0, 0, 1]])  # column 15: x / z = 0.75
    true_m = np.zeros((30, 40))
    true_m[15, 15] = 1.0
    error = vsd(true_m + (true_m > 0) * 0.02, true_m, true_m, wide_K, 0.2)
    # 25 mm of 200 mm: outside tolerances 0.05 and 0.1, inside 0.15 (by depth alone 0.1 would be the limit).
    np.testing.assert_array_equal(error, [1, 1] + [0] * 8)
