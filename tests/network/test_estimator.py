"""The estimation network: shapes, frames, order of the points, objects' own channels, gradients."""

from dataclasses import replace

import pytest
import roma
import torch
from networks import OBJECTS, TINY, build, random_input

from selfpose6d.network.colours import normalised_rgb
from selfpose6d.network.config import PAPER, SMALL
from selfpose6d.network.estimator import START_DEPTH, PoseEstimator, PoseHead, quaternion_to_matrix
from selfpose6d.network.fusion import FusedFeatures
from selfpose6d.network.interface import NetworkInput


def test_poses_are_rigid_and_confidences_are_between_0_and_1():
    prediction = build()(random_input(3))
    R = prediction.T_crop_obj[..., :3, :3]
    assert prediction.T_crop_obj.shape == (3, TINY.num_points, 4, 4)
    assert torch.allclose(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5)
    assert torch.allclose(torch.det(R), torch.ones(3, TINY.num_points), atol=1e-5)
    assert ((prediction.confidence > 0) & (prediction.confidence < 1)).all()


def test_instances_of_a_batch_do_not_see_each_other():
    network, inputs = build(), random_input(4)
    alone = network(NetworkInput(*(part[2:3] for part in inputs[:4])))
    assert torch.allclose(network(inputs).T_crop_obj[2:3], alone.T_crop_obj, atol=1e-5)


def test_sampled_pixels_have_no_order():
    network, inputs = build(), random_input(2)
    order = torch.randperm(TINY.num_points, generator=torch.Generator().manual_seed(0))
    shuffled = inputs._replace(points_crop_m=inputs.points_crop_m[:, order], pixel=inputs.pixel[:, order])
    assert torch.allclose(network(inputs).T_crop_obj[:, order], network(shuffled).T_crop_obj, atol=1e-5)


def test_selected_pixels_get_the_poses_that_they_have_among_all():
    network, inputs = build(), random_input(2)
    selected = torch.tensor([[3, 7, 1], [0, 20, 5]])
    every, some = network(inputs), network(inputs, selected)
    assert torch.allclose(every.T_crop_obj[torch.arange(2)[:, None], selected], some.T_crop_obj, atol=1e-6)
    assert torch.allclose(every.confidence_logit.gather(1, selected), some.confidence_logit, atol=1e-6)


def test_translation_is_an_offset_from_the_pixels_own_point_in_diameters():
    network, inputs = build(), random_input(2)
    for branch in (network.translation, network.rotation):
        torch.nn.init.zeros_(branch.output_weight)
    network.rotation.output_bias.data[:] = torch.tensor([1.0, 0, 0, 0])
    network.translation.output_bias.data[:] = torch.tensor([0.5, 0, 0])
    T = network(inputs).T_crop_obj
    for i, obj in enumerate(inputs.object_index.tolist()):
        offset = torch.tensor([0.5 * OBJECTS.diameter_m[obj], 0, 0]) - torch.tensor(OBJECTS.centre_m[obj])
        assert torch.allclose(T[i, :, :3, 3], inputs.points_crop_m[i] + offset, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_training_starts_with_the_centre_behind_the_visible_surface(seed):
    """Whatever the seed: in front of it the resolver would match the object's back to what is seen, and keep it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network, inputs = PoseEstimator(SMALL, OBJECTS).eval(), random_input(2, SMALL)
    T = network(inputs).T_crop_obj
    diameter_m, centre_m = torch.tensor(OBJECTS.diameter_m), torch.tensor(OBJECTS.centre_m)
    centre = T[..., :3, :3] @ centre_m[:, None, :, None] + T[..., :3, 3:]
    offset = (centre.squeeze(-1) - inputs.points_crop_m) / diameter_m[:, None, None]
    assert offset[..., 2].mean() > 0
    assert network.translation.output_bias[:, 2].tolist() == pytest.approx([START_DEPTH] * 2)


def test_an_objects_channels_are_its_own():
    network, inputs = build(), random_input(2)._replace(object_index=torch.tensor([0, 0]))
    before = network(inputs).T_crop_obj
    network.rotation.output_weight.data[1] += 1.0
    network.translation.output_bias.data[1] += 1.0
    assert torch.equal(network(inputs).T_crop_obj, before)


def test_a_head_equals_a_layer_on_local_and_global_features_of_every_pixel():
    head = PoseHead(TINY, 2, 4)
    fused = FusedFeatures(
        torch.randn(2, 5, 2 * sum(TINY.fusion_channels)), torch.randn(2, TINY.global_channels[1])
    )
    joined = torch.cat([fused.local, fused.whole[:, None].expand(-1, 5, -1)], -1)
    weight = torch.cat([head.from_local.weight, head.from_whole.weight], 1)
    hidden = head.hidden(joined @ weight.T + head.from_local.bias)
    expected = hidden @ head.output_weight[[1, 0]] + head.output_bias[[1, 0]][:, None]
    assert torch.allclose(head(fused, torch.tensor([1, 0])), expected, atol=1e-5)


def test_every_parameter_gets_a_gradient():
    network, inputs = build().train(), random_input(2)
    prediction = network(inputs)
    (prediction.T_crop_obj.square().mean() + prediction.confidence_logit.mean()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_colour_is_read_at_the_sampled_pixel():
    network, inputs = build(), random_input(1)
    stride = TINY.map_stride
    pixel = torch.tensor([[5 * TINY.crop_px + 9]])
    embedding = network.colour_branch(normalised_rgb(inputs.rgb))
    assert torch.allclose(
        network.embed(inputs.rgb, pixel)[0, 0], embedding[0, :, 5 // stride, 9 // stride], atol=1e-5
    )


def test_the_crop_moved_by_a_pixel_of_the_map_moves_the_embedding():
    network = build(replace(TINY, psp_bins=(), decoder_channels=(8,)))
    assert network.config.map_stride == 4
    assert network.embed(torch.rand(1, 3, 32, 32), torch.zeros(1, 3, dtype=torch.long)).shape == (1, 3, 8)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 50.0])
def test_quaternion_to_matrix_agrees_with_roma_whatever_the_length(scale: float):
    quat_wxyz = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = torch.nn.functional.normalize(quat_wxyz, dim=-1)
    expected = roma.unitquat_to_rotmat(unit.roll(-1, -1))
    assert torch.allclose(quaternion_to_matrix(scale * quat_wxyz), expected, atol=1e-12)


def test_quaternion_gradients_are_right_and_finite_at_zero():
    quat_wxyz = torch.randn(
        3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True
    )
    assert torch.autograd.gradcheck(quaternion_to_matrix, quat_wxyz)
    zero = torch.zeros(4, requires_grad=True)
    quaternion_to_matrix(zero).sum().backward()
    assert zero.grad is not None
    assert torch.isfinite(zero.grad).all()


@pytest.mark.parametrize("config", [SMALL, PAPER], ids=["small", "paper"])
def test_at_the_start_different_crops_have_different_embeddings_and_signals_neither_fade_nor_explode(config):
    torch.manual_seed(0)
    network = PoseEstimator(config, OBJECTS).eval()
    flat = torch.rand(4, 3, 1, 1, generator=torch.Generator().manual_seed(0))
    inputs = random_input(4, config)._replace(rgb=flat.expand(-1, -1, config.crop_px, config.crop_px))
    with torch.no_grad():
        colour = network.embed(inputs.rgb, inputs.pixel[:, :1].expand(-1, 8))
        fused = network.fusion(colour, inputs.points_crop_m[:, :8])
    assert 0.2 < colour.std(0).mean() < 20
    assert 0.1 < fused.whole.std(0).mean() < 20
