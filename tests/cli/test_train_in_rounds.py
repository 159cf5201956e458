"""`train --recipe verified` annotates by itself, in rounds; no pose of the data set is read. `annotate --proposals`."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from selfpose6d.cli.main import main
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.config import read_config

OPTIONS = ["--recipe", "verified", "--rounds", "2", "--max-steps", "4", "--batch", "2", "--device", "cpu"]


pytestmark = pytest.mark.usefixtures("small_and_own")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """A box in four frames of split train."""
    root = tmp_path_factory.mktemp("synth") / "data"
    assert (
        main(["synth", str(root), "--preset", "single-upright", "--frames", "4", "--test-frames", "1"]) == 0
    )
    return root


@pytest.fixture(scope="module")
def run(rendered, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(rendered), "--out", str(out), *OPTIONS]) == 0
    return out


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(path: Path) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "time_s"} for row in rows(path)]


def error_of(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.strip().splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def test_every_part_is_an_ordinary_run(run, rendered, capsys):
    table = rows(run / "rounds.jsonl")
    assert [(row["round"], row["steps"], row["proposals"]) for row in table] == [
        (0, 2, None),
        (1, 2, "rounds/0/model"),
    ]
    for row in table:
        assert read_config(run / row["labels"]).command == "annotate"
        assert read_config(run / row["model"]).command == "train"
        labels = list(read_certificates(run / row["labels"] / "certificates.jsonl"))
        assert sum(label.certificate.status == "certified" for label in labels) == row["certified"] > 0
        evaluated = ["evaluate", str(run / row["labels"]), str(rendered), "--split", "train"]
        assert main(evaluated) == 0
        assert json.loads((run / row["labels"] / "results.json").read_text())["certified_precision"] == 1.0
    capsys.readouterr()


def test_certified_labels_stay_to_the_last_digit(run):
    first, second = (rows(run / f"rounds/{k}/labels/certificates.jsonl") for k in (0, 1))
    certified = [row for row in first if row["status"] == "certified"]
    assert certified
    assert [row for row in second if row in certified] == certified


def test_no_pose_is_read(run, rendered, tmp_path):
    """Random poses instead of the true ones: the same labels and the same weights."""
    root = tmp_path / "nonsense"
    shutil.copytree(rendered, root)
    generator = np.random.default_rng(0)
    for path in root.glob("train/*/scene_gt.json"):
        frames = json.loads(path.read_text())
        for entry in (one for entries in frames.values() for one in entries):
            entry["cam_R_m2c"] = generator.normal(size=9).tolist()
            entry["cam_t_m2c"] = generator.normal(size=3).tolist()
        path.write_text(json.dumps(frames))
    out = tmp_path / "run"
    assert main(["train", str(root), "--out", str(out), *OPTIONS]) == 0
    for k in (0, 1):
        name = f"rounds/{k}/labels/certificates.jsonl"
        assert without_times(out / name) == without_times(run / name)
    ours, theirs = (load_file(folder / "checkpoints" / "last.safetensors") for folder in (out, run))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_proposals_and_kept_labels_are_options_of_annotate(run, rendered, tmp_path, capsys):
    """What training in rounds does, by hand: the same labels."""
    arguments = ["annotate", str(rendered), "--split", "train", "--overlays", "0", "--device", "cpu"]
    more = ["--proposals", str(run / "rounds/0/model"), "--keep", str(run / "rounds/0/labels")]
    assert main([*arguments, "--out", str(tmp_path / "again"), *more]) == 0
    name = "certificates.jsonl"
    assert without_times(tmp_path / "again" / name) == without_times(run / "rounds/1/labels" / name)
    capsys.readouterr()
    assert main([*arguments, "--out", str(tmp_path / "again")]) == 2
    message = error_of(capsys)
    assert "--proposals is" in message
    assert "--keep is" in message


def test_proposals_of_a_model_join_every_instance(run, rendered, tmp_path):
    """The poses are the search's or fit better; every certificate says which."""
    arguments = [
        "annotate",
        str(rendered),
        "--split",
        "train",
        "--overlays",
        "0",
        "--device",
        "cpu",
        "--limit",
        "2",
    ]
    assert main([*arguments, "--out", str(tmp_path / "run"), "--proposals", str(run)]) == 0
    found = list(read_certificates(tmp_path / "run" / "certificates.jsonl"))
    before = {label.key: label for label in read_certificates(run / "rounds/0/labels/certificates.jsonl")}
    assert found
    for label in found:
        assert label.certificate.source in ("hypotheses", "search")
        if label.certificate.source == "search":
            np.testing.assert_allclose(label.T_cam_obj, before[label.key].T_cam_obj, atol=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--proposals", "nowhere"], "no checkpoint in nowhere"),
        (["--proposals", "nowhere", "--method", "icp"], "--method icp has one start and compares nothing"),
        (["--keep", "nowhere"], "nowhere is no run"),
    ],
)
def test_wrong_use_of_annotate_is_one_line(rendered, tmp_path, capsys, options, message):
    assert main(["annotate", str(rendered), "--out", str(tmp_path / "run"), *options]) == 2
    assert message in error_of(capsys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rounds", "2"], "--rounds: recipe paper learns from no labels. Use --recipe verified"),
        (["--recipe", "verified", "--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["--recipe", "verified", "--rounds", "5"], "--max-steps 4 for --rounds 5"),
        (["--recipe", "verified", "--risk", "2"], "--risk must be between 0 and 1"),
        (["--recipe", "verified", "--labels", "nowhere", "--rounds", "2"], "nowhere is no run"),
        (["--risk", "0.02"], "say how recipe verified annotates by itself"),
        (["--recipe", "verified", "--init", "nowhere"], "no checkpoint in nowhere"),
    ],
)
def test_wrong_use_of_train_is_one_line(rendered, tmp_path, capsys, options, message):
    out = tmp_path / "run"
    assert main(["train", str(rendered), "--out", str(out), "--max-steps", "4", *options]) == 2
    assert message in error_of(capsys)
    assert not out.exists()
