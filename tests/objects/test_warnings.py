"""What is said of an object before its poses are annotated, and in its certificates."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from labeling.conftest import model_of
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box
from selfpose6d.meshes.primitives.catalogue import HALF_ROTATIONS
from selfpose6d.objects.mesh_cache import default_cache_dir
from selfpose6d.objects.object_model import build_object_model
from selfpose6d.objects.warnings import describe_similarity, object_warnings, open_similarities


def plain(mesh):
    """Without any colour."""
    return replace(mesh, texture=None, corner_uv=None, vertex_rgb=None)


@pytest.fixture(scope="module")
def bare_box():
    return model_of(plain(label_box(np.random.default_rng(0))))


def test_a_box_without_texture_is_ambiguous_four_ways(bare_box):
    assert len(bare_box.symmetries) == 1
    assert len(bare_box.shape_symmetries) == 4
    assert open_similarities(bare_box).tolist() == [False, True, True, True]
    assert torch.isinf(bare_box.similarity.colour_distance[1:]).all()
    (line,) = object_warnings(bare_box, 2)
    assert line.startswith("object 2: the mesh has no texture; its shape looks the same 4 ways round")
    assert "selfpose6d symmetries MODELS --shape-only --write" in line
    assert describe_similarity(bare_box) == (
        "the mesh has no texture: its shape looks the same 4 ways round; declare the symmetry with "
        "`selfpose6d symmetries MODELS --shape-only --write` if they are equal to you"
    )


def test_declaring_them_settles_it():
    bare = plain(label_box(np.random.default_rng(0)))
    declared = build_object_model(bare, HALF_ROTATIONS, default_cache_dir())
    assert len(declared.symmetries) == 4
    assert object_warnings(declared, 2) == []
    assert describe_similarity(declared) == ""


def test_a_white_box_is_no_better_than_a_bare_one(bare_box):
    white = np.full((len(bare_box.mesh.vertices_m), 3), 255, np.uint8)
    model = build_object_model(replace(bare_box.mesh, vertex_rgb=white))
    assert len(model.symmetries) == 1
    (line,) = object_warnings(model, 2)
    assert "default colour only; its shape looks the same 4 ways round" in line


def test_labels_and_plain_paint_leave_nothing_open(box, brick):
    assert object_warnings(box, 1) == []
    assert len(box.symmetries) == 1
    assert object_warnings(brick, 7) == []
    assert len(brick.symmetries) == 4
    assert describe_similarity(box) == describe_similarity(brick) == ""


def test_a_can_without_texture(round_can):
    model = build_object_model(plain(round_can.mesh))
    assert len(model.symmetries) == 1
    assert "all the way round an axis and upside down" in describe_similarity(model)


def test_colours_that_hardly_differ_are_untested(box):
    doubtful = replace(box, shape_colour_lab=torch.tensor([0.0, 30.0, 80.0, 80.0]))
    (line,) = object_warnings(doubtful, 3)
    assert line.startswith("object 3: untested symmetry")
    assert "LAB 30" in line


def test_sizes(brick):
    small = replace(brick, diameter_m=0.004)
    assert "it is 4 mm across" in object_warnings(small, 7)[0]
    (line,) = object_warnings(brick, 7, stated_diameter_m=0.2)
    assert "models_info.json says 200 mm" in line
    assert object_warnings(brick, 7, stated_diameter_m=brick.diameter_m) == []


def test_small_and_large_copies_are_treated_alike():
    mesh = foam_brick(np.random.default_rng(0))
    for scale in (0.25, 4.0):
        model = model_of(replace(mesh, vertices_m=np.float32(scale) * mesh.vertices_m))
        assert len(model.symmetries) == 4
