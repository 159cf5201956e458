"""The IoU loss: by hand, bounds, gradient, empty masks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.losses.joint import iou_loss


def test_by_hand():
    camera = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    rendered = torch.tensor([[[0.0, 1.0, 1.0, 0.5]]])
    # intersection 1, union 1 + 1 + 1 + 0.5
    assert iou_loss(camera, rendered).item() == pytest.approx(1 - 1 / 3.5)
    known = torch.tensor([[[True, True, True, False]]])
    assert iou_loss(camera, rendered, known).item() == pytest.approx(1 - 1 / 3)


@given(st.integers(0, 10_000))
def test_it_lies_between_0_and_1_and_is_0_for_equal_hard_masks(seed):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, 3, 4, 5, generator=generator).unbind(0)
    assert ((iou_loss(a, b) >= 0) & (iou_loss(a, b) <= 1)).all()
    hard = (a > 0.5).float()
    hard[:, 0, 0] = 1
    assert torch.equal(iou_loss(hard, hard), torch.zeros(3))


def test_two_empty_masks_cost_1_with_a_zero_gradient():
    rendered = torch.zeros(1, 3, 3, requires_grad=True)
    loss = iou_loss(torch.zeros(1, 3, 3), rendered)
    loss.sum().backward()
    assert loss.item() == 1.0
    assert rendered.grad is not None
    assert torch.equal(rendered.grad, torch.zeros_like(rendered))


def test_gradient():
    generator = torch.Generator().manual_seed(1)
    camera = (torch.rand(2, 4, 4, generator=generator, dtype=torch.float64) > 0.5).double()
    rendered = torch.rand(2, 4, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda mask: iou_loss(camera, mask), rendered)
