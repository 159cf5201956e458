"""`find` as a user runs it: no mask and no pose is read, files of the contract, restart, joined with other commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bare_root import strip_masks_and_poses

from selfpose6d.cli.main import main

KNOWN = ("--counts", "known", "--workers", "1")


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    """A small BOP root: two objects, three test frames."""
    return render_once("--frames", "1", "--test-frames", "3", "--objects", "1", "5", "--seed", "3")


@pytest.fixture(scope="module")
def bare(rendered, tmp_path_factory) -> Path:
    """The same without a mask or a pose: `scene_gt.json` and `mask_visib/` are gone."""
    root = tmp_path_factory.mktemp("bare") / "data"
    shutil.copytree(rendered, root)
    strip_masks_and_poses(root)
    return root


@pytest.fixture(scope="module")
def found(rendered, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "found"
    assert main(["find", str(rendered), "--out", str(run), *KNOWN]) == 0
    return run


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_time(rows: list[dict]) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in ("time", "time_s")} for row in rows]


def test_objects_are_found_and_scored(found, rendered, capsys):
    assert main(["evaluate", str(found), str(rendered)]) == 0
    results = json.loads((found / "results.json").read_text())
    assert results["metrics"]["pooled"]["adds_auc"] > 85
    assert results["certified_precision"] == 1.0
    assert results["certified_share"] > 0.5
    assert results["detection"]["segm"]["ap50"] > 75
    assert results["detection"]["bbox"]["ap50"] > 75
    assert "AP50" in capsys.readouterr().out


def test_neither_masks_nor_poses_are_read(found, bare, tmp_path):
    run = tmp_path / "bare"
    assert main(["find", str(bare), "--out", str(run), *KNOWN]) == 0
    for name in ("detections.json", "certificates.jsonl", "turned_away.jsonl"):
        read = lines if name.endswith("l") else lambda path: json.loads(path.read_text())
        assert without_time(read(run / name)) == without_time(read(found / name))
    assert main(["report", str(run)]) == 0
    page = (run / "report.html").read_text()
    assert "What was found" in page
    assert ("What was tried and turned away" in page) == bool(lines(run / "turned_away.jsonl"))


def test_poses_are_scored_where_there_are_no_masks(found, rendered, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(rendered, root)
    for folder in (root / "test").glob("*/mask_visib"):
        shutil.rmtree(folder)
    run = tmp_path / "run"
    shutil.copytree(found, run)
    assert main(["evaluate", str(run), str(root), "--targets", "all"]) == 0
    assert json.loads((run / "results.json").read_text())["detection"] is None
    file = str(found / "detections.json")
    assert main(["evaluate", str(run), str(root), "--targets", "all", "--detections", file]) == 2
    assert "no masks" in capsys.readouterr().err


def test_rows_are_numbered_and_joined(found):
    from pycocotools import mask as coco

    rows, labels = json.loads((found / "detections.json").read_text()), lines(found / "certificates.jsonl")
    wanted = {"scene_id", "image_id", "category_id", "score", "bbox", "segmentation", "time", "inst_id"}
    assert all(set(row) == wanted for row in rows)
    assert [row["inst_id"] for row in rows] == list(range(len(rows)))
    assert [(row["scene_id"], row["image_id"], row["category_id"], row["inst_id"]) for row in rows] == [
        (one["scene_id"], one["im_id"], one["obj_id"], one["inst_id"]) for one in labels
    ]
    assert [row["score"] for row in rows] == [one["confidence"] for one in labels]
    for row in rows:
        mask = coco.decode({**row["segmentation"], "counts": row["segmentation"]["counts"].encode()})
        ys, xs = np.nonzero(mask)
        x, y, width, height = row["bbox"]
        assert mask.shape == (480, 640)
        assert x - 3 <= xs.min() <= xs.max() <= x + width + 3
        assert y - 3 <= ys.min() <= ys.max() <= y + height + 3
    for one in lines(found / "turned_away.jsonl"):
        named = {"scene_id", "im_id", "obj_id", "name"}
        assert set(one) == named | {"status", "confidence", "reason", "piece", "bbox"}
        assert one["reason"]


def test_pictures_are_drawn(found):
    assert len(list((found / "masks").glob("*.png"))) == 3
    assert len(list((found / "overlays").glob("*.png"))) == 3


def test_a_stopped_run_goes_on(found, rendered, tmp_path):
    run = tmp_path / "stopped"
    shutil.copytree(found, run)
    (run / "detections.json").unlink()
    journal = (run / "journal.jsonl").read_text().splitlines(keepends=True)
    (run / "journal.jsonl").write_text("".join(journal[:1]) + journal[1][:40])
    assert main(["find", str(rendered), "--out", str(run), *KNOWN]) == 0
    again, whole = (json.loads((folder / "detections.json").read_text()) for folder in (run, found))
    assert without_time(again) == without_time(whole)


def test_found_masks_are_annotated_again(found, rendered, tmp_path):
    run = tmp_path / "again"
    options = ["--detections", str(found / "detections.json"), "--workers", "1"]
    assert main(["annotate", str(rendered), "--out", str(run), *options]) == 0
    keys = [
        tuple(row[name] for name in ("scene_id", "im_id", "obj_id", "inst_id"))
        for row in lines(found / "certificates.jsonl")
    ]
    assert [
        tuple(row[name] for name in ("scene_id", "im_id", "obj_id", "inst_id"))
        for row in lines(run / "certificates.jsonl")
    ] == keys


def test_annotate_finds_where_there_are_no_masks(bare, tmp_path, capsys):
    run = tmp_path / "annotated"
    assert main(["annotate", str(bare), "--out", str(run), "--limit", "1", "--workers", "1"]) == 0
    assert "has no masks" in capsys.readouterr().err
    assert (run / "detections.json").is_file()
    assert main(["annotate", str(bare), "--out", str(tmp_path / "icp"), "--method", "icp"]) == 2
    assert "no masks" in capsys.readouterr().err


def test_objects_say_what_may_be_there_not_what_is_scored(rendered, tmp_path):
    run = tmp_path / "one"
    assert main(["find", str(rendered), "--out", str(run), "--objects", "1", *KNOWN]) == 0
    assert {row["obj_id"] for row in lines(run / "certificates.jsonl")} <= {1}
    assert main(["evaluate", str(run), str(rendered)]) == 0
    results = json.loads((run / "results.json").read_text())
    assert set(results["metrics"]["objects"]) == {"1", "5"}


def test_wrong_use_is_one_line(rendered, found, tmp_path, capsys):
    for extra, words in (
        (["--detections", str(found / "detections.json")], "annotate --detections"),
        (["--objects", "99"], "no such model"),
        (["--workers", "-1"], "--workers"),
        (["--counts", "many"], "counts"),
        (["--prompts", str(tmp_path / "missing.json")], "prompts file"),
    ):
        assert main(["find", str(rendered), "--out", str(tmp_path / "wrong"), *extra]) == 2
        message = capsys.readouterr().err.strip()
        assert words in message
        assert message.count("\n") == 0
        assert not (tmp_path / "wrong").exists()
    assert main(["find", str(rendered), "--out", str(found), "--counts", "any"]) == 2
    assert "other options" in capsys.readouterr().err


def test_an_unreadable_frame_is_said_and_the_others_are_found(bare, tmp_path, capsys):
    root = tmp_path / "broken"
    shutil.copytree(bare, root)
    depth = sorted((root / "test").glob("*/depth/*.png"))[0]
    depth.chmod(0o644)
    depth.write_bytes(b"no image")
    assert main(["find", str(root), "--out", str(tmp_path / "run"), *KNOWN]) in (0, 1)
    assert "frame skipped" in capsys.readouterr().err
    assert lines(tmp_path / "run" / "certificates.jsonl")


def test_real_frames(ycbv_sample, tmp_path):
    """One frame of the real sample; its masks are there and not read."""
    run = tmp_path / "real"
    options = ["--scenes", "0", "--frames", "1", *KNOWN]
    assert main(["find", str(ycbv_sample), "--out", str(run), *options]) == 0
    assert main(["evaluate", str(run), str(ycbv_sample)]) == 0
    results = json.loads((run / "results.json").read_text())
    assert results["instances"] == 3
    assert results["metrics"]["pooled"]["add_or_adds_below_2cm"] == 1.0
    assert results["certified_precision"] == 1.0
