"""Groups made of measured motions: by hand, and exact again after noise, for every kind of finite rotation group."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from selfpose6d.geometry.rotation_groups import (
    common_axis,
    composition_table,
    exact_group,
    fixed_point,
    largest_group,
)
from selfpose6d.geometry.symmetry import axis_and_angle, rotations_about

CENTRE_M = np.array([0.1, -0.2, 0.3])
TOLERANCE_RAD = np.deg2rad(8)


def noisy_group(name: str, noise_rad: float = 0.01) -> np.ndarray:
    """A group of motions about `CENTRE_M`, each rotated by some half a degree and shifted by some half a millimetre."""
    R = Rotation.create_group(name).as_matrix()
    R = R[np.argsort(-np.trace(R, axis1=1, axis2=2))]
    generator = np.random.default_rng(0)
    T = np.tile(np.eye(4), (len(R), 1, 1))
    T[:, :3, :3] = Rotation.from_rotvec(generator.normal(0, noise_rad, (len(R), 3))).as_matrix() @ R
    T[:, :3, 3] = CENTRE_M - R @ CENTRE_M + generator.normal(0, 5e-4, (len(R), 3))
    T[0] = np.eye(4)
    return T


@pytest.mark.parametrize(
    ("name", "order"), [("C2", 2), ("C5", 5), ("D2", 4), ("D6", 12), ("T", 12), ("O", 24)]
)
def test_noise_goes_and_the_group_is_exact(name, order):
    T = noisy_group(name)
    table = composition_table(T, TOLERANCE_RAD)
    group = largest_group(table, range(1, len(T)))
    assert sorted(group) == list(range(order))
    exact = exact_group(T, table, CENTRE_M)
    np.testing.assert_allclose(exact[:, None] @ exact[None], exact[table], atol=1e-12)
    np.testing.assert_allclose(exact[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(exact, T, atol=0.04)
    assert np.abs(exact[:, :3, :3] @ CENTRE_M + exact[:, :3, 3] - CENTRE_M).max() < 6e-3


def test_a_half_turn_that_is_off_becomes_one_by_180_degrees():
    (off,) = rotations_about(np.array([0.0, 0, 1]), np.array([np.pi - 0.02]), CENTRE_M)
    T = np.stack([np.eye(4), off])
    exact = exact_group(T, composition_table(T, TOLERANCE_RAD), CENTRE_M)
    axis, angle_rad = axis_and_angle(exact[1])
    assert angle_rad == pytest.approx(np.pi, abs=1e-7)
    np.testing.assert_allclose(axis, [0, 0, 1], atol=1e-9)


def test_a_motion_whose_powers_were_not_measured_stays_out():
    about_z = rotations_about(np.array([0.0, 0, 1]), np.deg2rad([0.0, 180, 10]), CENTRE_M)
    assert largest_group(composition_table(about_z, TOLERANCE_RAD), [2, 1]) == [0, 1]


def test_the_point_and_the_axis_that_rotations_share():
    axis = np.array([1.0, 2, 2]) / 3
    T = rotations_about(axis, np.deg2rad([40.0, 90, 200]), CENTRE_M)
    np.testing.assert_allclose(common_axis(T[:, :3, :3], -axis), -axis, atol=1e-12)
    near = CENTRE_M + 0.5 * axis
    np.testing.assert_allclose(fixed_point(T[:, :3], near), near, atol=1e-12)
    off = near + np.array([0.02, -0.01, 0])  # -> its foot on the axis
    np.testing.assert_allclose(fixed_point(T[:, :3], off) - near, axis * (axis @ (off - near)), atol=1e-12)
