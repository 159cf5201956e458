"""Regions cut into surfaces: the plane around goes, what stands before it is told apart by jumps of depth."""

import cv2
import numpy as np
import pytest

from labeling.conftest import HEIGHT, WIDTH, K
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.region import is_box, segments

LENGTHS = Lengths(0.15, 0.001)
V, U = np.mgrid[:HEIGHT, :WIDTH]


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two discs before a tilted wall, 0.7 and 0.85 m away and next to each other; and their masks."""
    depth_m = 1.2 / (1 + 0.3 * (U - WIDTH / 2) / WIDTH)
    near, far = ((V - 120) ** 2 + (U - u) ** 2 < 40**2 for u in (130, 195))
    far &= ~near
    depth_m = np.where(far, 0.85, np.where(near, 0.7, depth_m))
    return depth_m.astype(np.float32), near, far


def box_around(mask: np.ndarray) -> np.ndarray:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    box = np.zeros_like(mask)
    box[y - 3 : y + h + 3, x - 3 : x + w + 3] = True
    return box


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_filled_rectangles_are_boxes_and_outlines_are_not():
    _, near, _ = scene()
    assert is_box(box_around(near))
    assert is_box(np.ones((1, 1), bool))
    assert not is_box(near)
    assert not is_box(np.zeros((10, 10), bool))
    turned = cv2.fillPoly(np.zeros((90, 90), np.uint8), [np.array([[45, 5], [85, 40], [45, 80], [5, 40]])], 1)
    assert not is_box(turned.astype(bool))


def test_the_surface_in_the_middle_of_the_box_comes_first():
    depth_m, near, far = scene()
    for wanted in (near, far):
        found = list(segments(box_around(wanted), depth_m, K, LENGTHS))
        assert overlap(found[0], wanted) > 0.9
        assert all(part.shape == depth_m.shape for part in found)


def test_the_plane_behind_is_no_surface_of_the_object():
    depth_m, near, far = scene()
    wall = ~near & ~far
    for part in segments(box_around(near), depth_m, K, LENGTHS):
        assert (part & wall).sum() < 0.02 * part.sum()


def test_a_box_about_both_holds_two_surfaces():
    depth_m, near, far = scene()
    found = list(segments(box_around(near | far), depth_m, K, LENGTHS))
    for wanted in (near, far):
        assert max(overlap(part, wanted) for part in found) > 0.9


def test_a_scribble_grows_to_the_surface_that_it_touches():
    depth_m, near, _ = scene()
    scribble = (np.abs(V - 120 - (U - 130)) < 4) & (np.abs(U - 130) < 15)
    found = list(segments(scribble, depth_m, K, LENGTHS))
    assert overlap(found[0], near) > 0.9


def test_a_surface_larger_than_the_object_is_left_out():
    depth_m, near, _ = scene()
    tiny = Lengths(0.03, 0.001)
    whole = [part for part in segments(box_around(near), depth_m, K, tiny) if overlap(part, near) > 0.9]
    assert len(whole) <= 1, "only the region itself, as a last resort"


@pytest.mark.parametrize("unknown", ["all", "inside"])
def test_no_depth_no_surface(unknown):
    depth_m, near, _ = scene()
    box = box_around(near)
    depth_m[box if unknown == "inside" else slice(None)] = 0
    assert list(segments(box, depth_m, K, LENGTHS)) == []


def test_a_region_at_the_images_corner():
    depth_m, _, _ = scene()
    depth_m[:50, :50] = 0.7
    box = np.zeros(depth_m.shape, bool)
    box[:52, :52] = True
    corner = np.zeros(depth_m.shape, bool)
    corner[:50, :50] = True
    found = list(segments(box, depth_m, K, LENGTHS))
    assert overlap(found[0], corner) > 0.9
