"""Pictures to judge a pose by: one crop for all poses, colours where they belong, signs of depth."""

from dataclasses import replace

import numpy as np
import pytest

from selfpose6d.types import Frame
from selfpose6d.viz.overlay import DrawnPose, silhouettes
from selfpose6d.viz.palette import STATUS_RGB
from selfpose6d.viz.pose_crop import (
    PoseCrop,
    crop_about,
    draw_depth_difference,
    draw_outlines,
    draw_rendering,
)

SIZE_PX = 200


def at(x_m: float, z_m: float, status: str = "certified") -> DrawnPose:
    T = np.eye(4)
    T[:3, 3] = x_m, 0, z_m
    return DrawnPose(0, T, status=status)


@pytest.fixture
def frame(K, meshes) -> Frame:
    """The front of a box at 1 m, measured; red, before a grey wall at 1.5 m."""
    mask = silhouettes(meshes, [at(0, 1)], K, (120, 160))[0]
    rgb = np.where(mask[..., None], (200, 0, 0), (90, 90, 90)).astype(np.uint8)
    depth_m = np.where(mask, 0.95, 1.5).astype(np.float32)
    return Frame("test", 0, 1, rgb, depth_m, K, ())


@pytest.fixture
def mask(K, meshes) -> np.ndarray:
    return silhouettes(meshes, [at(0, 1)], K, (120, 160))[0]


@pytest.fixture
def crop(frame, mask, meshes) -> PoseCrop:
    return crop_about(frame, mask, meshes, [at(0, 1)], SIZE_PX)


def test_the_crop_holds_the_mask_and_all_poses(frame, mask, meshes):
    alone = crop_about(frame, mask, meshes, [at(0, 1)], SIZE_PX)
    both = crop_about(frame, mask, meshes, [at(0, 1), at(0.15, 1)], SIZE_PX)
    assert both.K[0, 0] < alone.K[0, 0]
    for pose in (at(0, 1), at(0.15, 1)):
        (inside,) = silhouettes(meshes, [pose], both.K, (SIZE_PX, SIZE_PX))
        assert inside.any()
        assert not any(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_the_crop_fits_its_camera(crop, meshes):
    (silhouette,) = silhouettes(meshes, [at(0, 1)], crop.K, crop.mask.shape)
    assert (silhouette & crop.mask).sum() / (
        silhouette | crop.mask
    ).sum() > 0.92  # of pixels 3 times as large
    centres = [np.mean(np.nonzero(one), axis=1) for one in (silhouette, crop.mask)]
    np.testing.assert_allclose(*centres, atol=1.6)


def test_nothing_in_view_gives_the_image(frame, meshes):
    crop = crop_about(frame, np.zeros((120, 160), bool), meshes, [at(0, -1)], SIZE_PX)
    assert crop.rgb.shape == (SIZE_PX, SIZE_PX, 3)
    assert (crop.rgb[..., 0] == 200).any()


def test_the_rendering_replaces_the_image_where_the_mesh_is(crop, meshes):
    image = draw_rendering(crop, meshes, at(0, 1))
    assert image[100, 100].tolist() == [0, 200, 0]
    assert image[2, 2].tolist() == crop.rgb[2, 2].tolist()


def test_outlines_leave_the_middle_as_it_is(crop, meshes):
    image = draw_outlines(crop, meshes, at(0.04, 1, "rejected"))
    assert (image == STATUS_RGB["rejected"]).all(-1).any()
    assert np.abs(image.astype(int) - crop.rgb).max(-1).mean() < 40


@pytest.mark.parametrize(
    ("z_m", "expected"),
    [(1.0, "white"), (0.99, "blue"), (1.01, "red")],
)
def test_depth_says_in_front_or_behind(crop, meshes, z_m, expected):
    red, green, blue = draw_depth_difference(crop, meshes, at(0, z_m))[100, 100].astype(int)
    if expected == "white":
        assert min(red, green, blue) > 240
    elif expected == "blue":
        assert blue > 240
        assert red < 220
    else:
        assert red > 240
        assert blue < 220


def test_depth_shows_the_image_where_nothing_is_known_or_something_hides_the_mesh(crop, meshes):
    unknown = replace(crop, depth_m=np.zeros_like(crop.depth_m))
    nearer = replace(crop, depth_m=np.full_like(crop.depth_m, 0.5), mask=np.zeros_like(crop.mask))
    for other in (unknown, nearer):
        pixel = draw_depth_difference(other, meshes, at(0, 1))[100, 100]
        assert len(set(pixel.tolist())) == 1
        assert pixel[0] < 60
    through = replace(nearer, mask=crop.mask)  # the object's own pixels: the mesh is behind what was measured
    assert draw_depth_difference(through, meshes, at(0, 1))[100, 100].tolist() == [255, 70, 50]
