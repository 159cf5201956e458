"""From records to the network's input: points, the crop frame, the choice of pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from crop_frames import K, frame
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.crops.batch import decode_records, draw_pixels, look_at, resized, sample_batch, surface_map
from selfpose6d.crops.crop import NetworkCrop, crop_instance, pack_crop
from selfpose6d.geometry.se3 import transform_points


def records(*squares: tuple[slice, slice], size_px: int = 32) -> np.ndarray:
    packed = []
    for index, (rows, columns) in enumerate(squares):
        scene = frame(rows, columns, inst_id=index)
        crop = crop_instance(scene, scene.instances[0], size_px)
        assert isinstance(crop, NetworkCrop)
        packed.append(pack_crop(crop))
    return np.concatenate(packed)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


TWO = ((slice(10, 30), slice(20, 50)), (slice(0, 40), slice(0, 20)))


def test_records_become_images():
    images = decode_records(records(*TWO))
    assert images.rgb.shape == (2, 3, 32, 32)
    assert images.rgb.max() <= 1
    assert images.obj_id.tolist() == [1, 1]
    scene = frame(*TWO[0])
    crop = crop_instance(scene, scene.instances[0], 32)
    assert isinstance(crop, NetworkCrop)
    assert torch.equal(images.mask[0], torch.from_numpy(crop.mask))
    assert torch.allclose(images.depth_m[0], torch.from_numpy(crop.depth_m), atol=2e-5)
    assert torch.allclose(images.rgb[0] * 255, torch.from_numpy(crop.rgb).permute(2, 0, 1).float())


def test_every_point_lies_on_the_surface_it_was_seen_on():
    batch = sample_batch(
        decode_records(records(*TWO, size_px=64)), {1: 0}, torch.tensor([5.0]), 300, generator()
    )
    points = transform_points(batch.T_cam_crop, batch.points_crop_m)
    u = points[..., 0] / points[..., 2] * K[0, 0] + K[0, 2]
    v = points[..., 1] / points[..., 2] * K[1, 1] + K[1, 2]
    assert torch.allclose(u, u.round(), atol=1e-3)
    assert torch.allclose(v, v.round(), atol=1e-3)
    assert torch.allclose(points[..., 2], 1.0 + 1e-3 * u.round(), atol=5e-5)


def test_smaller_crops_show_the_same_places():
    whole = decode_records(records(*TWO, size_px=48))
    assert resized(whole, 48) is whole
    small = resized(whole, 32)
    assert small.rgb.shape == (2, 3, 32, 32)
    assert torch.allclose(small.rgb.mean((2, 3)), whole.rgb.mean((2, 3)), atol=5e-3)
    assert torch.allclose(
        small.mask.float().mean((1, 2)), whole.mask.float().mean((1, 2)), atol=0.03, rtol=0.0
    )
    batch = sample_batch(small, {1: 0}, torch.tensor([5.0]), 100, generator())
    points = transform_points(batch.T_cam_crop, batch.points_crop_m)
    u = points[..., 0] / points[..., 2] * K[0, 0] + K[0, 2]
    step_px = whole.box_px[:, 2:] / 48
    # depth names its column, 1 mm each: at most the nearest pixel of the larger crop is meant
    assert ((points[..., 2] - 1.0) / 1e-3 - u).abs().le(step_px + 1).all()
    assert torch.allclose(small.K_crop[:, :2, :2], whole.K_crop[:, :2, :2] * (32 / 48), rtol=1e-5)


def test_sampled_pixels_are_mask_pixels():
    images = decode_records(records(*TWO))
    batch = sample_batch(images, {1: 0}, torch.tensor([5.0]), 100, generator())
    assert images.mask.flatten(1).gather(1, batch.pixel).all()


def test_the_crop_frame_lies_at_the_points_middle_and_looks_along_the_line_of_sight():
    batch = sample_batch(decode_records(records(*TWO)), {1: 0}, torch.tensor([5.0]), 101, generator())
    centre = transform_points(batch.T_cam_crop, batch.points_crop_m).median(1).values
    assert torch.allclose(batch.T_cam_crop[:, :3, 3], centre, atol=1e-6)
    forward = batch.T_cam_crop[:, :3, 2]
    assert torch.allclose(forward, centre / centre.norm(dim=1, keepdim=True), atol=1e-5)


def test_points_much_nearer_or_farther_than_the_object_are_left_out():
    raw = records(TWO[0])
    raw["depth"][0, :16] = raw["depth"][0, :16] // 2
    batch = sample_batch(decode_records(raw), {1: 0}, torch.tensor([0.2]), 200, generator())
    z = transform_points(batch.T_cam_crop, batch.points_crop_m)[..., 2]
    assert (z - z.median()).abs().max() < 0.2


def test_objects_are_numbered_as_the_network_has_them():
    raw = records(*TWO)
    raw["key"][:, 2] = (7, 4)
    batch = sample_batch(decode_records(raw), {4: 0, 7: 1}, torch.tensor([5.0, 5.0]), 10, generator())
    assert batch.object_index.tolist() == [1, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 5))
def test_no_pixel_twice_where_there_are_enough_and_all_about_equally_often_where_not(available, count, seed):
    allowed = torch.zeros(1, 8, 8, dtype=torch.bool)
    allowed.view(-1)[torch.randperm(64, generator=generator(seed))[:available]] = True
    drawn = draw_pixels(allowed, count, generator(seed))[0]
    times = torch.bincount(drawn, minlength=64)
    assert not times[~allowed.view(-1)].any()
    if available >= count:
        assert times.max() <= 2  # neighbouring strata may meet in one pixel
        assert (times > 0).sum() >= 0.5 * count
    else:
        assert times[allowed.view(-1)].max() <= count // available + 2


def test_drawn_pixels_are_spread_over_all_allowed_ones():
    allowed = torch.zeros(1, 16, 16, dtype=torch.bool)
    allowed[0, 4:12] = True
    drawn = torch.cat([draw_pixels(allowed, 32, generator(seed))[0] for seed in range(60)])
    times = torch.bincount(drawn, minlength=256)[64:192].float()
    assert times.min() > 3
    assert times.mean().item() == pytest.approx(15.0)


def test_an_image_without_an_allowed_pixel_gets_its_centre_and_harms_no_other():
    allowed = torch.zeros(2, 8, 8, dtype=torch.bool)
    allowed[1, 2, 3] = True
    assert draw_pixels(allowed, 5, generator()).tolist() == [[36] * 5, [19] * 5]


def test_the_same_generator_draws_the_same_pixels():
    images = decode_records(records(*TWO))
    first, second, other = (
        sample_batch(images, {1: 0}, torch.tensor([5.0]), 50, generator(seed)).pixel for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@settings(max_examples=30)
@given(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(0.3, 3))
def test_looking_at_a_point_is_the_least_turn_that_does_it(x, y, z):
    centre = torch.tensor([[x * z, y * z, z]], dtype=torch.float64)
    T = look_at(centre)[0]
    R = T[:3, :3]
    assert torch.allclose(R @ R.T, torch.eye(3, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(R[:, 2], centre[0] / centre[0].norm(), atol=1e-9)
    angle = torch.acos(((R.trace() - 1) / 2).clamp(-1, 1))
    assert torch.isclose(angle, torch.acos(R[2, 2].clamp(-1, 1)), atol=1e-6)


@pytest.mark.parametrize("num_points", [1, 100, 2000])
@pytest.mark.parametrize("diameter_m", [5.0, 0.02, 1e-6])
def test_both_back_ends_sample_the_same_pixels(num_points, diameter_m):
    """Of masks near the middle depth, half of it, and (with a thousandth of a millimetre) hardly any of it."""
    images = decode_records(records(*TWO))
    mask, depth_m = images.mask.clone(), images.depth_m.clone()
    mask[1] = False  # no pixel at all
    depth_m[0, ::3] = 0.0
    images = replace(images, mask=mask, depth_m=depth_m)
    found, expected = (
        sample_batch(images, {1: 0}, torch.tensor([diameter_m]), num_points, generator(), backend)
        for backend in ("numba", "torch")
    )
    assert torch.equal(found.pixel, expected.pixel)
    assert torch.allclose(found.points_crop_m, expected.points_crop_m, atol=1e-6)
    assert torch.allclose(found.T_cam_crop, expected.T_cam_crop, atol=1e-6)
    surfaces = (surface_map(images, expected.T_cam_crop, backend) for backend in ("numba", "torch"))
    assert torch.allclose(*surfaces, atol=1e-6)
