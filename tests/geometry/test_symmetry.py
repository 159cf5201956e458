import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, axis_rotations

NONE = np.zeros((0, 4, 4))
HALF_ROTATION_X = np.diag([1.0, -1.0, -1.0, 1.0])


def test_no_symmetry_is_the_identity():
    group = SymmetryGroup(NONE)
    np.testing.assert_array_equal(group.expand(8), np.eye(4)[None])


def test_a_declared_identity_adds_nothing():
    group = SymmetryGroup(np.stack([np.eye(4), HALF_ROTATION_X]))
    np.testing.assert_array_equal(group.expand(8), [np.eye(4), HALF_ROTATION_X])
    np.testing.assert_array_equal(SymmetryGroup(np.eye(4)[None]).expand(8), np.eye(4)[None])


def test_quarter_rotations_about_an_axis_off_the_origin():
    """About the vertical line through (1, 0, 0), the origin goes to (1, -1, 0), (2, 0, 0), (1, 1, 0)."""
    rotations = axis_rotations(ContinuousSymmetry(np.array([0.0, 0, 3]), np.array([1.0, 0, 0])), 4)
    np.testing.assert_allclose(rotations[:, :3, 3], [[0, 0, 0], [1, -1, 0], [2, 0, 0], [1, 1, 0]], atol=1e-12)


def test_discrete_and_continuous_combine():
    z_axis = ContinuousSymmetry(np.array([0.0, 0, 1]), np.zeros(3))
    transforms = SymmetryGroup(HALF_ROTATION_X[None], (z_axis,)).expand(6)
    assert transforms.shape == (12, 4, 4)
    np.testing.assert_array_equal(transforms[0], np.eye(4))
    assert len({tuple(np.round(T, 9).reshape(-1) + 0.0) for T in transforms}) == 12


@given(
    arrays(float, 3, elements=st.floats(-1, 1)).filter(lambda axis: np.linalg.norm(axis) > 1e-2),
    arrays(float, 3, elements=st.floats(-1, 1)),
    st.integers(1, 12),
)
def test_turns_are_rigid_keep_the_axis_and_close(axis, offset_m, steps):
    rotations = axis_rotations(ContinuousSymmetry(axis, offset_m), steps)
    R = rotations[:, :3, :3]
    np.testing.assert_allclose(R @ R.swapaxes(1, 2), np.broadcast_to(np.eye(3), R.shape), atol=1e-9)
    on_axis = np.append(offset_m + 0.3 * axis, 1)
    np.testing.assert_allclose(rotations @ on_axis, np.broadcast_to(on_axis, (steps, 4)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.matrix_power(rotations[1 % steps], steps), np.eye(4), atol=1e-8)
