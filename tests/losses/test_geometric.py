"""The geometry loss: both directions by hand, its gradient, and what the wrong direction does."""

import numpy as np
import pytest
import torch

from selfpose6d.geometry.nearest import build_nearest_grid
from selfpose6d.geometry.se3 import retract
from selfpose6d.losses.joint import geometry_loss

FIRST = torch.zeros(1, dtype=torch.long)


def plate(cells: int = 21, depth_m: float = 0.0) -> np.ndarray:
    """Points of a plate of 10 cm, and of a second one behind it."""
    axis = np.linspace(-0.05, 0.05, cells)
    x, y = np.meshgrid(axis, axis)
    front = np.stack([x, y, np.zeros_like(x)], -1).reshape(-1, 3)
    return front if depth_m == 0 else np.concatenate([front, front + np.array([0, 0, depth_m])])


def grid(points: np.ndarray):
    return build_nearest_grid(points, np.tile([0.0, 0.0, 1.0], (len(points), 1)), cells=48)


def moved(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> torch.Tensor:
    return retract(torch.tensor([[x, y, z, 0.0, 0.0, 0.0]]))


def test_a_shift_along_the_normal_costs_its_square():
    observed = torch.from_numpy(plate()).float()[None]
    for direction in ("observed-to-model", "model-to-observed"):
        loss = geometry_loss(moved(z=0.004), observed, grid(plate()), FIRST, direction)
        assert loss.item() == pytest.approx(0.004**2, rel=0.01)


def test_only_model_to_observed_minds_the_hidden_back():
    box, seen = grid(plate(depth_m=0.06)), torch.from_numpy(plate()).float()[None]
    assert geometry_loss(moved(), seen, box, FIRST).item() < 1e-7
    with_back = geometry_loss(moved(), seen, box, FIRST, "model-to-observed").item()
    assert with_back == pytest.approx(0.5 * 0.06**2, rel=0.05)


@pytest.mark.parametrize("direction", ["observed-to-model", "model-to-observed"])
def test_gradient_along_a_motion_agrees_with_differences(direction):
    observed = torch.from_numpy(plate(7)).double()[None]
    model = grid(plate(7))
    twist = torch.tensor([[0.002, -0.001, 0.003, 0.05, -0.04, 0.02]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda t: geometry_loss(retract(t), observed, model, FIRST, direction), twist, eps=1e-7, atol=1e-6
    )


def test_instances_have_their_own_models():
    from selfpose6d.geometry.nearest import stack_nearest_grids

    models = stack_nearest_grids([grid(plate()), grid(plate() + np.array([0, 0, 0.01]))])
    observed = torch.from_numpy(plate()).float()[None].expand(2, -1, -1)
    loss = geometry_loss(torch.eye(4).repeat(2, 1, 1), observed, models, torch.tensor([0, 1]))
    assert loss[0].item() < 1e-7
    assert loss[1].item() == pytest.approx(0.01**2, rel=0.01)
