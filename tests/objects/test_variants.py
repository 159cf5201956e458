"""Models made of other models are what studying the changed mesh would have given."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import model_of
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.objects.object_model import build_object_model
from selfpose6d.objects.variants import colourless_model, scaled_model


@pytest.fixture(scope="module")
def large_brick(brick):
    mesh = replace(brick.mesh, vertices_m=np.float32(4.0) * brick.mesh.vertices_m)
    return model_of(mesh)


def test_a_scaled_model_is_the_scaled_meshs(brick, large_brick):
    scaled = scaled_model(brick, 4.0)
    assert scaled.diameter_m == pytest.approx(large_brick.diameter_m, rel=1e-5)
    for name in ("centre_m", "visible_centre_m", "symmetries", "view_direction", "face_normals"):
        torch.testing.assert_close(
            getattr(scaled, name), getattr(large_brick, name), atol=1e-3, rtol=1e-4, msg=name
        )
    torch.testing.assert_close(scaled.packed.vertices_m, large_brick.packed.vertices_m, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(scaled.packed.texels_per_m, large_brick.packed.texels_per_m)
    torch.testing.assert_close(scaled.grid.cell_m, large_brick.grid.cell_m, atol=1e-6, rtol=1e-4)
    np.testing.assert_allclose(scaled.mesh.vertices_m, large_brick.mesh.vertices_m, rtol=1e-5)


def test_scaling_back_gives_the_same(box):
    again = scaled_model(scaled_model(box, 0.25), 4.0)
    assert again.diameter_m == pytest.approx(box.diameter_m)
    torch.testing.assert_close(again.similarity.T_obj_obj, box.similarity.T_obj_obj)
    torch.testing.assert_close(again.similarity.shape_rms_m, box.similarity.shape_rms_m)
    torch.testing.assert_close(again.grid.points_m, box.grid.points_m)


def test_without_colour_nothing_but_the_declared_is_the_same_pose(brick):
    half = np.diag([-1.0, -1.0, 1.0, 1.0])
    plain = colourless_model(brick, None)
    declared = colourless_model(brick, SymmetryGroup(np.stack([np.eye(4), half]), ()))
    assert len(brick.symmetries) == 4, "its colour proves them"
    assert torch.equal(plain.symmetries, torch.eye(4)[None])
    assert torch.equal(declared.symmetries, torch.from_numpy(np.stack([np.eye(4), half])).float())
    assert not plain.has_colour
    assert brick.has_colour


def test_without_colour_the_shape_is_as_alike_as_before_and_the_colour_unknown(box):
    plain = colourless_model(box, None)
    assert torch.equal(plain.similarity.T_obj_obj, box.similarity.T_obj_obj)
    assert plain.similarity.colour_distance[0] == 0
    assert torch.isinf(plain.similarity.colour_distance[1:]).all()
    assert plain.shape_colour_lab[0] == 0
    assert torch.isinf(plain.shape_colour_lab[1:]).all()


def test_it_is_the_model_of_a_mesh_without_colour(brick):
    mesh = replace(brick.mesh, texture=None, corner_uv=None, vertex_rgb=None)
    built, made = build_object_model(mesh), colourless_model(brick, None)
    assert torch.equal(built.symmetries, made.symmetries)
    torch.testing.assert_close(built.shape_symmetries, made.shape_symmetries, atol=1e-3, rtol=0)
    assert torch.equal(built.shape_colour_lab, made.shape_colour_lab)
