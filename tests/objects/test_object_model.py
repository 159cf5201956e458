import errno
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from selfpose6d import files
from selfpose6d.errors import DataError
from selfpose6d.geometry.se3 import transform_points
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.meshes import self_comparison
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box
from selfpose6d.objects import find_symmetries, object_model, self_similarity, shapes, store
from selfpose6d.objects.mesh_cache import cached_arrays, default_cache_dir
from selfpose6d.objects.object_model import build_object_model, object_constants
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.store import prepared
from selfpose6d.recent import Recent
from selfpose6d.resolver.icp import ResolverOptions


def angles_deg(T):
    trace = T[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))


def test_a_label_box_looks_like_itself_four_ways_by_shape_but_one_by_colour(box):
    half_rotations = angles_deg(box.similarity.T_obj_obj) > 170
    assert half_rotations.sum() >= 3
    assert len(box.symmetries) == 1
    torch.testing.assert_close(box.symmetries[0], torch.eye(4))


def test_a_plain_brick_finds_its_half_rotations(brick):
    assert (angles_deg(brick.symmetries) > 179.9).sum() == 3
    assert len(brick.symmetries) == 4


@pytest.mark.parametrize(
    ("rgb", "is_known"), [((255, 255, 255), False), ((102, 102, 102), False), ((190, 60, 50), True)]
)
def test_a_default_colour_is_not_scored(studied, rgb, is_known):
    brick = foam_brick(np.random.default_rng(0))
    plain = replace(
        brick, texture=None, corner_uv=None, vertex_rgb=np.tile(np.uint8(rgb), (len(brick.vertices_m), 1))
    )
    assert build_object_model(plain).has_colour == is_known


def test_a_can_has_many_turns_by_shape(round_can):
    assert len(round_can.similarity.T_obj_obj) > 40


def test_declared_symmetries_join_the_found_ones(round_can):
    axis = ContinuousSymmetry(np.array([0.0, 0, 1]), np.zeros(3))
    declared = SymmetryGroup(np.zeros((0, 4, 4)), (axis,))
    assert len(build_object_model(round_can.mesh, declared, default_cache_dir()).symmetries) == 36


def test_declared_symmetries_must_map_the_mesh_onto_itself(box):
    axis = ContinuousSymmetry(np.array([0.0, 0, 1]), np.zeros(3))
    declared = SymmetryGroup(np.zeros((0, 4, 4)), (axis,))
    with pytest.raises(DataError, match=r"object 4: symmetries_continuous\[0\]"):
        build_object_model(box.mesh, declared, default_cache_dir(), "object 4")


def test_the_cache_gives_back_what_was_computed(tmp_path, monkeypatch):
    mesh, computed = label_box(np.random.default_rng(2)), []
    arrays = object_model._compute(mesh)
    monkeypatch.setattr(object_model, "_compute", lambda mesh: computed.append(mesh) or arrays)
    first = build_object_model(mesh, cache_dir=tmp_path)
    stored = list(tmp_path.iterdir())
    second = build_object_model(mesh, cache_dir=tmp_path)
    assert len(stored) == len(computed) == 1
    torch.testing.assert_close(first.grid.points_m, second.grid.points_m)
    torch.testing.assert_close(first.similarity.T_obj_obj, second.similarity.T_obj_obj)
    stored[0].write_bytes(b"torn")
    assert torch.equal(build_object_model(mesh, cache_dir=tmp_path).grid.nearest, first.grid.nearest)
    assert len(computed) == 2


def test_every_constant_that_changes_the_cached_arrays_is_in_the_key(tmp_path, monkeypatch):
    mesh, computed = brick_mesh(), []
    arrays = object_constants(mesh, default_cache_dir())
    monkeypatch.setattr(object_model, "_compute", lambda mesh: computed.append(mesh) or arrays)
    names = ["STARTS", "NUM_POINTS", "MAX_SHAPE_RMS", "SPACING_RAD", "MAX_ELEMENTS"]
    constants = [(self_similarity, name) for name in names]
    names = ["COMPARED_POINTS", "FAR_QUANTILE", "COLOUR_QUANTILE", "ALIGNING_STEPS", "SAME_SHAPE_RMS"]
    constants += [(self_comparison, name) for name in [*names, "SAME_SHAPE_FAR", "SAME_COLOUR_LAB"]]
    names = [
        "SAME_ROTATION_RAD",
        "DIFFERENT_RAD",
        "NEAR_FIT",
        "MAX_LABEL_ORDER",
        "ALIKE_MOMENTS",
        "PROBED_RAD",
    ]
    constants += [(find_symmetries, name) for name in names]
    names = ["SURFACE_SAMPLES", "DEFAULT_CELLS", "DEFAULT_MARGIN"]
    constants += [(object_model, name) for name in names]
    for module, name in constants:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 2 * getattr(module, name))
            build_object_model(mesh, cache_dir=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(self_similarity, "REGISTRATION", ResolverOptions(iterations=39))
        build_object_model(mesh, cache_dir=tmp_path)
    for _ in range(2):
        build_object_model(mesh, cache_dir=tmp_path)
    assert len(computed) == len(constants) + 2


def test_every_constant_of_a_shape_s_grid_is_in_its_key(monkeypatch):
    keys = set()
    arrays = shapes._arrays(brick_mesh())
    monkeypatch.setattr(shapes, "cached_arrays", lambda mesh, what, *_: keys.add(what) or dict(arrays))
    names = ("GRID_SAMPLES", "GRID_CELLS", "DEFAULT_MARGIN", "BLUR_SAMPLES", "_BLUR_NORMAL_M")
    for name in names:
        with monkeypatch.context() as patch:
            patch.setattr(shapes, name, 2 * getattr(shapes, name))
            build_object_shapes([brick_mesh()])
    build_object_shapes([brick_mesh()])
    assert len(keys) == len(names) + 1


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "an array", "other names", "a pipe"])
def test_a_cache_file_that_cannot_be_read_is_written_anew(damage, tmp_path):
    def arrays():
        return {"a": torch.arange(1000)}

    mesh = brick_mesh()
    cached_arrays(mesh, "test", ("a",), arrays, tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    if damage == "an array":
        np.save(tmp_path / "other.npy", np.arange(3))
        (tmp_path / "other.npy").replace(path)
    elif damage == "a pipe":
        path.unlink()
        os.mkfifo(path)
    elif damage == "other names":
        np.savez(path, b=np.arange(3))
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"torn"}[damage])
    assert torch.equal(cached_arrays(mesh, "test", ("a",), arrays, tmp_path)["a"], torch.arange(1000))
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_leaves_no_litter_in_the_cache(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.warns(UserWarning, match="No space left"):
        cached_arrays(brick_mesh(), "test", ("a",), lambda: {"a": torch.zeros(3)}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tests_have_a_cache_of_their_own(own_user_cache, tmp_path_factory):
    assert own_user_cache in default_cache_dir().parents
    run = tmp_path_factory.getbasetemp()
    assert own_user_cache.parent in ((run.parent, run) if "PYTEST_XDIST_WORKER" in os.environ else (run,))


def test_threads_share_one_model(monkeypatch):
    made, mesh, model = [], brick_mesh(), prepared(brick_mesh())
    monkeypatch.setattr(
        store, "build_object_model", lambda mesh, cache_dir: made.append(mesh) or replace(model)
    )
    monkeypatch.setattr(store, "_PREPARED", Recent(store.MAX_MODELS))
    with ThreadPoolExecutor(8) as pool:
        models = set(map(id, pool.map(lambda _: prepared(mesh), range(40))))
    assert len(made) == len(models) == 1


def test_a_cache_that_cannot_be_written_costs_time_only(studied, tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="prepared anew each time: .* cannot be written"):
        model = build_object_model(brick_mesh(), cache_dir=tmp_path / "file" / "cache")
    assert len(model.symmetries) >= 1


def test_meshes_are_told_apart_by_content_not_by_object():
    first, same = (brick_mesh() for _ in range(2))
    assert prepared(first) is prepared(same)
    other = replace(first, vertices_m=np.float32(4.0) * first.vertices_m)
    assert prepared(other) is not prepared(first)
    assert prepared(other).diameter_m == pytest.approx(4 * prepared(first).diameter_m)
    assert prepared(prepared(first)) is prepared(first)


@pytest.fixture
def studied(monkeypatch):
    """What is slow to compute of a mesh is the brick's, computed before."""
    arrays = object_constants(brick_mesh(), default_cache_dir())
    monkeypatch.setattr(object_model, "_compute", lambda mesh: arrays)


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
