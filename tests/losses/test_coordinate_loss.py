"""The weak loss of pixels: its best weight, pixels beside the object, and the share of each mode."""

import pytest
import torch

from selfpose6d.losses.coordinates import (
    LOSS_GAIN,
    OTHER_MODES,
    OUTSIDE_ERROR,
    best_mode_share,
    coordinate_loss,
)


def one(
    distance: float, log_weight: torch.Tensor, on_object: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    coordinates = torch.tensor([distance, 0.0, 0.0]).reshape(1, 1, 1, 3)
    flags = torch.tensor(on_object).reshape(1, 1, 1)
    return coordinate_loss(coordinates, log_weight.reshape(1, 1, 1), torch.zeros(1, 1, 1, 3), flags)


def test_by_hand():
    loss, misfit = one(0.2, torch.tensor(1.0))
    assert misfit.item() == pytest.approx(0.2 * 2.718282 - 1.0, rel=1e-4)
    assert loss.item() == pytest.approx(LOSS_GAIN * misfit.item() / 2.718282, rel=1e-4)


@pytest.mark.parametrize("distance", [0.01, 0.1, 0.4])
def test_the_best_weight_is_one_over_the_distance(distance):
    log_weight = torch.tensor(1 / distance).log().requires_grad_()
    one(distance, log_weight)[0].sum().backward()
    assert log_weight.grad.item() == pytest.approx(0.0, abs=1e-3)


def test_distances_are_pulled_at_alike_however_sure_the_network_is():
    coordinates = torch.tensor([[0.01, 0.0, 0.0], [0.4, 0.0, 0.0]]).reshape(1, 1, 2, 3).requires_grad_()
    log_weight = torch.tensor([100.0, 2.5]).log().reshape(1, 1, 2)
    flags = torch.ones(1, 1, 2, dtype=torch.bool)
    loss, _ = coordinate_loss(coordinates, log_weight, torch.zeros(1, 1, 2, 3), flags)
    loss.sum().backward()
    assert coordinates.grad[0, 0, :, 0].tolist() == pytest.approx([LOSS_GAIN / 2] * 2, rel=1e-3)


def test_a_pixel_beside_the_object_teaches_distrust_and_no_place():
    coordinates, log_weight = (
        torch.zeros(1, 1, 1, 3, requires_grad=True),
        torch.zeros(1, 1, 1, requires_grad=True),
    )
    target = torch.full((1, 1, 1, 3), 0.01)
    flags = torch.zeros(1, 1, 1, dtype=torch.bool)
    coordinate_loss(coordinates, log_weight, target, flags)[0].sum().backward()
    assert not coordinates.grad.any()
    assert log_weight.grad.item() == pytest.approx(LOSS_GAIN * (OUTSIDE_ERROR - 1))


def test_the_gradient_is_finite_at_the_target():
    coordinates = torch.zeros(1, 1, 1, 3, requires_grad=True)
    flags = torch.ones(1, 1, 1, dtype=torch.bool)
    coordinate_loss(coordinates, torch.zeros(1, 1, 1), torch.zeros(1, 1, 1, 3), flags)[0].sum().backward()
    assert coordinates.grad.isfinite().all()


def test_modes_do_not_mix():
    coordinates = torch.zeros(1, 2, 4, 3)
    coordinates[:, 1] = 0.3
    flags = torch.ones(1, 2, 4, dtype=torch.bool)
    _, misfit = coordinate_loss(coordinates, torch.zeros(1, 2, 4), torch.zeros(1, 2, 4, 3), flags)
    assert misfit[0, 0].item() == pytest.approx(0.0, abs=1e-3)
    assert misfit[0, 1].item() == pytest.approx(0.3 * 3**0.5, rel=1e-4)


def test_nearly_all_of_the_learning_is_the_best_modes():
    share = best_mode_share(torch.tensor([[3.0, 1.0, 2.0, 5.0], [0.0, 1.0, 1.0, 1.0]]))
    assert share.sum(1).tolist() == pytest.approx([1.0, 1.0])
    assert share[0, 1].item() == pytest.approx(1 - OTHER_MODES * 3 / 4)
    assert share[1, 0].item() == share[0, 1].item()
    assert share[0, 0].item() == pytest.approx(OTHER_MODES / 4)
