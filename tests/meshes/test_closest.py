"""Nearest surface points: by hand on a triangle, against an independent library on a solid."""

import numpy as np
import pytest
import trimesh

from selfpose6d.meshes.closest import Surface, closest_barycentric
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.rounds import mug

TRIANGLE = np.array([[[0.0, 0, 0], [2, 0, 0], [0, 2, 0]]])


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.5, 0.5, 3.0), (0.5, 0.25, 0.25)),
        ((-1.0, -1.0, 1.0), (1, 0, 0)),
        ((1.0, -5.0, 0.0), (0.5, 0.5, 0)),
        ((2.0, 2.0, 0.0), (0, 0.5, 0.5)),
        ((9.0, -1.0, 0.0), (0, 1, 0)),
    ],
)
def test_inside_edges_and_corners(point, expected):
    np.testing.assert_allclose(closest_barycentric(np.array([point]), TRIANGLE), [expected], atol=1e-12)


@pytest.mark.parametrize("triangle", [[[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[1, 1, 1]] * 3])
def test_degenerate_triangles_are_segments_and_points(triangle):
    triangle = np.array([triangle], np.float64)
    weights = closest_barycentric(np.array([[1.5, 1.0, 0]]), triangle)
    nearest = np.einsum("nk,nkd->nd", weights, triangle)[0]
    np.testing.assert_allclose(
        nearest, np.clip([1.5, 1, 0], triangle[0].min(0), triangle[0].max(0)), atol=1e-12
    )
    assert weights.sum() == pytest.approx(1)


def test_distances_are_those_of_a_box():
    box = trimesh.creation.box((0.2, 0.1, 0.06))
    mesh = Mesh(np.asarray(box.vertices, np.float32), np.asarray(box.faces, np.int32))
    points = np.random.default_rng(0).uniform(-0.15, 0.15, (500, 3))
    beyond = np.abs(points) - np.array([0.1, 0.05, 0.03])
    outside = np.linalg.norm(beyond.clip(0), axis=1)
    expected = np.where(outside > 0, outside, -beyond.max(axis=1))
    closest = Surface(mesh).closest(points)
    np.testing.assert_allclose(closest.distance_m, expected, atol=1e-6)
    on_surface = Surface(mesh).points_of(closest)
    np.testing.assert_allclose(np.linalg.norm(on_surface - points, axis=1), expected, atol=1e-6)


def test_points_of_a_surface_are_on_it():
    mesh = mug(np.random.default_rng(0))
    distance_m = Surface(mesh).closest(mesh.triangles_m.mean(axis=1).astype(np.float64)).distance_m
    assert np.quantile(distance_m, 0.98) < 1e-6
    assert distance_m.max() < 0.002  # where the handle's end lies inside the wall its samples hide the wall's
