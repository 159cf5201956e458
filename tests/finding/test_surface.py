import numpy as np
import pytest

from finding.conftest import SHAPE, K, nearest, plane_depth, seen
from selfpose6d.finding.surface import Surface
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.types import Frame


def test_normals_of_a_noisy_slanted_plane_are_its_own():
    normal = np.array([0.3, -0.5, -0.8]) / np.linalg.norm([0.3, -0.5, -0.8])
    depth = plane_depth(normal, -0.7)
    noise = np.random.default_rng(0).normal(0, 0.001, depth.shape).astype(np.float32)
    surface = Surface.of(seen(np.where(depth > 0, depth + noise, 0)))
    inner = surface.normal[10:-10, 10:-10]
    inner = inner[inner[..., 2] < 0]
    off = np.degrees(np.arccos(np.clip(inner @ normal, -1, 1)))
    assert len(inner) > 10_000
    assert np.median(off) < 2.5
    assert np.quantile(off, 0.95) < 6


def test_a_steep_plane_is_not_torn_and_a_step_is():
    steep = plane_depth(np.array([0.93, 0, -0.367]), -0.3)
    wall = plane_depth(np.array([0.0, 0, -1]), -0.8)
    step = wall.copy()
    step[:, :320] -= 0.03
    assert Surface.of(seen(np.where(steep < 1.5, steep, 0))).torn.mean() < 0.01
    torn = Surface.of(seen(step)).torn
    assert torn[:, 159:161].all()
    assert not torn[:, :150].any()
    assert not torn[:, 170:].any()


def test_only_a_concave_fold_is_a_fold():
    left, right = np.array([0.6, 0, -0.8]), np.array([-0.6, 0, -0.8])
    corner = nearest(plane_depth(left, -0.8), plane_depth(right, -0.8))
    planes = np.stack([plane_depth(left, -0.8), plane_depth(right, -0.8)])
    ridge = planes.max(0)
    concave, convex = (Surface.of(seen(depth)).fold_rad[60:180, 150:170].max() for depth in (corner, ridge))
    folds = sorted([concave, convex])
    assert folds[0] < 0.2
    assert folds[1] == pytest.approx(2 * np.arcsin(0.6), abs=0.15)


def test_nothing_measured_is_no_surface():
    surface = Surface.of(seen(np.zeros((480, 640), np.float32)))
    assert not surface.known.any()
    assert not surface.torn.any()
    assert not surface.normal.any()


def test_masks_go_to_the_image_and_back():
    surface = Surface.of(seen(plane_depth(np.array([0, 0, -1.0]), -1)))
    mask = np.random.default_rng(0).random(surface.known.shape) > 0.5
    whole = surface.to_image(mask)
    assert whole.shape == (480, 640)
    np.testing.assert_array_equal(surface.from_image(whole), mask)


def test_where_depth_is_unknown_the_nearest_known_one_stands_in():
    depth = plane_depth(np.array([0.0, 0.0, -1.0]), -1.0)
    depth[200:280, 300:340] = 0
    surface = Surface.of(seen(depth))
    filled = surface.filled_cam_m
    np.testing.assert_allclose(filled[..., 2], 1.0, atol=1e-5)
    np.testing.assert_allclose(filled[..., 0], surface.rays[..., 0], atol=1e-5)
    assert not surface.known[120, 160]
    assert not Surface.of(seen(np.zeros(SHAPE, np.float32))).filled_cam_m.any()


@pytest.mark.parametrize(("height", "width"), [(479, 640), (481, 639), (480, 645), (1200, 1944)])
def test_masks_of_any_image_size_come_back_whole(height, width):
    depth = np.full((height, width), 1.0, np.float32)
    frame = Frame("test", 0, 0, np.zeros((height, width, 3), np.uint8), depth, K, ())
    surface = Surface.of(ObservedFrame.of(frame))
    whole = surface.to_image(np.ones(surface.known.shape, bool))
    assert whole.shape == (height, width)
    assert whole.all()
