"""Polygons of mesh files as triangles: the area, the outline and the outside stay what they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.meshes import polygons
from selfpose6d.meshes.io import load_mesh
from selfpose6d.meshes.polygons import polygon_triangles

U = [(0, 0), (30, 0), (30, 30), (20, 30), (20, 10), (10, 10), (10, 30), (0, 30)]
"""900 without 20 x 10: 700."""
DART = [(0, 0), (10, 2), (20, 0), (10, 20)]
"""A triangle of 200 with a dent of 20: 180. The dent is opposite the first corner's fan diagonal."""
SQUARE_WITH_HOLE = [(0, 0), (9, 0), (9, 9), (0, 9), (0, 0), (3, 3), (3, 6), (6, 6), (6, 3), (3, 3)]
"""81 - 9 = 72; the hole is joined to the outside by a cut, whose corners stand twice."""
STAIRS = [(0, 0), (4, 0), (4, 1), (3, 1), (3, 2), (2, 2), (2, 3), (1, 3), (1, 4), (0, 4)]
STRAIGHT = [(0, 0), (1, 0), (2, 0), (3, 0), (3, 3), (2, 3), (2, 1), (1, 1), (1, 3), (0, 3)]
"""Corners on a straight edge, and a notch: 9 - 2 = 7."""


def solid(outline, index=None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions on a slanted plane, counts, indices."""
    flat = np.array(outline, float)
    x, y = flat.T
    return np.stack([x, y, 0.5 * x + 0.25 * y], axis=1), np.array([len(flat)]), np.arange(len(flat))


def areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Signed, seen from above."""
    a, b, c = np.moveaxis(vertices[triangles][..., :2], 1, 0)
    return 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])


def shoelace(outline) -> float:
    x, y = np.array(outline, float).T
    return 0.5 * float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


@pytest.mark.parametrize(
    ("outline", "area"),
    [(U, 700), (DART, 180), (SQUARE_WITH_HOLE, 72), (STAIRS, 10), (STRAIGHT, 7)],
)
def test_concave_polygons_keep_their_area_from_every_first_corner(outline, area):
    assert shoelace(outline) == area
    for first in range(len(outline)):
        for order in (1, -1):  # the other way round it is seen from below
            vertices, counts, index = solid((outline[first:] + outline[:first])[::order])
            polygon, corners = polygon_triangles(vertices, counts, index)
            assert len(corners) == len(outline) - 2
            assert (polygon == 0).all()
            own = areas(vertices, index[corners]) * order
            assert (own >= 0).all()
            np.testing.assert_allclose(own.sum(), area)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.integers(0, 10_000))
def test_stars_of_any_corners_keep_their_area(corners, seed):
    """A star about the origin: its corners by falling angle, their distances at random."""
    rng = np.random.default_rng(seed)
    angle_rad = 2 * np.pi * (np.arange(corners) + rng.uniform(0.05, 0.95, corners)) / corners
    outline = rng.uniform(0.2, 5, (corners, 1)) * np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=1)
    shift = int(rng.integers(corners))
    vertices, counts, index = solid(np.roll(outline, shift, axis=0))
    own = areas(vertices, polygon_triangles(vertices, counts, index)[1])
    np.testing.assert_allclose(np.abs(own).sum(), shoelace(outline), rtol=1e-9)


def test_each_polygon_of_many_is_treated_by_itself():
    """A triangle, a dart, a square, a U, one edge: convex ones stay fans of their first corner."""
    outlines = [[(0, 0), (1, 0), (0, 1)], DART, [(0, 0), (1, 0), (1, 1), (0, 1)], U, [(0, 0), (1, 1)]]
    vertices = np.concatenate([solid(outline)[0] for outline in outlines])
    counts = np.array([len(outline) for outline in outlines])
    polygon, corners = polygon_triangles(vertices, counts, np.arange(len(vertices)))
    assert np.bincount(polygon, minlength=5).tolist() == [1, 2, 2, 6, 0]
    assert corners[3:5].tolist() == [[7, 8, 9], [7, 9, 10]]
    own = np.bincount(polygon, areas(vertices, corners), 5)
    np.testing.assert_allclose(own, [0.5, 180, 1, 700, 0])
    start = np.cumsum(counts) - counts
    assert (corners >= start[polygon, None]).all()
    assert (corners < (start + counts)[polygon, None]).all()


def test_a_polygon_that_crosses_itself_stays_a_fan():
    vertices, counts, index = solid([(0, 0), (1, 1), (1, 0), (0, 1)])
    assert polygon_triangles(vertices, counts, index)[1].tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_concave_polygon_of_too_many_corners_is_refused(monkeypatch):
    monkeypatch.setattr(polygons, "MAX_CONCAVE_CORNERS", 7)
    with pytest.raises(ValueError, match="a concave face has 8 corners, at most 7 are read"):
        polygon_triangles(*solid(U))


@pytest.mark.parametrize("suffix", ["obj", "ply", "off", "stl"])
def test_every_format_with_polygons_reads_a_concave_one(tmp_path, suffix):
    rows = [f"{x} {y} 0" for x, y in U]
    face = "8 0 1 2 3 4 5 6 7"
    loop = ["solid u", "facet normal 0 0 1", "outer loop", *(f"vertex {row}" for row in rows)]
    ply = ["ply", "format ascii 1.0", "element vertex 8", *(f"property float {axis}" for axis in "xyz")]
    lines = {
        "obj": [*(f"v {row}" for row in rows), "f 1 2 3 4 5 6 7 8"],
        "ply": [*ply, "element face 1", "property list uchar int vertex_indices", "end_header", *rows, face],
        "off": ["OFF", "8 1 0", *rows, face],
        "stl": [*loop, "endloop", "endfacet", "endsolid u"],
    }
    path = tmp_path / f"a.{suffix}"
    path.write_text("\n".join(lines[suffix]) + "\n")
    mesh = load_mesh(path, "mm")
    np.testing.assert_allclose(mesh.face_areas_m2.sum() * 1e6, 700, rtol=1e-5)
    assert (mesh.face_normals[mesh.face_areas_m2 > 1e-9, 2] > 0.99).all()
