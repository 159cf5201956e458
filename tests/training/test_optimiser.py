"""Muon: orthogonal steps of the weights between features, Adam's of all others, both saved and restored."""

import copy
from dataclasses import replace

import pytest
import torch
from networks import TINY_COORDINATES, build_both
from torch import nn

from selfpose6d.network.config import COORDINATES_SMALL
from selfpose6d.training.optimiser import UPDATE_RMS, Muon, optimiser_of, orthogonalised
from selfpose6d.training.recipe import find_recipe

RATE = 0.01
RECIPE = replace(find_recipe("supervised"), learning_rate=RATE)


def gradients(parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(parameter.shape, generator=generator) for parameter in parameters]


def steps_of(optimiser, parameters, seeds):
    """Parameters after a step for each seed's gradients."""
    for seed in seeds:
        for parameter, gradient in zip(parameters, gradients(parameters, seed), strict=True):
            parameter.grad = gradient
        optimiser.step()
    return [parameter.detach().clone() for parameter in parameters]


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(48, 40), nn.ReLU(), nn.Linear(40, 48), nn.ReLU(), nn.Linear(48, 3))


@pytest.mark.parametrize("shape", [(3, 20, 50), (2, 50, 20), (1, 32, 32)])
def test_all_singular_values_come_near_1_and_their_vectors_stay(shape):
    torch.manual_seed(1)
    matrices = torch.randn(shape) * 10.0 ** torch.arange(shape[0])[:, None, None]
    found = orthogonalised(matrices)
    left, _, right = torch.linalg.svd(matrices.double(), full_matrices=False)
    inner = left.mT @ found.double() @ right.mT
    values = inner.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.5
    assert values.max() < 1.3
    assert (inner - torch.diag_embed(values)).abs().max() < 1e-3


def test_a_gradient_of_zeros_moves_nothing():
    assert (orthogonalised(torch.zeros(2, 4, 5)) == 0).all()


def test_matrices_move_as_by_torchs_own_muon():
    ours, theirs = layers(), layers()
    matrices = [theirs[0].weight, theirs[2].weight]
    reference = torch.optim.Muon(
        matrices, lr=RATE * UPDATE_RMS / 0.2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    found = steps_of(Muon([ours], RATE), [ours[0].weight, ours[2].weight], (1, 2, 3))
    expected = steps_of(reference, matrices, (1, 2, 3))
    start = layers()
    for moved, wanted, before in zip(found, expected, (start[0].weight, start[2].weight), strict=True):
        assert (moved - wanted).norm() < 0.04 * (wanted - before).norm()  # torch's computes in bf16


def test_vectors_and_the_answers_layer_move_as_by_adam():
    ours, theirs = layers(), layers()
    chosen = lambda network: [network[0].bias, network[2].bias, network[4].weight, network[4].bias]  # noqa: E731
    found = steps_of(Muon([ours], RATE), chosen(ours), (1, 2, 3))
    expected = steps_of(torch.optim.Adam(chosen(theirs), lr=RATE), chosen(theirs), (1, 2, 3))
    torch.testing.assert_close(found, expected)


def test_a_convolution_moves_as_the_matrix_of_its_filters_does():
    torch.manual_seed(0)
    convolution = nn.Conv2d(32, 16, 3, bias=False).to(memory_format=torch.channels_last)
    before = convolution.weight.detach().clone()
    (moved,) = steps_of(Muon([convolution], RATE), [convolution.weight], (1,))
    (gradient,) = gradients([convolution.weight], 1)
    wanted = orthogonalised(gradient.flatten(1)[None])[0] * RATE * UPDATE_RMS * 288**0.5
    torch.testing.assert_close((before - moved).flatten(1), wanted, rtol=1e-3, atol=1e-6)
    assert (before - moved).square().mean().sqrt() == pytest.approx(RATE * UPDATE_RMS, rel=0.3)


def test_what_reads_the_image_gives_the_answer_or_belongs_to_one_object_is_left_to_adam():
    network = build_both(COORDINATES_SMALL)
    optimiser = optimiser_of(replace(RECIPE, optimiser="muon"), network)
    names = {parameter: name for name, parameter in network.named_parameters()}
    matrices = {
        names[parameter]
        for group in optimiser.param_groups
        for parameter, is_matrix in zip(group["params"], group["orthogonal"], strict=True)
        if is_matrix
    }
    assert {"estimator.encoder.fine.branch.0.weight", "estimator.pixels.second.weight"} <= matrices
    assert {"refiner.correction.0.weight", "refiner.rating.2.weight"} <= matrices
    to_adam = set(names.values()) - matrices
    assert {"estimator.stem.colour.0.weight", "estimator.places.output_weight"} <= to_adam
    assert {
        "estimator.encoder.object_gain",
        "refiner.correction.4.weight",
        "refiner.rating.4.weight",
    } <= to_adam


def test_threads_change_neither_the_weights_nor_the_order_of_what_is_saved():
    alone, shared = build_both(COORDINATES_SMALL), build_both(COORDINATES_SMALL)
    optimisers = [
        Muon((network.estimator, network.refiner), RATE, n) for network, n in ((alone, 1), (shared, 3))
    ]
    expected, found = (
        steps_of(optimiser, [*network.parameters()], (1, 2))
        for optimiser, network in zip(optimisers, (alone, shared), strict=True)
    )
    torch.testing.assert_close(found, expected)
    first, second = (optimiser.state_dict()["state"] for optimiser in optimisers)
    assert list(first) == list(second)
    assert any(
        not torch.equal(one, start)
        for one, start in zip(found, build_both(COORDINATES_SMALL).parameters(), strict=True)
    )


@pytest.mark.parametrize("kind", ["adam", "muon"])
def test_restored_it_goes_on_to_the_same_weights(kind):
    recipe = replace(RECIPE, optimiser=kind)
    network, again = build_both(TINY_COORDINATES), build_both(TINY_COORDINATES)
    parameters = list(network.parameters())
    optimiser = optimiser_of(recipe, network)
    steps_of(optimiser, parameters, (1, 2))
    again.load_state_dict(network.state_dict())
    restored = optimiser_of(recipe, again)
    restored.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    expected = steps_of(optimiser, parameters, (3, 4))
    torch.testing.assert_close(steps_of(restored, list(again.parameters()), (3, 4)), expected, rtol=0, atol=0)


def test_the_paper_takes_adam_and_the_coordinate_network_muon():
    assert find_recipe("paper").optimiser == "adam"
    assert find_recipe("verified").of_coordinates().optimiser == "muon"
