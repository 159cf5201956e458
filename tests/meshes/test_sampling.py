"""Surface samples: even density, colours and normals."""

import numpy as np
import pytest
from small_meshes import coloured_square, textured_square

from selfpose6d.errors import MeshError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface


def test_density_is_the_same_everywhere() -> None:
    vertices = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0, 0.3]], np.float32)
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 1, 3]], np.int32))
    samples = sample_surface(mesh, 4000, np.random.default_rng(0))
    assert samples.rgb is None
    on_large = (samples.points_m[:, 2] > 0).mean()
    assert on_large == pytest.approx(0.75, abs=0.001), "0.015 of 0.02 square metres"
    small = samples.points_m[samples.points_m[:, 2] == 0]
    np.testing.assert_allclose(small.mean(axis=0), [0.1 / 3, 0.1 / 3, 0], atol=0.002)


def test_points_have_the_normal_and_colour_of_their_place() -> None:
    samples = sample_surface(textured_square(), 2000, np.random.default_rng(1))
    assert np.array_equal(samples.normals, np.tile(np.float32([0, 0, 1]), (2000, 1)))
    assert samples.rgb is not None
    upper_left = (samples.points_m[:, 0] < 0.025) & (samples.points_m[:, 1] > 0.075)
    np.testing.assert_allclose(samples.rgb[upper_left], np.tile([1, 0, 0], (upper_left.sum(), 1)), atol=1e-6)


def test_vertex_colours_are_interpolated() -> None:
    samples = sample_surface(coloured_square(), 500, np.random.default_rng(2))
    assert samples.rgb is not None
    x, y = samples.points_m[:, 0] / 0.1, samples.points_m[:, 1] / 0.1
    lower = y <= x
    np.testing.assert_allclose(samples.rgb[lower, 2], 1 - y[lower], atol=1e-5)


def test_same_seed_same_points() -> None:
    first, again = (sample_surface(textured_square(), 100, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.points_m, again.points_m)


def test_surface_without_area() -> None:
    mesh = Mesh(np.zeros((3, 3), np.float32), np.array([[0, 1, 2]], np.int32), source="flat.ply")
    with pytest.raises(MeshError, match=r"flat\.ply: the surface has no area"):
        sample_surface(mesh, 10, np.random.default_rng(0))
