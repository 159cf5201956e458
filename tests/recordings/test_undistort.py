"""Lens distortion: both directions of every model, against OpenCV where it has the model, and images."""

import cv2
import numpy as np
import pytest

from selfpose6d.recordings.camera import Camera, distorted_pixels, is_seen, pixel_grid, undistorted_rays
from selfpose6d.recordings.undistort import undistort_maps

SIZE = (320, 240)
K = np.array([[260.0, 0, 158.3], [0, 262.0, 121.7], [0, 0, 1]])
LENSES = {
    "brown": (-0.28, 0.09, 0.001, -0.002, 0.0),
    "rational": (0.5, -2.6, 0.0008, -0.0003, 1.5, 0.4, -2.4, 1.4),  # Azure Kinect's colour camera
    "inverse_brown": (-0.05, 0.06, 0.0005, -0.0004, -0.02),
    "fisheye": (0.05, -0.01, 0.003, -0.001),
}


def lens(name: str) -> Camera:
    """A camera with this lens."""
    return Camera(K, SIZE, "brown" if name == "rational" else name, LENSES[name])  # pyright: ignore


@pytest.mark.parametrize("name", LENSES)
def test_there_and_back(name):
    camera, uv = lens(name), pixel_grid(SIZE)
    rays = undistorted_rays(camera, uv)
    np.testing.assert_allclose(distorted_pixels(camera, rays), uv, atol=1e-6)
    straight = undistorted_rays(Camera(K), uv)
    assert np.abs(rays - straight).max() * K[0, 0] > 2  # the lens bends by more than two pixels


def test_as_opencv_projects():
    rays = np.random.default_rng(0).uniform(-0.5, 0.5, (50, 2))
    xyz = np.concatenate([rays, np.ones((50, 1))], -1)
    zero = np.zeros(3)
    prism = (*LENSES["rational"], 0.01, -0.02, 0.03, -0.01)
    for camera in (lens("brown"), lens("rational"), Camera(K, SIZE, "brown", prism)):
        expected = cv2.projectPoints(xyz, zero, zero, K, np.array(camera.coefficients))[0][:, 0]
        np.testing.assert_allclose(distorted_pixels(camera, rays), expected, atol=1e-9)
    expected = cv2.fisheye.projectPoints(xyz[None], zero, zero, K, np.array(LENSES["fisheye"]))[0][0]
    np.testing.assert_allclose(distorted_pixels(lens("fisheye"), rays), expected, atol=1e-9)


def test_inverse_brown_by_hand():
    """RealSense's polynomial takes the pixel's coordinates: k1 = 0.1 makes 0.5 (1 + 0.1 * 0.25) of 0.5."""
    camera = Camera(
        np.array([[100.0, 0, 50], [0, 100, 50], [0, 0, 1]]), None, "inverse_brown", (0.1, 0.0, 0.0, 0.0, 0.0)
    )
    np.testing.assert_allclose(undistorted_rays(camera, np.array([[100.0, 50.0]])), [[0.5125, 0]], atol=1e-12)


def pattern(rays: np.ndarray) -> np.ndarray:
    """An image (height, width, 3) of waves over the rays: what every camera at this place sees."""
    x, y = rays.reshape(SIZE[1], SIZE[0], 2).transpose(2, 0, 1)
    waves = np.stack([np.sin(30 * x + 8 * y), np.cos(9 * x - 30 * y), np.sin(25 * (x + y))], -1)
    return np.rint(127 + 120 * waves).astype(np.uint8)


@pytest.mark.parametrize("name", LENSES)
def test_images_become_those_of_a_pinhole_camera(name):
    camera, uv = lens(name), pixel_grid(SIZE)
    taken, expected = pattern(undistorted_rays(camera, uv)), pattern(undistorted_rays(Camera(K), uv))
    maps = undistort_maps(camera, SIZE)
    seen = maps.depth(np.ones(SIZE[::-1], np.uint16)) > 0
    seen = cv2.erode(seen.astype(np.uint8), np.ones((3, 3))) > 0
    assert seen.mean() > 0.8
    error = np.abs(maps.colour(taken).astype(int) - expected)[seen]
    assert error.max() <= 6  # a pixel off would be 13
    assert np.abs(taken.astype(int) - expected)[seen].max() > 20


def test_depth_is_never_mixed_over_an_edge():
    depth = np.where(np.arange(320) < 160, 700, 1900).astype(np.uint16) * np.ones((240, 1), np.uint16)
    flat = undistort_maps(lens("brown"), SIZE).depth(depth)
    assert set(np.unique(flat).tolist()) <= {0, 700, 1900}
    assert (flat == 700).sum() > 30000


def test_outside_the_taken_image_is_unknown():
    """A pincushion lens leaves the pinhole image's corners empty; depth and colour are empty alike."""
    camera = Camera(K, SIZE, "brown", (0.3, 0.0, 0.0, 0.0, 0.0))
    maps = undistort_maps(camera, SIZE)
    depth = maps.depth(np.full((240, 320), 900, np.uint16))
    colour = maps.colour(np.full((240, 320, 3), 255, np.uint8))
    assert depth[0, 0] == 0
    assert colour[0, 0].tolist() == [0, 0, 0]
    assert depth[120, 160] == 900


def test_a_lens_model_that_folds_back_shows_nothing_twice():
    """With a strong negative k1 the polynomial turns around at a radius of 0.67: what lies beyond is not seen."""
    camera = Camera(K, SIZE, "brown", (-0.75, 0.0, 0.0, 0.0, 0.0))
    rays = np.array([[0.3, 0.0], [0.6, 0.0], [0.9, 0.0], [1.1, 0.0]])
    assert is_seen(camera, rays).tolist() == [True, True, False, False]


def test_no_distortion_no_maps():
    assert undistort_maps(Camera(K), SIZE) is None
