"""No mask anywhere: a network learns to see the objects from renderings, and `find`, `estimate` and `train` go on from
there. The recording has neither masks nor poses."""

import json
import shutil
from pathlib import Path

import pytest
from bare_root import strip_masks_and_poses

from selfpose6d.cli.main import main
from selfpose6d.network.checkpoint import load_network, load_segmentation

pytestmark = pytest.mark.usefixtures("small_and_own")


@pytest.fixture(scope="module")
def rendered(rendered_pair) -> Path:
    return rendered_pair


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    """Other frames of the same objects, without `scene_gt.json` and `mask_visib/`."""
    root = tmp_path_factory.mktemp("recording") / "data"
    options = ["--frames", "2", "--test-frames", "2", "--objects", "1", "5", "--seed", "4"]
    assert main(["synth", str(root), *options]) == 0
    strip_masks_and_poses(root)
    return root


@pytest.fixture(scope="module")
def segmenter(pair_segmenter) -> Path:
    return pair_segmenter


@pytest.fixture(scope="module")
def found(recording, segmenter, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "found"
    options = ["--split", "train", "--segmenter", str(segmenter), "--workers", "1", "--overlays", "0"]
    assert main(["find", str(recording), "--out", str(run), "--counts", "known", *options]) == 0
    return run


@pytest.fixture(scope="module")
def model(rendered, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "model"
    assert (
        main(["train", str(rendered), "--out", str(out), "--recipe", "supervised", "--max-steps", "3"]) == 0
    )
    return out


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def error_of(capsys) -> str:
    return capsys.readouterr().err


def test_what_the_network_sees_is_looked_at_beside_the_surface(found):
    config = (found / "config.yaml").read_text()
    assert "segmenter:" in config
    pieces = {row["piece"] for row in lines(found / "turned_away.jsonl")}
    labels = lines(found / "certificates.jsonl")
    assert [one for one in labels if one["status"] == "certified"]
    assert labels or "segmented mask" in pieces


def test_poses_come_from_frames_alone(recording, segmenter, model, tmp_path, capsys):
    run = tmp_path / "run"
    command = ["estimate", str(model), str(recording), "--segmenter", str(segmenter), "--out", str(run)]
    assert main(command) == 0
    detections = json.loads((run / "detections.json").read_text())
    poses = (run / "predictions.csv").read_text().splitlines()[1:]
    assert len(detections) == len(poses) > 0
    assert {row["category_id"] for row in detections} <= {1, 5}
    assert all(0 < row["score"] < 1 for row in detections)
    assert all(row["bbox"][2] > 0 and row["segmentation"]["size"] == [480, 640] for row in detections)
    before = (run / "detections.json").read_text()
    assert main(command) == 0  # nothing is left to do
    assert (run / "detections.json").read_text() == before
    assert main([*command, "--objects", "5"]) == 2
    only = tmp_path / "only"
    assert main([*command[:-1], str(only), "--objects", "5"]) == 0
    assert {row["category_id"] for row in json.loads((only / "detections.json").read_text())} <= {5}


def test_certified_frames_teach_both_networks(recording, rendered, found, tmp_path, capsys):
    out = tmp_path / "segmenter"
    options = ["--task", "segment", "--labels", str(found), "--synthetic", str(rendered), "--max-steps", "2"]
    assert main(["train", str(recording), "--out", str(out), *options]) == 0
    assert load_segmentation(out / "checkpoints/last.safetensors")[0].obj_ids == (1, 5)
    pose = tmp_path / "pose"
    options = ["--recipe", "verified", "--labels", str(found), "--max-steps", "2"]
    assert main(["train", str(recording), "--out", str(pose), *options]) == 0
    known = {row["obj_id"] for row in lines(found / "certificates.jsonl")}
    assert set(load_network(pose / "checkpoints/last.safetensors")[0].objects.obj_ids) <= known
    elsewhere = ["train", str(rendered), "--out", str(tmp_path / "other"), *options]
    assert main(elsewhere) == 2
    assert "labels another data set" in error_of(capsys)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--verify"], "find --segmenter"),
        (["--detections", "x.json"], "both say where the objects are"),
        (["--segmenter", "nowhere"], "no checkpoint in nowhere"),
    ],
)
def test_wrong_use_of_a_segmenter_is_one_line(recording, segmenter, model, tmp_path, capsys, more, words):
    options = ["--segmenter", str(segmenter), "--out", str(tmp_path / "run"), *more]
    assert main(["estimate", str(model), str(recording), *options]) == 2
    message = error_of(capsys)
    assert words in message
    assert message.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_two_kinds_of_networks_are_not_mixed_up(recording, segmenter, model, tmp_path, capsys):
    out = ["--out", str(tmp_path / "run")]
    assert main(["estimate", str(segmenter), str(recording), "--segmenter", str(segmenter), *out]) == 2
    assert "holds a network of task segment" in error_of(capsys)
    assert main(["estimate", str(model), str(recording), "--segmenter", str(model), *out]) == 2
    assert "holds a network of task pose" in error_of(capsys)
    assert main(["find", str(recording), "--segmenter", str(model), *out]) == 2
    assert "holds a network of task pose" in error_of(capsys)
    assert not (tmp_path / "run").exists()


def test_without_masks_and_without_a_segmenter_estimate_says_what_to_do(recording, model, tmp_path, capsys):
    assert main(["estimate", str(model), str(recording), "--out", str(tmp_path / "run")]) == 2
    assert "--segmenter" in error_of(capsys)


def test_labels_of_an_annotate_run_teach_the_segmenter(rendered, segmenter, tmp_path, capsys):
    labels = tmp_path / "labels"
    options = ["--split", "train", "--limit", "2", "--workers", "1", "--overlays", "0"]
    assert main(["annotate", str(rendered), "--out", str(labels), *options]) == 0
    train = ["train", str(rendered), "--task", "segment", "--labels", str(labels), "--max-steps", "1"]
    other = tmp_path / "other"
    assert (
        main(
            ["synth", str(other), "--frames", "2", "--test-frames", "0", "--objects", "1", "5", "--seed", "9"]
        )
        == 0
    )
    assert main([*train, "--limit", "2", "--synthetic", str(other), "--out", str(tmp_path / "run")]) == 0


def test_a_network_of_other_objects_is_refused(recording, segmenter, tmp_path, capsys):
    """The same ids, but meshes of another size."""
    models = tmp_path / "models"
    shutil.copytree(recording / "models", models)
    (models / "obj_000001.ply").write_bytes((models / "obj_000005.ply").read_bytes())
    options = ["--segmenter", str(segmenter), "--models", str(models), "--out", str(tmp_path / "run")]
    assert main(["find", str(recording), *options]) == 2
    assert "learned an object 1 of" in error_of(capsys)
    assert not (tmp_path / "run").exists()


def test_rounds_after_found_labels_are_refused_at_once(recording, found, tmp_path, capsys):
    options = ["--recipe", "verified", "--labels", str(found), "--max-steps", "2", "--rounds", "2"]
    assert main(["train", str(recording), "--out", str(tmp_path / "run"), *options]) == 2
    assert "labels objects that it found" in error_of(capsys)
