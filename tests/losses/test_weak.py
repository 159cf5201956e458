"""Eq. (3) and (4): by hand, gradients, the optimum of the confidence, symmetric targets."""

import math

import pytest
import torch

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.losses.weak import pose_distance_m, weak_loss


def random_poses(*shape: int, seed: int = 0, dtype=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    R = random_rotations(math.prod(shape), generator).to(dtype)
    t = 0.1 * torch.randn(len(R), 3, generator=generator, dtype=dtype)
    return make_transform(R, t).reshape(*shape, 4, 4)


def test_distance_of_a_pure_translation_is_its_length():
    T = random_poses(2, 3)
    moved = T.clone()
    moved[..., :3, 3] += torch.tensor([0.03, 0.0, 0.04])
    points = torch.randn(2, 7, 3)
    assert torch.allclose(pose_distance_m(T, moved, points), torch.full((2, 3), 0.05), atol=1e-6)


def test_distance_of_a_half_turn_by_hand():
    T = torch.eye(4)[None, None]
    rotated = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0]))[None, None]
    points = torch.tensor([[[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.0, 0.3]]])
    assert pose_distance_m(T, rotated, points).item() == pytest.approx((0.2 + 0.4 + 0.0) / 3, abs=1e-5)


def test_distance_gradient():
    T, target = (random_poses(1, 2, seed=s, dtype=torch.float64).requires_grad_() for s in (0, 1))
    points = torch.randn(1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda a, b: pose_distance_m(a, b, points), (T, target))


def test_distance_gradient_is_finite_at_the_target():
    T = random_poses(1, 2).requires_grad_()
    pose_distance_m(T, T.detach(), torch.randn(1, 5, 3)).sum().backward()
    assert T.grad is not None
    assert torch.isfinite(T.grad).all()


def test_loss_by_hand():
    distance_m, confidence = torch.tensor([[0.1, 0.02]]), torch.tensor([[0.25, 0.5]])
    loss = weak_loss(distance_m, torch.logit(confidence), 0.015)
    expected = (0.1 * 0.25 - 0.015 * math.log(0.25) + 0.02 * 0.5 - 0.015 * math.log(0.5)) / 2
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    assert loss.distance_m.item() == pytest.approx((0.1 * 0.25 + 0.02 * 0.5) / 0.75, rel=1e-5)


@pytest.mark.parametrize("distance_m", [0.02, 0.05, 0.3])
def test_the_best_confidence_is_w_over_the_distance(distance_m: float):
    logit = torch.linspace(-8, 8, 4001)[:, None]
    losses = weak_loss(torch.full_like(logit, distance_m), logit, 0.015).instance
    assert torch.sigmoid(logit[losses.argmin()]).item() == pytest.approx(0.015 / distance_m, rel=0.02)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_a_hopeless_confidence_costs_a_finite_loss_with_a_gradient(logit: float):
    logits = torch.full((1, 2), logit, requires_grad=True)
    loss = weak_loss(torch.full((1, 2), 0.05), logits, 0.015).total
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    if logit < 0:
        assert (logits.grad < 0).all()


def test_instances_count_by_their_weight():
    distance_m, logit = torch.tensor([[0.1], [0.5]]), torch.zeros(2, 1)
    first_only = weak_loss(distance_m, logit, 0.015, torch.tensor([1.0, 0.0])).total
    assert torch.allclose(first_only, weak_loss(distance_m[:1], logit[:1], 0.015).total)
    assert torch.isfinite(weak_loss(distance_m, logit, 0.015, torch.zeros(2)).total)
