"""Eq. (1): the gates, and DenseFusion without them."""

from dataclasses import replace

import torch
from networks import OBJECTS, TINY, build, random_input

from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.fusion import DenseFusion, PixelGate, WeightedFusion


def test_gate_by_hand():
    gate = PixelGate()
    gate.mix.weight.data[:] = torch.tensor([[2.0, -1.0]])
    gate.mix.bias.data[:] = 0.5
    features = torch.tensor([[[1.0, 3.0], [0.0, -2.0]]])
    expected = torch.sigmoid(torch.tensor([[[2 * 3.0 - 2.0 + 0.5], [2 * 0.0 + 1.0 + 0.5]]]))
    assert torch.allclose(gate(features), expected)


def test_each_branch_is_multiplied_by_its_own_weight():
    fusion = WeightedFusion(weighted=True)
    colour, geometry = torch.rand(2, 5, 4), torch.rand(2, 5, 6)
    joined = fusion(colour, geometry)
    assert torch.allclose(joined[..., :4], fusion.colour_gate(colour) * colour)
    assert torch.allclose(joined[..., 4:], fusion.geometry_gate(geometry) * geometry)


def test_without_weights_it_is_densefusions_concatenation():
    fusion = WeightedFusion(weighted=False)
    colour, geometry = torch.rand(2, 5, 4), torch.rand(2, 5, 6)
    assert torch.equal(fusion(colour, geometry), torch.cat([colour, geometry], -1))
    assert list(fusion.parameters()) == []


def test_open_gates_give_densefusion():
    weighted, plain = build(), build(replace(TINY, weighted=False))
    plain.load_state_dict({k: v for k, v in weighted.state_dict().items() if "gate" not in k})
    for name, parameter in weighted.named_parameters():
        if "gate.mix" in name:
            parameter.data.fill_(0.0 if name.endswith("weight") else 30.0)
    inputs = random_input(2)
    assert torch.allclose(weighted(inputs).T_crop_obj, plain(inputs).T_crop_obj, atol=1e-5)


def test_widths_are_densefusions():
    fusion = DenseFusion(
        replace(TINY, colour_channels=32, fusion_channels=(64, 128), global_channels=(512, 1024))
    )
    fused = fusion(torch.rand(1, 7, 32), torch.rand(1, 7, 3))
    assert fused.local.shape == (1, 7, 128 + 256)
    assert fused.whole.shape == (1, 1024)


def test_gates_start_nearly_open_whatever_the_features():
    network = PoseEstimator(TINY, OBJECTS)
    for fusion in network.fusion.fusions:
        for gate in (fusion.colour_gate, fusion.geometry_gate):
            assert torch.allclose(gate(100 * torch.randn(2, 9, 8)), torch.full((2, 9, 1), 0.88), atol=0.001)
