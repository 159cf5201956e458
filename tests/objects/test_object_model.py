from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpose6d.geometry.se3 import transform_points
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box
from selfpose6d.objects.object_model import build_object_model
from selfpose6d.objects.store import prepared


def angles_deg(T):
    trace = T[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))


def test_a_label_box_looks_like_itself_four_ways_by_shape_but_one_by_colour(box):
    half_rotations = angles_deg(box.similarity.T_obj_obj) > 170
    assert half_rotations.sum() >= 3
    assert len(box.symmetries) == 1
    torch.testing.assert_close(box.symmetries[0], torch.eye(4))


def test_a_plain_brick_finds_its_half_rotations(brick):
    assert (angles_deg(brick.symmetries) > 170).sum() >= 3


def test_a_can_has_many_turns_by_shape(round_can):
    assert len(round_can.similarity.T_obj_obj) > 40


def test_declared_symmetries_join_the_found_ones():
    axis = ContinuousSymmetry(np.array([0.0, 0, 1]), np.zeros(3))
    model = build_object_model(
        label_box(np.random.default_rng(0)), SymmetryGroup(np.zeros((0, 4, 4)), (axis,))
    )
    assert len(model.symmetries) == 36


def test_the_cache_gives_back_what_was_computed(tmp_path):
    mesh = label_box(np.random.default_rng(2))
    first = build_object_model(mesh, cache_dir=tmp_path)
    stored = list(tmp_path.iterdir())
    second = build_object_model(mesh, cache_dir=tmp_path)
    assert len(stored) == 1
    torch.testing.assert_close(first.grid.points_m, second.grid.points_m)
    torch.testing.assert_close(first.similarity.T_obj_obj, second.similarity.T_obj_obj)
    stored[0].write_bytes(b"torn")
    assert torch.equal(build_object_model(mesh, cache_dir=tmp_path).grid.nearest, first.grid.nearest)


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="prepared anew each time: .* cannot be written"):
        model = build_object_model(brick_mesh(), cache_dir=tmp_path / "file" / "cache")
    assert len(model.symmetries) >= 1


def test_meshes_are_told_apart_by_content_not_by_object():
    first, same = (brick_mesh() for _ in range(2))
    assert prepared(first) is prepared(same)
    other = replace(first, vertices_m=2 * first.vertices_m)
    assert prepared(other) is not prepared(first)
    assert prepared(other).diameter_m == pytest.approx(2 * prepared(first).diameter_m)
    assert prepared(prepared(first)) is prepared(first)


def brick_mesh():
    return foam_brick(np.random.default_rng(0))


def test_cameras_on_the_sphere_look_at_the_centre():
    direction = fibonacci_sphere(20)
    centre = torch.tensor([0.1, 0.2, 0.3])
    T = look_from(direction, centre, 2.0)
    torch.testing.assert_close(
        transform_points(T, centre.expand(20, 1, 3))[:, 0], torch.tensor([0, 0, 2.0]).expand(20, 3)
    )
    torch.testing.assert_close(torch.det(T[:, :3, :3]), torch.ones(20))


def test_visible_surface_is_on_the_camera_side(box):
    toward = ((box.visible_centre_m - box.centre_m) * box.view_direction).sum(-1)
    assert (toward > 0).all()
