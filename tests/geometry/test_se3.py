"""Rigid transforms: hand-computed cases and the group's axioms."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError

from selfpose6d.geometry.se3 import (
    inverse,
    make_transform,
    retract,
    rotation_taking,
    transform_point,
    transform_points,
)
from selfpose6d.geometry.so3 import random_rotations

QUARTER_TURN_Z = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
seeds = st.integers(0, 2**31)


def random_transforms(seed: int, *batch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    count = math.prod(batch)
    t = torch.randn(*batch, 3, generator=generator, dtype=torch.float64)
    return make_transform(random_rotations(count, generator).double().reshape(*batch, 3, 3), t)


def test_quarter_turn_and_shift_by_hand():
    """About z, x goes to y; then one metre forward."""
    T = make_transform(QUARTER_TURN_Z, torch.tensor([0.0, 0, 1]))
    assert T.tolist() == [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]]
    moved = transform_points(T, torch.tensor([[1.0, 0, 0], [0, 2, 0]]))
    assert moved.tolist() == [[0, 1, 1], [-2, 0, 1]]


def test_inverse_by_hand():
    T_a_b = make_transform(QUARTER_TURN_Z, torch.tensor([1.0, 2, 3]))
    assert inverse(T_a_b).tolist() == [[0, 1, 0, -2], [-1, 0, 0, 1], [0, 0, 1, -3], [0, 0, 0, 1]]


@given(seeds)
def test_inverse_undoes_and_composition_associates(seed):
    T = random_transforms(seed, 2)
    points = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    # random_rotations are float32, so orthogonal to about 1e-7
    torch.testing.assert_close(
        inverse(T) @ T, torch.eye(4, dtype=torch.float64).expand(2, 4, 4), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        transform_points(inverse(T), transform_points(T, points)), points, atol=1e-5, rtol=0
    )
    both = transform_points(T[:1] @ T[1:], points[:1])
    torch.testing.assert_close(both, transform_points(T[:1], transform_points(T[1:], points[:1])))


@given(seeds)
def test_distances_survive_a_rigid_motion(seed):
    T = random_transforms(seed, 1)[0]
    points = torch.randn(6, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(
        torch.pdist(transform_points(T, points)), torch.pdist(points), atol=1e-5, rtol=1e-5
    )


def test_exp_of_nothing_is_the_identity_with_a_gradient():
    twist = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    assert retract(twist).detach().tolist() == torch.eye(4).tolist()
    assert torch.autograd.gradcheck(retract, twist)


def test_exp_keeps_translation_and_rotation_apart():
    T = retract(torch.tensor([1.0, 2, 3, 0, 0, math.pi / 2]))
    torch.testing.assert_close(
        T, make_transform(QUARTER_TURN_Z, torch.tensor([1.0, 2, 3])), atol=1e-6, rtol=0
    )


def test_exp_has_the_right_gradient_away_from_zero():
    twist = torch.tensor([[0.1, -0.2, 0.3, 0.4, -0.5, 0.6]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(retract, twist)


def test_transform_points_has_the_right_gradient():
    T = random_transforms(1, 2).requires_grad_()
    points = torch.randn(
        2, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    ).requires_grad_()
    assert torch.autograd.gradcheck(transform_points, (T, points))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_any_batch_shape_equals_singles_and_keeps_the_dtype(batch, dtype):
    T = random_transforms(5, *batch).to(dtype)
    points = torch.ones(*batch, 4, 3, dtype=dtype)
    moved, back = transform_points(T, points), inverse(T)
    assert moved.shape == points.shape
    assert moved.dtype == back.dtype == dtype
    first = (0,) * len(batch)
    torch.testing.assert_close(moved[first], transform_points(T[first], points[first]))
    torch.testing.assert_close(back[first], inverse(T[first]))


def test_points_of_two_coordinates_are_refused():
    with pytest.raises(TypeCheckError, match="transform_points"):
        transform_points(torch.eye(4), torch.zeros(5, 2))


def test_a_rotation_takes_a_point_where_it_is_told():
    """About a point that stays; and one point of each of several poses, as all of a pose's points are moved."""
    point = torch.tensor([1.0, 2, 3])
    T = rotation_taking(QUARTER_TURN_Z, point, point)
    assert transform_point(T, point).tolist() == [1, 2, 3]
    assert transform_point(T, torch.tensor([2.0, 2, 3])).tolist() == [1, 3, 3]
    several = random_transforms(0, 5, 2)
    points = torch.randn(5, 1, 3, dtype=torch.float64)
    moved = transform_points(several, points[:, :, None].expand(-1, 2, -1, -1)).squeeze(2)
    torch.testing.assert_close(transform_point(several, points), moved)
