"""Crops: the square, its intrinsics, what lies outside the image, why an instance is skipped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from crop_frames import frame
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.crops.batch import decode_records
from selfpose6d.crops.crop import NetworkCrop, crop_instance, nearest_source_px, pack_crop, square_box
from selfpose6d.geometry.camera import project
from selfpose6d.types import PoseEstimate


def cut(rows=slice(10, 30), columns=slice(20, 50), size_px=32) -> NetworkCrop:
    scene = frame(rows, columns)
    crop = crop_instance(scene, scene.instances[0], size_px)
    assert isinstance(crop, NetworkCrop)
    return crop


def columns_px(crop: NetworkCrop) -> np.ndarray:
    return nearest_source_px(crop.box.left_px, crop.box.side_px, len(crop.rgb))


def rows_px(crop: NetworkCrop) -> np.ndarray:
    return nearest_source_px(crop.box.top_px, crop.box.side_px, len(crop.rgb))


def test_the_square_by_hand():
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:50] = True
    box = square_box(mask, margin=0.1)
    assert box.side_px == 36
    assert (box.left_px, box.top_px) == (17, 2)


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 50), st.integers(1, 8), st.integers(1, 14))
def test_the_square_holds_the_mask_with_its_margin(top, left, height, width):
    mask = np.zeros((48, 64), bool)
    mask[top : top + height, left : left + width] = True
    box = square_box(mask)
    margin = 0.1 * max(height, width) - 1
    assert box.left_px <= left - margin
    assert box.top_px <= top - margin
    assert box.left_px + box.side_px >= left + width + margin
    assert box.top_px + box.side_px >= top + height + margin


@settings(max_examples=20)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(10, 28), st.sampled_from([16, 32, 64]))
def test_depth_and_mask_come_from_the_pixels_that_the_crop_names(top, left, side, size_px):
    crop = cut(slice(top, top + side), slice(left, left + side), size_px)
    inside = (columns_px(crop) >= 0) & (columns_px(crop) < 64)
    known = crop.depth_m > 0
    expected = np.broadcast_to(1.0 + 1e-3 * columns_px(crop), known.shape)
    assert np.allclose(crop.depth_m[known], expected[known])
    assert not known[:, ~inside].any()
    rows = (rows_px(crop) >= top) & (rows_px(crop) < top + side)
    columns = (columns_px(crop) >= left) & (columns_px(crop) < left + side)
    assert np.array_equal(crop.mask, rows[:, None] & columns)


def test_a_crop_of_the_boxs_own_size_is_a_copy():
    crop = cut(slice(10, 30), slice(20, 40), size_px=24)
    assert crop.box.side_px == 24
    assert np.array_equal(crop.rgb[..., 0], np.broadcast_to(columns_px(crop), (24, 24)))
    assert np.array_equal(crop.rgb[..., 1], np.broadcast_to(rows_px(crop)[:, None], (24, 24)))


def test_a_point_projects_to_the_same_place_of_the_crop():
    crop = cut(size_px=64)
    point = torch.tensor([[0.02, -0.05, 1.03]], dtype=torch.float64)
    u, v = project(point, torch.from_numpy(crop.K))[0].tolist()
    u_crop, v_crop = project(point, decode_records(pack_crop(crop)).K_crop[0].double())[0].tolist()
    scale = 64 / crop.box.side_px
    assert u_crop == pytest.approx((u - crop.box.left_px + 0.5) * scale - 0.5)
    assert v_crop == pytest.approx((v - crop.box.top_px + 0.5) * scale - 0.5)


def test_resized_colours_stay_at_their_place():
    crop = cut(slice(4, 44), slice(10, 50), size_px=24)
    centre = crop.box.left_px - 0.5 + (np.arange(24) + 0.5) * crop.box.side_px / 24
    assert np.allclose(crop.rgb[12, 2:22, 0], centre[2:22], atol=1.0)


def test_outside_the_image_is_black_unknown_and_not_the_object():
    crop = cut(slice(0, 30), slice(0, 30))
    outside = columns_px(crop) < 0
    assert outside.any()
    assert not crop.rgb[:, :1][:, outside[:1]].any()
    assert not crop.mask[:, outside].any()
    assert not crop.depth_m[:, outside].any()


@pytest.mark.parametrize("usable", [0, 49, 50])
def test_fewer_than_50_points_are_skipped_with_the_reason(usable: int):
    scene = frame()
    depth_m = np.zeros_like(scene.depth_m)
    rows, columns = np.nonzero(scene.instances[0].mask)
    depth_m[rows[:usable], columns[:usable]] = 1.0
    crop = crop_instance(replace(scene, depth_m=depth_m), scene.instances[0], 32)
    if usable < 50:
        assert isinstance(crop, PoseEstimate)
        assert crop.reason == f"too few points: {usable} mask pixels with depth, need 50"
    else:
        assert isinstance(crop, NetworkCrop)


def test_source_pixels_of_a_halved_side():
    assert nearest_source_px(10.0, 8.0, 4).tolist() == [11, 13, 15, 17]
    assert nearest_source_px(10.0, 2.0, 4).tolist() == [10, 10, 11, 11]
