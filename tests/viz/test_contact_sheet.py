"""Crops, strips and sheets of instances."""

import numpy as np
import pytest

from selfpose6d.viz.contact_sheet import (
    GAP_PX,
    TILE_PX,
    SheetEntry,
    crop_around,
    draw_contact_sheet,
    draw_strip,
)
from selfpose6d.viz.overlay import DrawnPose, silhouettes
from selfpose6d.viz.palette import BACKGROUND_RGB, TRUTH_RGB


@pytest.fixture
def entry(K, T_cam_obj) -> SheetEntry:
    """The box, observed as a red rectangle at its position."""
    rgb = np.zeros((120, 160, 3), np.uint8)
    rgb[49:71, 69:112] = (200, 0, 0)
    return SheetEntry(rgb, K, DrawnPose(0, T_cam_obj, "box", "rejected"), ("a line",))


def test_crop_and_its_camera_fit_together(meshes, entry):
    crop, K_crop = crop_around(meshes, entry)
    assert crop.shape == (TILE_PX, TILE_PX, 3)
    mask = silhouettes(meshes, [entry.pose], K_crop, (TILE_PX, TILE_PX))[0]
    red = crop[..., 0] > 100
    assert (mask & red).sum() / (mask | red).sum() > 0.9
    columns = np.nonzero(mask)[1]
    assert abs((columns.min() + columns.max()) / 2 - (TILE_PX - 1) / 2) < 2
    assert 0.6 < np.ptp(columns) / TILE_PX < 0.9


def test_crop_holds_the_true_position_too(meshes, entry, K):
    T_true = entry.pose.T_cam_obj.copy()
    T_true[0, 3] = -0.2
    both = SheetEntry(entry.rgb, K, entry.pose, (), T_true)
    _, K_crop = crop_around(meshes, both)
    masks = silhouettes(meshes, [entry.pose, DrawnPose(0, T_true)], K_crop, (TILE_PX, TILE_PX))
    whole = silhouettes(meshes, [entry.pose, DrawnPose(0, T_true)], K, (120, 160))
    scale = K_crop[0, 0] / K[0, 0]
    np.testing.assert_allclose(masks.sum(axis=(1, 2)), whole.sum(axis=(1, 2)) * scale**2, rtol=0.08)


def test_strip_shows_observed_image_rendering_and_outline(meshes, entry):
    strip = draw_strip(meshes, SheetEntry(entry.rgb, entry.K, DrawnPose(0, entry.pose.T_cam_obj), ()))
    assert strip.shape == (TILE_PX, 3 * TILE_PX, 3)
    middle = TILE_PX // 2
    np.testing.assert_array_equal(strip[middle, middle], (200, 0, 0))
    np.testing.assert_allclose(strip[middle, TILE_PX + middle].astype(int), (0, 200, 0), atol=1)
    np.testing.assert_array_equal(strip[2, TILE_PX + 2], BACKGROUND_RGB)
    assert (strip[:, 2 * TILE_PX :] != strip[:, :TILE_PX]).any()


def test_true_outline_is_white(meshes, entry):
    T_true = entry.pose.T_cam_obj.copy()
    T_true[1, 3] = 0.15
    plain = draw_strip(meshes, SheetEntry(entry.rgb, entry.K, DrawnPose(0, entry.pose.T_cam_obj), ()))
    known = draw_strip(meshes, SheetEntry(entry.rgb, entry.K, DrawnPose(0, entry.pose.T_cam_obj), (), T_true))
    # Antialiased lines are not fully white.
    white = [(np.abs(strip.astype(int) - TRUTH_RGB) < 60).all(-1).sum() for strip in (known, plain)]
    assert white[0] > 100 > 5 > white[1]


def test_captions_stand_underneath(meshes, entry):
    bare, two_lines = draw_strip(meshes, entry, 0), draw_strip(meshes, entry, 2)
    assert two_lines.shape[0] > bare.shape[0] + 20
    np.testing.assert_array_equal(two_lines[: bare.shape[0]], bare)
    assert (two_lines[bare.shape[0] :] > 200).any()


def test_sheet_is_a_grid(meshes, entry):
    strip = draw_strip(meshes, entry, 1)
    sheet = draw_contact_sheet(meshes, [entry] * 3, columns=2)
    assert sheet.shape == (2 * (strip.shape[0] + GAP_PX) + GAP_PX, 2 * (strip.shape[1] + GAP_PX) + GAP_PX, 3)
    np.testing.assert_array_equal(
        sheet[GAP_PX : GAP_PX + len(strip), GAP_PX : GAP_PX + strip.shape[1]], strip
    )
    with pytest.raises(ValueError, match="at least one"):
        draw_contact_sheet(meshes, [])


def test_an_object_out_of_view_shows_the_whole_image(meshes, entry):
    T = entry.pose.T_cam_obj.copy()
    T[2, 3] = -1
    crop, _ = crop_around(meshes, SheetEntry(entry.rgb, entry.K, DrawnPose(0, T), ()))
    assert (crop[..., 0] > 100).any()
