"""`annotate` as a user runs it: results, restart after a kill, refused folders, unreadable frames, no labels read."""

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from selfpose6d.cli.main import main
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import default_calibration, load_calibration
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.settings import calibrated_settings


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    """A small BOP root: two objects, three test frames."""
    return render_once("--frames", "1", "--test-frames", "3", "--objects", "1", "5", "--seed", "3")


@pytest.fixture(scope="module")
def finished(rendered, tmp_path_factory) -> Path:
    """A run over `rendered` that nothing interrupted."""
    run = tmp_path_factory.mktemp("runs") / "whole"
    assert main(["annotate", str(rendered), "--out", str(run)]) == 0
    return run


def rows_without_time(run: Path) -> list[dict[str, str]]:
    with (run / "predictions.csv").open() as file:
        return [{k: v for k, v in row.items() if k != "time"} for row in csv.DictReader(file)]


def copied(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    for path in to.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return to


def test_every_file_of_the_contract_is_written(finished, rendered):
    certificates = [json.loads(line) for line in (finished / "certificates.jsonl").read_text().splitlines()]
    assert len(certificates) == len(rows_without_time(finished)) >= 4
    wanted = {
        "split",
        "scene_id",
        "im_id",
        "obj_id",
        "inst_id",
        "status",
        "reason",
        "confidence",
        "margin",
        "rms_m",
    }
    wanted |= {"coverage", "free_space", "colour", "R", "t_mm", "alternatives", "time_s"}
    wanted |= {"name", "inlier_ratio", "noise_m", "score", "risk", "bound", "calibration", "mask_quality"}
    assert all(set(row) == wanted for row in certificates)
    info = json.loads((rendered / "models" / "models_info.json").read_text())
    assert all(row["name"] == info[str(row["obj_id"])].get("name") for row in certificates)
    assert (finished / "skipped.jsonl").exists()
    assert list((finished / "overlays").glob("*.png"))
    assert not (finished / "annotations").exists(), "export writes a data set"


def test_labels_are_right(finished, rendered, capsys):
    assert main(["evaluate", str(finished), str(rendered)]) == 0
    results = json.loads((finished / "results.json").read_text())
    assert results["metrics"]["pooled"]["adds_auc"] > 95
    assert results["metrics"]["pooled"]["add_or_adds_auc"] > 90
    assert results["certified_precision"] == 1.0


def test_a_killed_run_goes_on_where_it_stopped(rendered, finished, tmp_path):
    run = tmp_path / "killed"
    command = [sys.executable, "-m", "selfpose6d.cli.main", "annotate", str(rendered), "--out", str(run)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = run / "journal.jsonl"
    deadline_s = time.monotonic() + 240
    while time.monotonic() < deadline_s and not (journal.exists() and journal.read_bytes().count(b"\n")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = journal.read_bytes().count(b"\n")
    assert done >= 1
    with journal.open("ab") as file:
        file.write(b'{"frame": [0, 1], "labe')
    assert main(["annotate", str(rendered), "--out", str(run)]) == 0
    assert rows_without_time(run) == rows_without_time(finished)


def test_several_processes_make_the_same_labels(rendered, finished, tmp_path):
    run = tmp_path / "parallel"
    assert main(["annotate", str(rendered), "--out", str(run), "--workers", "2", "--overlays", "0"]) == 0
    assert rows_without_time(run) == rows_without_time(finished)


def test_a_run_made_with_other_options_is_refused_by_name(finished, rendered, capsys):
    before = (finished / "predictions.csv").read_bytes()
    assert main(["annotate", str(rendered), "--out", str(finished), "--seed", "7"]) == 2
    message = capsys.readouterr().err
    assert "seed" in message
    assert message.count("\n") == 1
    assert (finished / "predictions.csv").read_bytes() == before


def test_an_unreadable_frame_is_reported_and_the_rest_is_labelled(rendered, finished, tmp_path, capsys):
    root = copied(rendered, tmp_path / "broken")
    victim = sorted((root / "test").glob("*/depth/*.png"))[1]
    victim.write_bytes(b"no image")
    run = tmp_path / "run"
    assert main(["annotate", str(root), "--out", str(run), "--overlays", "0"]) == 1
    assert victim.name in capsys.readouterr().err
    im_id = str(int(victim.stem))
    skipped = [json.loads(line) for line in (run / "skipped.jsonl").read_text().splitlines()]
    assert {str(row["im_id"]) for row in skipped} == {im_id}
    assert rows_without_time(run) == [row for row in rows_without_time(finished) if row["im_id"] != im_id]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--method", "magic"], "magic"),
        (["--split", "nowhere"], "nowhere"),
        (["--objects", "42"], "42"),
        (["--limit", "0"], "limit"),
        (["--detections", "missing.json"], "missing.json"),
        (["--device", "tpu"], "tpu"),
        (["--frobnicate"], "frobnicate"),
    ],
)
def test_wrong_options_are_one_line_and_exit_code_2(rendered, tmp_path, capsys, arguments, word):
    out = tmp_path / "run"
    assert main(["annotate", str(rendered), "--out", str(out), *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert word in message
    assert message.count("\n") == 1
    assert not out.exists()


@pytest.fixture(scope="module")
def calibrations(tmp_path_factory) -> Path:
    """Files that `--calibration` may be given: one that holds, one for the joint loss, and broken ones."""
    folder = tmp_path_factory.mktemp("calibrations")
    shipped = default_calibration()
    replace(shipped, made_from={"mine": 1}).save(folder / "mine.json")
    joint = AnnotateOptions(search=SearchOptions(refinement="joint-loss"))
    replace(shipped, settings=calibrated_settings(joint)).save(folder / "joint.json")
    content = shipped.to_json()
    (folder / "cut.json").write_text(json.dumps(content)[:-50])
    (folder / "old.json").write_text(json.dumps(content | {"format": 0}))
    content["terms"]["colour"]["rises"][-1] = -1.0
    (folder / "falling.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--refinement", "joint-loss"], "the shipped calibration holds for search.refinement"),
        (["--calibration", "FOLDER/joint.json"], "Calibrate for these options (selfpose6d calibrate --out"),
        (["--calibration", "FOLDER/none.json"], "no such file. Make one with selfpose6d calibrate --out"),
        (["--calibration", "FOLDER"], "no such file. Make one with selfpose6d calibrate --out"),
        (["--calibration", "FOLDER/cut.json"], "is no calibration ("),
        (["--calibration", "FOLDER/old.json"], "has format 0, this version reads 1. Calibrate again."),
        (["--calibration", "FOLDER/falling.json"], "better evidence must never lower the score"),
        (["--risk", "0"], "--risk must be between 0 and 1, got 0. Pass for example"),
        (["--risk", "1"], "--risk must be between 0 and 1, got 1. Pass for example"),
        (["--risk", "2"], "--risk must be between 0 and 1, got 2. Pass for example"),
        (["--risk", "-1"], "--risk must be between 0 and 1, got -1. Pass for example"),
        (["--risk", "nan"], "--risk must be between 0 and 1, got nan. Pass for example"),
        (["--risk", "1e-9"], "--risk 1e-09: this calibration proves"),
        (["--depth-noise-mm", "0"], "the depth noise must be between 0 and 200 mm, got 0 mm."),
        (["--mask-quality", "fine"], "fine"),
    ],
)
def test_what_cannot_be_certified_by_is_one_line(
    rendered, calibrations, tmp_path, capsys, arguments, message
):
    arguments = [word.replace("FOLDER", str(calibrations)) for word in arguments]
    out = tmp_path / "run"
    assert main(["annotate", str(rendered), "--out", str(out), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_a_calibration_of_ones_own_is_used_and_recorded(rendered, calibrations, finished, tmp_path, capsys):
    mine, run = calibrations / "mine.json", tmp_path / "run"
    arguments = ["annotate", str(rendered), "--out", str(run), "--limit", "1", "--overlays", "0"]
    assert main([*arguments, "--calibration", str(mine), "--risk", "0.02"]) == 0
    rows = [json.loads(line) for line in (run / "certificates.jsonl").read_text().splitlines()]
    used = {(row["calibration"], row["risk"]) for row in rows}
    assert used == {(load_calibration(mine).content_hash, 0.02)}
    assert used.isdisjoint({(default_calibration().content_hash, 0.02)})
    capsys.readouterr()
    assert main(arguments) == 2, "the run is of another calibration"
    assert capsys.readouterr().err.count("\n") == 1


def test_the_joint_loss_with_a_calibration_for_it(rendered, calibrations, tmp_path):
    run = tmp_path / "run"
    arguments = ["--refinement", "joint-loss", "--calibration", str(calibrations / "joint.json")]
    assert (
        main(["annotate", str(rendered), "--out", str(run), "--limit", "1", "--overlays", "0", *arguments])
        == 0
    )
    assert rows_without_time(run)


def test_a_missing_data_set_is_one_line(tmp_path, capsys):
    assert main(["annotate", str(tmp_path / "nothing"), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_no_label_is_read(ycbv_sample, tmp_path):
    """With every pose nonsense and scene_gt_info.json gone the predictions are the same."""
    frames = ["--scenes", "0", "--limit", "1", "--overlays", "0"]
    runs = [tmp_path / "true", tmp_path / "nonsense"]
    root = copied(ycbv_sample, tmp_path / "data")
    random = np.random.default_rng(0)
    for path in root.rglob("scene_gt.json"):
        scene = json.loads(path.read_text())
        for entry in (entry for entries in scene.values() for entry in entries):
            entry["cam_R_m2c"] = random.normal(size=9).tolist()
            entry["cam_t_m2c"] = (1e4 * random.normal(size=3)).tolist()
        path.write_text(json.dumps(scene))
    for path in [*root.rglob("scene_gt_info.json"), *root.rglob("test_targets_bop19.json")]:
        path.unlink()
    for data, run in zip([ycbv_sample, root], runs, strict=True):
        assert main(["annotate", str(data), "--out", str(run), *frames]) == 0
    assert rows_without_time(runs[0]) == rows_without_time(runs[1]) != []
