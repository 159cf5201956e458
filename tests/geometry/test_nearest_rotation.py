"""The nearest rotation, against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from selfpose6d.geometry.nearest_rotation import nearest_rotation, rotation_defect


@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1e-4, 3e-3]))
def test_no_rotation_is_nearer(seed, size):
    generator = np.random.default_rng(seed)
    written = Rotation.random(random_state=seed).as_matrix() + size * generator.uniform(-1, 1, (3, 3))
    nearest = nearest_rotation(written)
    np.testing.assert_allclose(nearest @ nearest.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(nearest) == pytest.approx(
        1, abs=2e-6
    )  # as exact as `EXACT_DEFECT` leaves a matrix alone
    distance = np.linalg.norm(nearest - written)
    for turn in Rotation.from_rotvec(generator.normal(0, size, (20, 3))).as_matrix():
        assert np.linalg.norm(turn @ nearest - written) >= distance - 1e-12


def test_a_rotation_stays_as_it_is():
    R = Rotation.from_euler("xyz", [0.1, 0.2, 0.3]).as_matrix()
    assert nearest_rotation(R) is R
    single = R.astype(np.float32).astype(np.float64)
    assert np.abs(nearest_rotation(single) - single).max() < 1e-6


@pytest.mark.parametrize(
    ("R", "defect"),
    [
        (np.zeros((3, 3)), 1),
        (np.diag([1.0, 1, -1]), 2),
        (1.02 * np.eye(3), 0.0404),
        (np.full((3, 3), np.nan), np.inf),
        (np.ones((3, 3)), 3),
    ],
)
def test_what_is_no_rotation_is_refused(R, defect):
    assert rotation_defect(R) == pytest.approx(defect)
    with pytest.raises(ValueError, match=r"R is no rotation \(off by"):
        nearest_rotation(R)
