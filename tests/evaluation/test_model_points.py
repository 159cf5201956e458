"""Where model points come from, and who is symmetric."""

import json
from pathlib import Path

import numpy as np
import pytest

from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.errors import DataError, MeshError
from selfpose6d.evaluation.model_points import (
    SURFACE_POINTS,
    describe_sources,
    load_model_points,
    symmetric_object_ids,
)

QUAD_PLY = """ply
format ascii 1.0
element vertex 4
property float x
property float y
property float z
element face 2
property list uchar int vertex_indices
end_header
-50 -20 0
50 -20 0
50 20 0
-50 20 0
3 0 1 2
3 0 2 3
"""


@pytest.fixture
def bop_models(tmp_path: Path) -> Path:
    """Two models; the first has a points file of two points."""
    for obj_id in (1, 2):
        (tmp_path / f"obj_{obj_id:06d}.ply").write_text(QUAD_PLY)
    (tmp_path / "obj_000001.xyz").write_text("10 0 0\n-10 0 0\n")
    return tmp_path


def test_points_file_comes_before_vertices(bop_models):
    points = load_model_points(find_model_files(bop_models), [1, 2, 9])
    np.testing.assert_allclose(points[1].points_m, [[0.01, 0, 0], [-0.01, 0, 0]])
    assert np.ptp(points[2].points_m, axis=0) == pytest.approx([0.1, 0.04, 0])
    assert sorted(points) == [1, 2]
    assert describe_sources(points) == "points file (1), vertices (2)"


def test_surface_samples_have_a_fixed_seed(bop_models):
    first, second = (load_model_points(find_model_files(bop_models), [1], "surface")[1] for _ in range(2))
    assert first.points_m.shape == (SURFACE_POINTS, 3)
    np.testing.assert_array_equal(first.points_m, second.points_m)
    assert describe_sources({1: first}) == "surface"
    # Evenly over 10 x 4 cm.
    assert first.points_m.std(axis=0)[:2] == pytest.approx([0.1 / 12**0.5, 0.04 / 12**0.5], rel=0.03)


def test_points_file_follows_the_unit_of_the_models(bop_models):
    (bop_models / "obj_000001.xyz").write_text("0.01 0 0\n-0.01 0 0\n")
    points = load_model_points(find_model_files(bop_models, "m"), [1])
    np.testing.assert_allclose(points[1].points_m[:, 0], [0.01, -0.01])


def test_ycb_video_layout_has_metres(tmp_path):
    (tmp_path / "025_mug").mkdir()
    (tmp_path / "025_mug" / "points.xyz").write_text("0.05 0 0\n-0.05 0 0\n")
    models = find_model_files(tmp_path, class_names=["024_bowl", "025_mug"])
    np.testing.assert_allclose(load_model_points(models, [2])[2].points_m[:, 0], [0.05, -0.05])


def test_broken_points_files(bop_models):
    path = bop_models / "obj_000001.xyz"
    for text, message in (("1 2\n3 4\n", "x y z"), ("a b c\n", "not a table"), ("", "x y z")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            load_model_points(find_model_files(bop_models), [1])


def test_symmetric_set_by_its_three_rules(bop_models):
    def declare(**entries):
        (bop_models / "models_info.json").write_text(
            json.dumps({k[1:]: entry for k, entry in entries.items()})
        )
        return find_model_files(bop_models)

    named = declare(_1={"name": "024_bowl"}, _2={"name": "025_mug"})
    assert symmetric_object_ids(named) == (1,)
    declared = declare(
        _1={"name": "024_bowl"}, _2={"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]}
    )
    assert symmetric_object_ids(declared) == (2,)
    empty = declare(_1={"name": "024_bowl", "symmetries_discrete": []}, _2={})
    assert symmetric_object_ids(empty) == ()  # the file says that there are none
    assert symmetric_object_ids(named, requested=[]) == ()
    assert symmetric_object_ids(named, requested=[2, 1, 2]) == (1, 2)
    assert symmetric_object_ids(declare(_1={}, _2={})) == ()


def test_sample_takes_the_published_set_and_the_points_files(ycbv_sample):
    models = find_model_files(ycbv_sample / "models")
    assert symmetric_object_ids(models) == (13, 16, 19, 20, 21)
    points = load_model_points(models, range(1, 22))
    assert describe_sources(points) == "points file"
    assert all(2619 < len(model.points_m) < 2622 for model in points.values())


def test_points_are_where_the_mesh_is(ycbv_sample):
    models = find_model_files(ycbv_sample / "models")
    for obj_id, model in load_model_points(models, [8, 14, 21]).items():
        vertices_m = models.load(obj_id).vertices_m
        np.testing.assert_allclose(model.points_m.min(0), vertices_m.min(0), atol=2e-3)
        np.testing.assert_allclose(model.points_m.max(0), vertices_m.max(0), atol=2e-3)


def test_wrong_unit_is_refused(bop_models):
    (bop_models / "obj_000001.xyz").write_text("10000 0 0\n-10000 0 0\n")
    with pytest.raises(MeshError, match="--model-unit"):
        load_model_points(find_model_files(bop_models), [1])
