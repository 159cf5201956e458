"""The built-in objects: closed, of the size they should have, and symmetric exactly as declared."""

import numpy as np
import pytest
import trimesh
from scipy.spatial import KDTree

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import BOX_ID, CATALOGUE, HALF_ROTATIONS, BuiltinObject
from selfpose6d.meshes.sampling import sample_surface

OBJECTS = [pytest.param(builtin, id=builtin.name) for builtin in CATALOGUE.values()]
VOLUMES_CM3 = {1: 6 * 16 * 21, 2: np.pi * 3.4**2 * 10.2, 4: None, 7: 5.2 * 7.8 * 4.6}


def colour_and_shape_change(mesh: Mesh, T: np.ndarray) -> tuple[float, float]:
    """Mean distance (metres) and colour difference (0-1) between the surface and the surface moved by `T`."""
    dense = sample_surface(mesh, 60_000, np.random.default_rng(0))
    probes = sample_surface(mesh, 4000, np.random.default_rng(1))
    assert dense.rgb is not None
    assert probes.rgb is not None
    distance_m, nearest = KDTree(dense.points_m).query(probes.points_m @ T[:3, :3].T + T[:3, 3])
    return float(distance_m.mean()), float(np.abs(dense.rgb[nearest] - probes.rgb).mean())


@pytest.mark.parametrize("builtin", OBJECTS)
def test_surface_is_closed_and_faces_outwards(builtin: BuiltinObject) -> None:
    mesh = builtin.mesh()
    solid = trimesh.Trimesh(mesh.vertices_m, mesh.faces, process=False)
    assert solid.is_watertight
    assert solid.is_winding_consistent
    assert solid.volume > 0
    assert 2000 <= len(mesh.faces) <= 16_000
    assert mesh.has_colour
    np.testing.assert_allclose(mesh.centre_m, 0, atol=1e-6)
    if (expected := VOLUMES_CM3.get(builtin.obj_id)) is not None:
        assert 1e6 * solid.volume == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("builtin", OBJECTS)
def test_declared_symmetries_hold(builtin: BuiltinObject) -> None:
    mesh = builtin.mesh()
    for T in builtin.symmetry.expand(steps=7)[1:]:
        distance_m, colour = colour_and_shape_change(mesh, T)
        assert distance_m < 0.0008
        assert colour < 0.01


@pytest.mark.parametrize(
    "builtin", [param for param in OBJECTS if len(param.values[0].symmetry.expand(2)) == 1]
)
def test_objects_without_declared_symmetry_have_none(builtin: BuiltinObject) -> None:
    mesh = builtin.mesh()
    quarter = np.eye(4)
    quarter[:2, :2] = [[0, -1], [1, 0]]
    for T in (*HALF_ROTATIONS.discrete, quarter):
        distance_m, colour = colour_and_shape_change(mesh, T)
        assert distance_m > 0.002 or colour > 0.05


def test_label_box_is_symmetric_in_shape_only() -> None:
    box = CATALOGUE[BOX_ID].mesh()
    np.testing.assert_allclose(np.ptp(box.vertices_m, axis=0), [0.060, 0.160, 0.210], atol=1e-6)
    for T in HALF_ROTATIONS.discrete:
        distance_m, colour = colour_and_shape_change(box, T)
        assert distance_m < 0.001
        assert colour > 0.1


def test_artwork_follows_the_seed() -> None:
    first, again, other = (CATALOGUE[BOX_ID].mesh(seed) for seed in (3, 3, 4))
    assert first.texture is not None
    assert other.texture is not None
    assert np.array_equal(first.texture, again.texture)
    assert np.abs(first.texture.astype(float) - other.texture).mean() > 20
