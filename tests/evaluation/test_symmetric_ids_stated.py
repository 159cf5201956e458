"""Which objects count as symmetric, where `models_info.json` says that none is."""

import json

import numpy as np

from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.evaluation.model_points import symmetric_object_ids
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.primitives.boxes import foam_brick

HALF_TURN = [1, 0, 0, 0, 0, -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1]


def _ids(folder, **symmetries) -> tuple[int, ...]:
    save_mesh_ply(foam_brick(np.random.default_rng(0)), folder / "obj_000001.ply")
    (folder / "models_info.json").write_text(json.dumps({"1": {"name": "061_foam_brick", **symmetries}}))
    return symmetric_object_ids(find_model_files(folder))


def test_an_empty_list_is_an_answer_that_names_do_not_replace(tmp_path):
    assert _ids(tmp_path, symmetries_discrete=[]) == ()
    assert _ids(tmp_path, symmetries_discrete=[], symmetries_continuous=[]) == ()
    assert _ids(tmp_path, symmetries_discrete=[HALF_TURN]) == (1,)


def test_where_the_file_says_nothing_names_do(tmp_path):
    assert _ids(tmp_path) == (1,)
