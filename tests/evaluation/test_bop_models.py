"""What BOP scores by: models for evaluation, declared diameters and symmetries; true poses reach exactly 1."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
from small_roots import change_json, cube, write_bop, write_json

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.evaluation.bop_models import SYMMETRY_STEPS, bop_models
from selfpose6d.evaluation.inputs import ReferenceOptions
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.runs.predictions import HEADER_LINE, Prediction, prediction_line

RECALLS = ("ar", "ar_vsd", "ar_mssd", "ar_mspd")


@pytest.fixture
def root(tmp_path) -> Path:
    return write_bop(tmp_path / "set", {2: 2})


def models_of(root: Path, **given):
    data = DataOptions(root, **given)
    return bop_models(data, ReferenceOptions(data).model_files(), [1, 2])


def test_diameters_are_those_that_are_declared(root):
    change_json(root / "models" / "models_info.json", lambda info: info["1"].update(diameter=180.0))
    change_json(root / "models" / "models_info.json", lambda info: info["2"].pop("diameter"))
    models = models_of(root)
    assert models[1].diameter_m == pytest.approx(0.18)
    assert models[2].diameter_m == pytest.approx(0.1 * 3**0.5, rel=1e-6)


def test_models_for_evaluation_go_before_the_others(root):
    for obj_id in (1, 2):
        (root / "models_eval").mkdir(exist_ok=True)
        save_mesh_ply(cube(0.2), root / "models_eval" / f"obj_{obj_id:06d}.ply")
    assert models_of(root)[1].mesh.diameter_m == pytest.approx(0.2 * 3**0.5, rel=1e-6)
    assert models_of(root, models=root / "models")[1].mesh.diameter_m == pytest.approx(0.1 * 3**0.5, rel=1e-6)
    # what they do not declare themselves, the others do
    assert models_of(root)[1].diameter_m == pytest.approx(0.1 * 3**0.5, rel=1e-6)
    write_json(root / "models_eval" / "models_info.json", {"1": {"diameter": 350.0}})
    assert models_of(root)[1].diameter_m == pytest.approx(0.35)
    (root / "models_eval" / "obj_000002.ply").unlink()
    assert models_of(root)[1].mesh.diameter_m == pytest.approx(0.1 * 3**0.5, rel=1e-6)


def test_an_axis_is_cut_as_the_toolkit_cuts_it(root):
    axis = {"axis": [0, 0, 1], "offset": [0, 0, 0]}
    change_json(
        root / "models" / "models_info.json", lambda info: info["1"].update(symmetries_continuous=[axis])
    )
    models = models_of(root)
    assert SYMMETRY_STEPS == 315
    assert models[1].T_obj_sym.shape == (315, 4, 4)
    np.testing.assert_array_equal(models[2].T_obj_sym, np.eye(4)[None])


def write_true_poses(root: Path, path: Path, shift_m: float = 0.0) -> None:
    lines = [HEADER_LINE]
    for true in load_ground_truth(root):
        T_cam_obj = true.T_cam_obj.copy()
        T_cam_obj[0, 3] += shift_m
        lines.append(prediction_line(Prediction(*true.key[1:4], 0.5, T_cam_obj, 0.1)))
    path.write_text("".join(lines))


def pooled(root: Path, path: Path, *more: str) -> dict[str, float]:
    out = path.with_suffix(".json")
    assert main(["evaluate", str(path), str(root), "--bop", "--out", str(out), *more]) == 0
    return json.loads(out.read_text())["metrics"]["pooled"]


def test_true_poses_of_a_rendered_set_score_one(tmp_path):
    """Rendered depth has the sensor's noise; what is compared are two renderings."""
    root = tmp_path / "synth"
    made = ["synth", str(root), "--frames", "1", "--test-frames", "2", "--objects", "1", "2", "--seed", "4"]
    assert main(made) == 0
    write_true_poses(root, tmp_path / "true.csv")
    assert [pooled(root, tmp_path / "true.csv")[name] for name in RECALLS] == [1, 1, 1, 1]
    write_true_poses(root, tmp_path / "off.csv", shift_m=0.03)
    off = pooled(root, tmp_path / "off.csv")
    assert all(off[name] < 1 for name in RECALLS)


def test_true_poses_of_real_frames_score_one(ycbv_sample, tmp_path):
    write_true_poses(ycbv_sample, tmp_path / "true.csv")
    assert len(list(csv.reader((tmp_path / "true.csv").open()))) > 20
    found = pooled(ycbv_sample, tmp_path / "true.csv")
    assert [found[name] for name in RECALLS] == [1, 1, 1, 1]
