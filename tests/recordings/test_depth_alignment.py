"""Depth moved from one camera into another, against a scene whose depth is known along every ray."""

import cv2
import numpy as np
import pytest
from box_scene import BOX_Z_M, T_COLOUR_DEPTH, camera, depth_of_rays, rays_of

from selfpose6d.errors import DataError
from selfpose6d.recordings.align import make_aligner, require_extrinsics
from selfpose6d.recordings.camera import Camera, pixel_grid, undistorted_rays

DEPTH_SIZE = (320, 240)


def aligned_and_true(colour_size, colour_focal_px, depth_camera=None):
    """The box scene's depth, aligned; what the colour camera sees; whether that is the box."""
    K_colour, K_depth = camera(colour_focal_px, colour_size), camera(300, DEPTH_SIZE)
    depth_camera = depth_camera or Camera(K_depth, DEPTH_SIZE)
    rays = undistorted_rays(depth_camera, pixel_grid(DEPTH_SIZE)).reshape(*DEPTH_SIZE[::-1], 2)
    depth_m, _ = depth_of_rays(rays, T_COLOUR_DEPTH)
    align = make_aligner(depth_camera, DEPTH_SIZE, T_COLOUR_DEPTH, K_colour, colour_size)
    true_m, is_box = depth_of_rays(rays_of(K_colour, colour_size), np.eye(4))
    return align(depth_m.astype(np.float32)), true_m, is_box


def away_from_edges(is_box: np.ndarray, pixels: int) -> np.ndarray:
    """Not within so many pixels of the box's outline."""
    kernel = np.ones((2 * pixels + 1,) * 2, np.uint8)
    return cv2.dilate(is_box.astype(np.uint8), kernel) == cv2.erode(is_box.astype(np.uint8), kernel)


def within_surfaces(aligned_m: np.ndarray, is_box: np.ndarray) -> np.ndarray:
    """Known, and neither at the box's outline nor beside what is unknown: there a pixel stands for its whole area."""
    unknown = np.pad((aligned_m == 0).astype(np.uint8), 4, constant_values=1)
    near_unknown = cv2.dilate(unknown, np.ones((9, 9), np.uint8))[4:-4, 4:-4] > 0
    return away_from_edges(is_box, 4) & ~near_unknown


@pytest.mark.parametrize(("size", "focal_px"), [((320, 240), 300), ((640, 480), 640), ((200, 150), 170)])
def test_depth_of_planes_is_exact(size, focal_px):
    aligned_m, true_m, is_box = aligned_and_true(size, focal_px)
    compared = within_surfaces(aligned_m, is_box)
    assert np.abs(aligned_m - true_m)[compared].max() < 2e-6
    assert compared.sum() > 0.4 * compared.size


@pytest.mark.parametrize(("size", "focal_px"), [((320, 240), 300), ((1280, 960), 1280), ((200, 150), 170)])
def test_surfaces_have_no_holes(size, focal_px):
    """On the box, and on the wall but for what the box hides from the depth camera."""
    aligned_m, _, is_box = aligned_and_true(size, focal_px)
    pixel = size[0] / DEPTH_SIZE[0]  # the outline is as sharp as the depth image
    kernel = np.ones((2 * int(np.ceil(pixel)) + 1,) * 2, np.uint8)
    assert (aligned_m[cv2.erode(is_box.astype(np.uint8), kernel) > 0] > 0).all()
    band = (
        round(focal_px * 0.041 * (1 / BOX_Z_M - 1 / 1.5)) + 3
    )  # the greatest disparity between box and wall
    kernel = np.ones((2 * band + 1,) * 2, np.uint8)
    wall = cv2.dilate(is_box.astype(np.uint8), kernel) == 0
    border = size[0] // 5
    wall[:border], wall[-border:], wall[:, :border], wall[:, -border:] = False, False, False, False
    assert wall.sum() > 0.05 * wall.size
    assert (aligned_m[wall] > 0).all()


def test_near_surfaces_hide_far_ones_and_what_they_hide_stays_unknown():
    aligned_m, true_m, is_box = aligned_and_true((640, 480), 600)
    known = aligned_m > 0
    # at the edge of a surface a pixel of 1.5 m / 300 has one depth, the wall is slanted by 0.3
    assert np.abs(aligned_m - true_m)[known & away_from_edges(is_box, 2)].max() < 0.0015
    shadow = ~known & ~is_box
    shadow[:80], shadow[-80:], shadow[:, :80], shadow[:, -80:] = False, False, False, False
    # 40 mm to the side: the box hides f * b * (1/z_box - 1/z_wall) = 14 columns of the wall beside it
    rows = np.flatnonzero(shadow.any(1))
    widths = shadow[rows[len(rows) // 4] : rows[-len(rows) // 4]].sum(1)
    assert 8 <= np.median(widths) <= 20


def test_no_depth_is_made_up_between_box_and_wall():
    aligned_m, true_m, is_box = aligned_and_true((640, 480), 600)
    edge = ~away_from_edges(is_box, 4) & (aligned_m > 0)
    wall_m = np.where(is_box, np.nan, true_m)
    nearest_wall_m = np.nanmin(wall_m)
    between = (aligned_m > BOX_Z_M + 0.01) & (aligned_m < nearest_wall_m - 0.01)
    assert edge.sum() > 1000
    assert not between[edge].any()


def test_lens_distortion_of_the_depth_camera_is_taken_out():
    lens = Camera(camera(300, DEPTH_SIZE), DEPTH_SIZE, "brown", (0.12, -0.2, 0.002, -0.001, 0.05))
    aligned_m, true_m, is_box = aligned_and_true((320, 240), 300, lens)
    compared = within_surfaces(aligned_m, is_box)
    assert compared.sum() > 30000
    assert np.abs(aligned_m - true_m)[compared].max() < 1e-5


def test_a_loose_pixel_covers_its_area():
    """One known pixel of a coarse depth camera is a square of four by four colour pixels."""
    size, K_depth = (40, 30), np.array([[40.0, 0, 19.5], [0, 40.0, 14.5], [0, 0, 1]])
    K_colour = np.array([[160.0, 0, 79.5], [0, 160.0, 59.5], [0, 0, 1]])
    depth_m = np.zeros((30, 40), np.float32)
    depth_m[10, 20] = 1.5
    aligned_m = make_aligner(Camera(K_depth), size, np.eye(4), K_colour, (160, 120))(depth_m)
    # the pixel covers u 19.5 to 20.5: times 4, colour columns 80 to 83
    assert np.argwhere(aligned_m > 0).min(0).tolist() == [40, 80]
    assert np.argwhere(aligned_m > 0).max(0).tolist() == [43, 83]
    assert (aligned_m[40:44, 80:84] == 1.5).all()


def test_identity_changes_nothing():
    K, size = camera(300, DEPTH_SIZE), DEPTH_SIZE
    depth_m = depth_of_rays(rays_of(K, size), np.eye(4))[0].astype(np.float32)
    depth_m[50:60, 70:80] = 0
    aligned_m = make_aligner(Camera(K), size, np.eye(4), K, size)(depth_m)
    np.testing.assert_allclose(aligned_m, depth_m, atol=1e-5)


def test_extrinsics_that_cannot_be():
    millimetres = T_COLOUR_DEPTH.copy()
    millimetres[:3, 3] *= 1000
    with pytest.raises(DataError, match=r"41\.5 m between depth and colour camera.*in metres"):
        require_extrinsics(millimetres, "file")
    with pytest.raises(DataError, match="mirror the scene"):
        require_extrinsics(np.diag([1.0, 1, -1, 1]), "file")
    with pytest.raises(DataError, match="rotation is none"):
        require_extrinsics(np.diag([2.0, 1, 1, 1]), "file")
