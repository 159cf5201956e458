"""The coordinate estimator: its poses, what it sees, and what learns from what."""

from types import SimpleNamespace

import pytest
import roma
import torch
from networks import TINY, TINY_COORDINATES, build_both, random_input

from selfpose6d.errors import CheckpointError
from selfpose6d.geometry.se3 import make_transform, transform_points
from selfpose6d.network.checkpoint import load_network, save_network
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.coordinates import CoordinateEstimator
from selfpose6d.network.interface import CropView, Fragments, NetworkInput


def build() -> CoordinateEstimator:
    estimator = build_both(TINY_COORDINATES).estimator
    assert isinstance(estimator, CoordinateEstimator)
    return estimator


def inputs(batch: int = 3) -> NetworkInput:
    return random_input(batch, TINY_COORDINATES)


def test_poses_are_rigid_and_nothing_rates_them_yet():
    prediction = build()(inputs())
    R = prediction.T_crop_obj[..., :3, :3]
    assert prediction.T_crop_obj.shape == (3, TINY_COORDINATES.modes, 4, 4)
    assert torch.allclose(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-4)
    assert torch.allclose(torch.det(R), torch.ones(R.shape[:2]), atol=1e-4)
    assert prediction.confidence_logit is None


def test_the_pose_is_the_one_that_brings_the_places_to_the_points():
    """Of metres and the object's origin: a pose whose points are the network's own places, exactly."""
    estimator, given = build(), inputs(2)
    R = roma.random_rotmat(2, generator=torch.Generator().manual_seed(0))
    T = make_transform(R, torch.tensor([[0.01, -0.02, 0.03], [0.0, 0.02, -0.01]]))
    places = torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(1)) / 5
    points_obj_m = places * estimator.diameter_m[:, None, None] + estimator.centre_m[:, None]
    points = transform_points(T, points_obj_m) / estimator.diameter_m[:, None, None]
    logit = torch.zeros(2, 24, TINY_COORDINATES.fragments + 1)
    logit[..., 0] = 20.0
    offset = places[:, :, None].expand(-1, -1, TINY_COORDINATES.fragments, -1)
    exact = Fragments(logit, offset, torch.zeros(2, TINY_COORDINATES.fragments, 3))
    assert torch.allclose(estimator._fit(exact, points, given.object_index)[:, 0], T, atol=1e-5)


def test_instances_of_a_batch_do_not_see_each_other():
    estimator, given = build(), inputs(4)
    view = CropView(*(part[2:3] for part in given.view))
    alone = estimator(NetworkInput(*(part[2:3] for part in given[:4]), view))
    together = estimator(given)
    assert torch.allclose(together.fragments.offset[2:3], alone.fragments.offset, atol=1e-4)


def test_sampled_pixels_have_no_order():
    estimator, given = build(), inputs(2)
    order = torch.randperm(TINY_COORDINATES.num_points, generator=torch.Generator().manual_seed(0))
    shuffled = given._replace(points_crop_m=given.points_crop_m[:, order], pixel=given.pixel[:, order])
    first, second = estimator(given), estimator(shuffled)
    assert torch.allclose(first.fragments.offset[:, order], second.fragments.offset, atol=1e-4)


def test_what_is_farther_than_the_object_is_large_is_not_shown():
    estimator, given = build(), inputs(1)
    far = given.view.surface.clone()
    far[:, :3, :8, :8], far[:, 3:, :8, :8] = 5.0, 1.0
    gone = given.view.surface.clone()
    gone[:, :, :8, :8] = 0.0
    first, second = (
        estimator(given._replace(view=given.view._replace(surface=surface))) for surface in (far, gone)
    )
    assert torch.allclose(first.fragments.offset, second.fragments.offset)


def test_each_object_has_channels_of_its_own():
    estimator, given = build(), inputs(1)
    other = estimator(given._replace(object_index=torch.tensor([1]), points_crop_m=given.points_crop_m / 2))
    assert not torch.allclose(estimator(given).fragments.offset, other.fragments.offset)


def test_coordinates_teach_all_layers():
    estimator = build()
    found = estimator(inputs()).fragments
    (found.offset.square().sum() + found.logit.square().sum()).backward()
    assert not [name for name, p in estimator.named_parameters() if p.grad is None or not p.grad.any()]


def test_both_stems_are_gated_unless_fusion_is_unweighted():
    gated = {name for name, _ in build().named_parameters() if "gate" in name}
    assert {name.split(".")[2] for name in gated} == {"colour_gate", "geometry_gate"}


@pytest.mark.parametrize("config", [TINY, TINY_COORDINATES], ids=lambda config: config.architecture)
def test_a_file_says_which_architecture_it_holds(config, tmp_path):
    network = build_both(config)
    save_network(tmp_path / "one.safetensors", network, {})
    loaded, _ = load_network(tmp_path / "one.safetensors")
    assert loaded.config == config
    given = random_input(2, config)
    assert torch.equal(loaded.estimator(given).T_crop_obj, network.estimator(given).T_crop_obj)


def test_files_from_before_there_were_two_architectures_are_dense_fusion():
    stored = TINY.to_json()
    del stored["architecture"]
    assert NetworkConfig.from_json(stored) == TINY


def test_a_network_without_fragments_is_refused_by_name(tmp_path):
    network = build_both(TINY_COORDINATES)
    before = {name: value for name, value in TINY_COORDINATES.to_json().items() if name != "fragments"}
    network.config = SimpleNamespace(to_json=lambda: before)
    save_network(tmp_path / "before.safetensors", network, {})
    with pytest.raises(CheckpointError, match=r"not of fragments, as those of this version are.*train again"):
        load_network(tmp_path / "before.safetensors")


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_images_of_both_back_ends_are_alike(channels_last):
    estimator, given = build(), inputs()
    view = given.view._replace(
        surface=given.view.surface * torch.tensor([1.0, 2.0, 30.0])[:, None, None, None]
    )
    mask = view.mask.clone()
    mask[2] = False  # no light to be relative to
    rgb = given.rgb.contiguous(memory_format=torch.channels_last) if channels_last else given.rgb
    given = given._replace(rgb=rgb, view=view._replace(mask=mask))
    for found, expected in zip(
        estimator._images(given, "numba"), estimator._images(given, "torch"), strict=True
    ):
        assert found.shape == expected.shape
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(found, expected, atol=1e-5)
