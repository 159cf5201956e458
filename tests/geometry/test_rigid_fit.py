"""Closed-form rigid fit: by hand, against SciPy, and never a reflection."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from scipy.spatial.transform import Rotation

from selfpose6d.geometry.rigid_fit import best_rotation, best_rotation_by_products, rigid_fit
from selfpose6d.geometry.rigid_fit_numba import fit_weighted
from selfpose6d.geometry.se3 import transform_points

seeds = st.integers(0, 2**31)
CORNER = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)


def random_pose(rng: np.random.Generator) -> torch.Tensor:
    T = np.eye(4)
    T[:3, :3] = Rotation.random(rng=rng).as_matrix()
    T[:3, 3] = rng.normal(size=3)
    return torch.from_numpy(T)


def scipy_rotation(source: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    centred = [p - (weights[:, None] * p).sum(0) / weights.sum() for p in (source, target)]
    rotation, _ = Rotation.align_vectors(centred[1].numpy(), centred[0].numpy(), weights.numpy())
    return torch.from_numpy(rotation.as_matrix())


def test_quarter_turn_and_shift_by_hand():
    """x goes to y, y to -x; the origin goes to (0, 0, 2)."""
    target = torch.tensor([[0.0, 0, 2], [0, 1, 2], [-1, 0, 2], [0, 0, 3]], dtype=torch.float64)
    expected = torch.tensor([[0.0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 2], [0, 0, 0, 1]], dtype=torch.float64)
    torch.testing.assert_close(rigid_fit(CORNER, target), expected)


@given(seeds, st.integers(3, 20))
def test_recovers_the_pose_of_paired_points(seed, count):
    rng = np.random.default_rng(seed)
    T, source = random_pose(rng), torch.from_numpy(rng.normal(size=(count, 3)))
    torch.testing.assert_close(rigid_fit(source, transform_points(T, source)), T, atol=1e-6, rtol=0)


@given(seeds)
def test_a_mirrored_target_is_answered_by_the_best_proper_rotation(seed):
    rng = np.random.default_rng(seed)
    source = torch.from_numpy(rng.normal(size=(10, 3)))
    target = source * torch.tensor([-1.0, 1, 1], dtype=torch.float64)
    R = rigid_fit(source, target)[:3, :3]
    assert torch.det(R).item() == pytest.approx(1)
    torch.testing.assert_close(R, scipy_rotation(source, target, torch.ones(10).double()), atol=1e-5, rtol=0)


def test_points_in_a_plane_are_turned_and_not_mirrored():
    source = CORNER[:3]
    T = random_pose(np.random.default_rng(1))
    torch.testing.assert_close(rigid_fit(source, transform_points(T, source)), T)


def test_points_on_a_line_still_get_a_proper_rotation_that_maps_them():
    source = torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2, 3]).double()
    target = transform_points(random_pose(np.random.default_rng(2)), source)
    T = rigid_fit(source, target)
    torch.testing.assert_close(transform_points(T, source), target)
    assert torch.det(T[:3, :3]).item() == pytest.approx(1)


@given(seeds)
def test_noisy_weighted_fits_equal_scipys(seed):
    rng = np.random.default_rng(seed)
    source = torch.from_numpy(rng.normal(size=(12, 3)))
    target = transform_points(random_pose(rng), source) + 0.1 * torch.from_numpy(rng.normal(size=(12, 3)))
    weights = torch.from_numpy(rng.uniform(0.1, 1, 12))
    T = rigid_fit(source, target, weights)
    torch.testing.assert_close(T[:3, :3], scipy_rotation(source, target, weights), atol=1e-6, rtol=0)
    centre = (weights[:, None] * (transform_points(T, source) - target)).sum(0)
    torch.testing.assert_close(centre, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)


def test_points_of_weight_zero_do_not_count():
    T = random_pose(np.random.default_rng(3))
    target = transform_points(T, CORNER)
    source = torch.cat([CORNER, torch.full((1, 3), 9.0, dtype=torch.float64)])
    target = torch.cat([target, torch.zeros(1, 3, dtype=torch.float64)])
    weights = torch.tensor([1.0, 1, 1, 1, 0], dtype=torch.float64)
    torch.testing.assert_close(rigid_fit(source, target, weights), T)


def test_weight_two_is_the_point_twice_and_the_scale_of_weights_is_free():
    rng = np.random.default_rng(4)
    source, target = torch.from_numpy(rng.normal(size=(2, 5, 3)))
    weights = torch.tensor([2.0, 1, 1, 1, 1], dtype=torch.float64)
    twice = rigid_fit(torch.cat([source[:1], source]), torch.cat([target[:1], target]))
    torch.testing.assert_close(rigid_fit(source, target, weights), twice)
    torch.testing.assert_close(rigid_fit(source, target, 1e-20 * weights), twice)


def test_without_weight_the_pose_is_the_identity():
    T = rigid_fit(CORNER, CORNER + 1, torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(T, torch.eye(4, dtype=torch.float64))


def test_has_the_right_gradient():
    rng = np.random.default_rng(5)
    source = torch.from_numpy(rng.normal(size=(6, 3))).requires_grad_()
    target = torch.from_numpy(rng.normal(size=(6, 3))).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: rigid_fit(s, t)[:3], (source, target))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_any_batch_shape_equals_singles_and_keeps_the_dtype(batch, dtype):
    generator = torch.Generator().manual_seed(6)
    source, target = torch.randn(2, *batch, 7, 3, generator=generator, dtype=dtype)
    weights = torch.rand(*batch, 7, generator=generator, dtype=dtype)
    T = rigid_fit(source, target, weights)
    assert T.shape == (*batch, 4, 4)
    assert T.dtype == dtype
    last = tuple(n - 1 for n in batch)
    torch.testing.assert_close(T[last], rigid_fit(source[last], target[last], weights[last]))


def test_unpaired_points_are_refused():
    with pytest.raises(TypeCheckError, match="rigid_fit"):
        rigid_fit(CORNER, CORNER[:3])


@given(seeds, st.booleans())
def test_products_find_the_rotation_that_singular_vectors_find(seed, mirrored):
    covariance = torch.from_numpy(np.random.default_rng(seed).normal(size=(4, 5, 3, 3)))
    covariance[..., 2] *= -torch.det(covariance).sign()[..., None] if mirrored else 1
    # the closer the two best answers, the worse either way can tell them apart
    singular = torch.linalg.svdvals(covariance)
    clear = singular[..., 1] - singular[..., 2] > 1e-3 * singular[..., 0]
    R, expected = best_rotation_by_products(covariance), best_rotation(covariance)
    torch.testing.assert_close(R[clear], expected[clear], atol=1e-7, rtol=0)


def test_products_turn_points_in_a_plane_half_round_and_leave_nothing_where_it_is():
    half_turn = torch.diag(torch.tensor([1.0, -1, 0]))
    torch.testing.assert_close(best_rotation_by_products(half_turn), torch.diag(torch.tensor([1.0, -1, -1])))
    torch.testing.assert_close(best_rotation_by_products(torch.zeros(2, 3, 3)), torch.eye(3).expand(2, 3, 3))


def test_a_fit_by_products_equals_the_fit_by_singular_vectors():
    rng = np.random.default_rng(7)
    source, target = torch.from_numpy(rng.normal(size=(2, 3, 9, 3)))
    weights = torch.from_numpy(rng.uniform(0.1, 1, (3, 9)))
    by_products = rigid_fit(source, target, weights, best_rotation_by_products)
    torch.testing.assert_close(by_products, rigid_fit(source, target, weights))


def test_the_compiled_fit_is_the_same():
    rng = np.random.default_rng(7)
    source, target = torch.from_numpy(rng.normal(size=(2, 9, 3))).unbind()
    for count, weights in ((9, rng.uniform(0.1, 1, 9)), (3, np.ones(3)), (9, np.zeros(9))):
        T = np.empty((4, 4))
        fit_weighted(source[:count].numpy(), target[:count].numpy(), weights, T)
        expected = rigid_fit(source[:count], target[:count], torch.from_numpy(weights))
        if not weights.any():
            assert torch.equal(expected, torch.eye(4).double())
        torch.testing.assert_close(torch.from_numpy(T), expected)
