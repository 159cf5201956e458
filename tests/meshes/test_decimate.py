"""Fewer faces, same surface, same colours."""

import numpy as np
import pytest
from scipy.spatial import KDTree

from selfpose6d.meshes.decimate import decimate
from selfpose6d.meshes.merge import vertex_colours
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.meshes.sampling import sample_surface


def distance_and_colour_error(light: Mesh, heavy: Mesh) -> tuple[float, float]:
    """Means over points of the light mesh against the nearest points of the heavy one; metres and 0-1."""
    dense = sample_surface(heavy, 100_000, np.random.default_rng(0))
    probes = sample_surface(light, 3000, np.random.default_rng(1))
    assert dense.rgb is not None
    assert probes.rgb is not None
    distance_m, nearest = KDTree(dense.points_m).query(probes.points_m)
    return float(distance_m.mean()), float(np.abs(dense.rgb[nearest] - probes.rgb).mean())


def test_textured_can_keeps_shape_and_artwork() -> None:
    can = CATALOGUE[2].mesh()
    light = decimate(can, 1200)
    assert 800 < len(light.faces) <= 1200
    distance_m, colour = distance_and_colour_error(light, can)
    assert distance_m < 0.0008, "half of it is the spacing of the samples"
    assert colour < 0.03
    assert light.diameter_m == pytest.approx(can.diameter_m, rel=0.01)


def test_vertex_colours_become_texture() -> None:
    can = CATALOGUE[2].mesh()
    painted = Mesh(can.vertices_m, can.faces, vertex_rgb=vertex_colours(can))
    light = decimate(painted, 1501)
    assert light.texture is not None
    assert distance_and_colour_error(light, painted)[1] < 0.03


def test_light_mesh_is_returned_as_it_is() -> None:
    can = CATALOGUE[2].mesh()
    assert decimate(can, len(can.faces)) is can


def test_shape_without_colour_stays_without() -> None:
    can = CATALOGUE[2].mesh()
    light = decimate(Mesh(can.vertices_m, can.faces), 1000)
    assert not light.has_colour
    assert len(light.faces) <= 1000
