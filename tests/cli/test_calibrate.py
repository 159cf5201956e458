"""`calibrate` as a user runs it: from scenes to a file that `annotate` takes, and every wrong use as one line."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "calibration"))

from scene_results import scene_results

from selfpose6d.calibration import make
from selfpose6d.cli.main import main
from selfpose6d.labeling.annotate import AnnotateOptions
from selfpose6d.labeling.calibration import load_calibration
from selfpose6d.labeling.options import CertifyingOptions

SCENES = 1000


@pytest.fixture
def no_rendering(monkeypatch):
    """Scenes as if they had been rendered and annotated."""
    results = scene_results(SCENES)
    monkeypatch.setattr(make, "scene_annotator", lambda objects, options, seed: results.__getitem__)
    monkeypatch.setattr(make, "calibration_objects", lambda options: ())


def calibrate(out: Path, *more: str) -> int:
    return main(["calibrate", "--out", str(out), "--scenes", str(SCENES), "--workers", "1", *more])


def test_a_calibration_is_written_and_annotate_takes_it(no_rendering, tmp_path, capsys):
    out = tmp_path / "new" / "mine.json"
    assert calibrate(out) == 0
    said = capsys.readouterr().out
    assert f"written: {out}" in said
    assert f"next: selfpose6d annotate DATASET --out RUN --calibration {out}" in said
    calibration = load_calibration(out)
    assert calibration.made_from["learned_from"] + calibration.made_from["tested_on"] == SCENES
    options = CertifyingOptions(risk=0.2, calibration=out).applied(AnnotateOptions())
    assert options.certificate.calibration == calibration
    first = out.read_bytes()
    assert calibrate(out) == 0
    assert out.read_bytes() == first, "what is there is not made again"


def test_scenes_of_other_options_are_refused(no_rendering, tmp_path, capsys):
    out = tmp_path / "mine.json"
    assert calibrate(out) == 0
    before = out.read_bytes()
    capsys.readouterr()
    assert calibrate(out, "--seed", "1") == 2
    error = capsys.readouterr().err
    assert "mine.json.scenes.jsonl holds scenes of other options" in error
    assert [line for line in error.splitlines() if line.startswith("error: ")] == error.splitlines()[-1:]
    assert out.read_bytes() == before


def test_a_calibration_for_the_joint_loss_says_so(no_rendering, tmp_path):
    out = tmp_path / "joint.json"
    assert calibrate(out, "--refinement", "joint-loss") == 0
    settings = json.loads(out.read_text())["settings"]
    assert settings["search"]["refinement"] == "joint-loss"
    assert "joint" in settings["search"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenes", "10"], "--scenes must be at least 200, got 10."),
        (["--seed", "-1"], "--seed must be 0 or more, got -1."),
        (["--workers", "-1"], "--workers must be 0 or more, got -1."),
        (["--objects", "99"], "--objects 99: no such built-in object"),
        (["--models", "nowhere"], "nowhere"),
        (["--out", "."], "--out . is a folder. Name a file"),
        (["--refinement", "magic"], "magic"),
    ],
)
def test_wrong_use_is_one_line(tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["calibrate", "--out", "mine.json", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "mine.json").exists()
