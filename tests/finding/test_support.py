import numpy as np

from finding.conftest import TABLE, nearest, plane_depth, seen
from selfpose6d.finding.support import find_planes
from selfpose6d.finding.surface import Surface


def raised(height_m: float, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Depth of the table, and above it the tops of boxes seen in these rectangles (top, left, bottom, right)."""
    normal, offset = TABLE
    top = plane_depth(normal, offset + height_m)
    shown = np.zeros_like(top)
    for y1, x1, y2, x2 in boxes:
        shown[y1:y2, x1:x2] = top[y1:y2, x1:x2]
    return nearest(plane_depth(normal, offset), shown)


def test_a_table_and_a_wall_are_found_where_they_are():
    wall = np.array([0.0, 0, -1.0]), -1.1
    surface = Surface.of(seen(nearest(plane_depth(*TABLE), plane_depth(*wall))))
    planes = find_planes(surface, 0.2)
    assert len(planes) == 2
    for normal, offset in (TABLE, wall):
        nearest_plane = max(planes, key=lambda plane: plane.normal @ normal)
        assert nearest_plane.normal @ normal > 0.999
        assert abs(nearest_plane.offset_m - offset) < 0.003
    assert (sum(plane.on_it.astype(int) for plane in planes) > 0).mean() > 0.9


def test_what_stands_above_a_plane_is_not_on_it():
    depth = raised(0.05, (200, 250, 300, 390))
    surface = Surface.of(seen(depth))
    (plane,) = find_planes(surface, 0.25)
    top = surface.from_image(depth != plane_depth(*TABLE))
    assert plane.on_it[top].mean() < 0.02
    assert plane.on_it[~top].mean() > 0.95
    assert np.median(plane.height_m(surface.points_cam_m[top])) - 0.05 < 0.002


def test_tops_of_equal_boxes_are_no_support():
    boxes = [(y, x, y + 90, x + 110) for y in (120, 260) for x in (40, 200, 360, 500)]
    surface = Surface.of(seen(raised(0.08, *boxes)))
    planes = find_planes(surface, 0.3)
    assert len(planes) == 1
    assert abs(planes[0].offset_m - TABLE[1]) < 0.003


def test_a_face_smaller_than_an_object_is_no_support():
    depth = np.zeros((480, 640), np.float32)
    depth[200:280, 280:360] = 0.8
    assert find_planes(Surface.of(seen(depth)), 0.2) == []
