"""The loss of single pixels: the right fragment, the exact place, and what is not on the object."""

import torch

from selfpose6d.losses.coordinates import fragment_loss

CENTRE = torch.randn(1, 12, 3, generator=torch.Generator().manual_seed(0)) / 3
COUNT = CENTRE.shape[1]
ON, OFF = torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 1, dtype=torch.bool)


def one_pixel(
    fragment: int, place_off: float, sure: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What is said of a pixel that lies at the centre of fragment 4."""
    logit = torch.zeros(1, 1, COUNT + 1)
    logit[..., fragment] = sure
    return logit, torch.tensor([place_off, 0.0, 0.0]).repeat(1, 1, COUNT, 1), CENTRE


def test_the_nearest_fragment_and_the_exact_place_cost_least():

    def cost(fragment: int, place_off: float = 0.0, sure: float = 5.0) -> float:
        return fragment_loss(*one_pixel(fragment, place_off, sure), CENTRE[:, 4:5], ON).item()

    others = [cost(k) for k in range(COUNT + 1) if k != 4]
    assert cost(4, sure=20.0) < 0.01
    assert cost(4) < cost(4, sure=1.0) < min(others)
    assert cost(4) < cost(4, 0.05) < cost(4, 0.1)


def test_a_pixel_off_the_object_learns_that_and_no_place():
    target = CENTRE[:, 4:5]
    costs = [fragment_loss(*one_pixel(k, 0.1, 5.0), target, OFF).item() for k in range(COUNT + 1)]
    assert min(costs) == costs[-1] < 0.1
    logit, offset, centre = one_pixel(4, 0.1, 5.0)
    logit.requires_grad_(True)
    offset.requires_grad_(True)
    fragment_loss(logit, offset, centre, target, OFF).sum().backward()
    assert not offset.grad.any()
    assert logit.grad[..., 4] > 0 > logit.grad[..., -1]


def test_only_the_place_on_the_right_fragment_is_taught():
    logit, offset, centre = one_pixel(2, 0.1, 0.0)
    offset.requires_grad_(True)
    fragment_loss(logit, offset, centre, CENTRE[:, 4:5], ON).sum().backward()
    assert offset.grad[0, 0].any(-1).nonzero().flatten().tolist() == [4]
