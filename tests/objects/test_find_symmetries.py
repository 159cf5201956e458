"""The symmetries of built-in and real objects, at several sizes, with and without colour."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.geometry.nearest import build_nearest_grid
from selfpose6d.geometry.symmetry import SymmetryGroup, axis_and_angle, rotations_about
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import foam_brick, l_bracket, label_box
from selfpose6d.meshes.primitives.rounds import bowl, can, mug
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.meshes.self_comparison import SelfComparison
from selfpose6d.objects.find_symmetries import find_symmetries, measure_symmetries
from selfpose6d.objects.self_similarity import find_self_similarity
from selfpose6d.objects.symmetry_study import SymmetryStudy

NONE = SymmetryGroup(np.empty((0, 4, 4)))


def study(mesh: Mesh) -> SymmetryStudy:
    """As annotation studies it, but through a coarse grid: what registration finds is aligned to the surface anyway."""
    samples = sample_surface(mesh, 16_000, np.random.default_rng(0))
    comparison = SelfComparison(mesh)
    grid = build_nearest_grid(samples.points_m, samples.normals, cells=48)
    groups = find_symmetries(comparison, find_self_similarity(grid, comparison))
    measured = (measure_symmetries(comparison, group) for group in (groups.shape, groups.textured, NONE))
    return SymmetryStudy(1, "object", mesh, *measured)


def from_trimesh(*solids: trimesh.Trimesh, rgb=(186, 62, 52)) -> Mesh:
    solid = trimesh.util.concatenate(list(solids))
    assert isinstance(solid, trimesh.Trimesh)
    colours = np.tile(np.array(rgb, np.uint8), (len(solid.vertices), 1))
    return Mesh(np.asarray(solid.vertices, np.float32), np.asarray(solid.faces, np.int32), vertex_rgb=colours)


def moved(mesh: Mesh, scale: float = 1.0) -> Mesh:
    """Rotated and shifted, so that no axis of symmetry is a coordinate axis or passes the origin."""
    (T,) = rotations_about(np.array([1.0, 2, 3]), np.array([0.7]), np.array([0.1, 0, -0.05]))
    vertices = scale * (mesh.vertices_m @ T[:3, :3].T + T[:3, 3])
    return replace(mesh, vertices_m=vertices.astype(np.float32))


def angles_deg(group: SymmetryGroup) -> list[int]:
    return sorted(round(np.rad2deg(axis_and_angle(T)[1])) for T in group.discrete)


def without_colour(mesh: Mesh) -> Mesh:
    return replace(mesh, texture=None, corner_uv=None, vertex_rgb=None)


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_a_plain_brick_has_three_exact_half_turns_at_any_size(scale):
    mesh = moved(foam_brick(np.random.default_rng(0)), scale)
    found = study(mesh)
    for group in (found.shape.group, found.textured.group):
        assert angles_deg(group) == [180, 180, 180]
        assert not group.continuous
        a, b, c = group.discrete
        np.testing.assert_allclose(a @ b, c, atol=1e-9)
        np.testing.assert_allclose(a @ a, np.eye(4), atol=1e-9)
        axes = np.stack([axis_and_angle(T)[0] for T in group.discrete])
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        np.testing.assert_allclose(
            group.discrete[:, :3, :3] @ mesh.centre_m + group.discrete[:, :3, 3],
            np.tile(mesh.triangles_m.reshape(-1, 3).mean(0), (3, 1)),
            atol=0.05 * mesh.diameter_m,
        )
    assert found.shape.discrete.rms_m.max() < 1e-3 * mesh.diameter_m
    assert found.textured.discrete.colour_lab.max() < 1


def test_different_labels_leave_the_shape_s_half_turns_only():
    found = study(moved(label_box(np.random.default_rng(3))))
    assert angles_deg(found.shape.group) == [180, 180, 180]
    assert found.textured.is_trivial
    assert found.shape.discrete.colour_lab.min() > 40


def test_missing_colour_proves_nothing():
    mesh = without_colour(foam_brick(np.random.default_rng(0)))
    found = study(mesh)
    assert len(found.shape.group.discrete) == 3
    assert found.textured.is_trivial
    assert np.isinf(found.shape.discrete.colour_lab).all()


def test_a_cube_has_24_rotations():
    found = study(moved(from_trimesh(trimesh.creation.box((0.08, 0.08, 0.08)).subdivide().subdivide())))
    assert angles_deg(found.shape.group) == sorted([90] * 6 + [120] * 8 + [180] * 9)
    assert len(found.textured.group.discrete) == 23
    products = found.shape.group.discrete[:, None] @ found.shape.group.discrete[None]
    members = np.concatenate([np.eye(4)[None], found.shape.group.discrete])
    off = np.abs(products[:, :, None] - members).max(axis=(-2, -1)).min(axis=-1)
    assert off.max() < 1e-9


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_a_can_has_an_axis_and_a_flip_by_shape_and_none_by_its_label(scale):
    mesh = moved(can(np.random.default_rng(1)), scale)
    found = study(mesh)
    (axis,) = found.shape.group.continuous
    expected = rotations_about(np.array([1.0, 2, 3]), np.array([0.7]), np.zeros(3))[0, :3, 2]
    assert abs(axis.axis @ expected) > np.cos(np.deg2rad(0.5))
    assert axis.offset_m @ axis.axis == pytest.approx(0, abs=1e-9)
    assert angles_deg(found.shape.group) == [180]
    assert axis_and_angle(found.shape.group.discrete[0])[0] @ axis.axis == pytest.approx(0, abs=1e-9)
    assert found.textured.is_trivial


def test_a_can_in_one_colour_keeps_its_axis_and_flip():
    plain = from_trimesh(trimesh.creation.cylinder(radius=0.03, height=0.1, sections=64))
    found = study(moved(plain))
    assert len(found.textured.group.continuous) == 1
    assert angles_deg(found.textured.group) == [180]


def test_a_print_that_repeats_three_times_leaves_order_three():
    solid = trimesh.creation.cylinder(radius=0.03, height=0.1, sections=96).subdivide().subdivide()
    mesh = from_trimesh(solid)
    angle = np.arctan2(mesh.vertices_m[:, 1], mesh.vertices_m[:, 0])
    assert mesh.vertex_rgb is not None
    striped = (np.floor(angle / (2 * np.pi) * 6 + 1e-3) % 2).astype(bool)
    # a blue foot keeps it from being turned over
    vertex_rgb = mesh.vertex_rgb.copy()
    vertex_rgb[striped] = (240, 240, 240)
    vertex_rgb[mesh.vertices_m[:, 2] < -0.02] = (20, 20, 220)
    found = study(replace(mesh, vertex_rgb=vertex_rgb))
    assert len(found.shape.group.continuous) == 1
    assert not found.textured.group.continuous
    assert angles_deg(found.textured.group) == [120, 120]


def test_a_bowl_has_an_axis_and_no_flip():
    found = study(moved(bowl(np.random.default_rng(0))))
    for group in (found.shape.group, found.textured.group):
        assert len(group.continuous) == 1
        assert not len(group.discrete)


def test_a_ball_has_three_axes():
    found = study(from_trimesh(trimesh.creation.icosphere(4, radius=0.05)))
    assert len(found.shape.group.continuous) == 3
    assert not len(found.shape.group.discrete)
    assert len(found.textured.group.continuous) == 3


@pytest.mark.parametrize("build", [mug, l_bracket])
def test_a_handle_and_unequal_legs_leave_none(build):
    found = study(moved(build(np.random.default_rng(0))))
    assert found.shape.is_trivial
    assert found.textured.is_trivial


def test_an_angle_of_equal_legs_has_one_half_turn_about_their_bisector():
    """Its mirror planes are no rotations; both together are."""
    along_x, along_y = trimesh.creation.box((0.1, 0.01, 0.04)), trimesh.creation.box((0.01, 0.1, 0.04))
    along_x.apply_translation([0.05, 0.005, 0])
    along_y.apply_translation([0.005, 0.05, 0])
    found = study(from_trimesh(along_x, along_y))
    (half_turn,) = found.shape.group.discrete
    axis, angle_rad = axis_and_angle(half_turn)
    assert angle_rad == pytest.approx(np.pi)
    assert abs(axis @ np.array([1, 1, 0]) / np.sqrt(2)) > np.cos(np.deg2rad(0.5))


def test_a_small_knob_breaks_the_brick_s_half_turns():
    """A knob of 12 mm on a brick of 10 cm: 2 % of its surface, 6 % of its diameter high."""
    knob = trimesh.creation.cylinder(radius=0.006, height=0.012)
    knob.apply_translation([0.02, 0.01, 0.029])
    box = trimesh.creation.box((0.078, 0.052, 0.046)).subdivide()
    found = study(from_trimesh(box, knob))
    assert found.shape.is_trivial


# by shape: axes of rotation, half turns and others; by texture: the same
YCB = {
    1: ((1, 1), (0, 0)),  # coffee can
    2: ((0, 3), (0, 0)),  # cracker box
    5: ((0, 1), (0, 0)),  # mustard bottle
    13: ((1, 0), (1, 0)),  # bowl
    14: ((0, 0), (0, 0)),  # mug
    20: ((0, 1), (0, 1)),  # clamp
    21: ((0, 1), (0, 1)),  # foam brick: its bottom is hollow
}


@pytest.mark.parametrize(("obj_id", "expected"), YCB.items())
def test_real_scans(ycbv_sample, obj_id, expected):
    found = study(find_model_files(ycbv_sample / "models").load(obj_id))
    groups = (found.shape.group, found.textured.group)
    assert tuple((len(group.continuous), len(group.discrete)) for group in groups) == expected
