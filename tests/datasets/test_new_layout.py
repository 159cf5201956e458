"""A new layout is one file and one line in `LAYOUTS`: every command that reads data sets takes it."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from log_layout import LOG

from selfpose6d.cli.main import main
from selfpose6d.datasets import layouts
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth


@pytest.fixture(scope="module")
def bop(tmp_path_factory) -> Path:
    """Two rendered frames of two objects as a BOP root."""
    root = tmp_path_factory.mktemp("synth") / "bop"
    options = ["--frames", "1", "--test-frames", "2", "--objects", "1", "5", "--seed", "3"]
    assert main(["synth", str(root), *options]) == 0
    return root


@pytest.fixture
def log(bop, tmp_path, monkeypatch) -> Path:
    """The same frames as a recorder's log, its layout registered."""
    monkeypatch.setattr(layouts, "LAYOUTS", (LOG, *layouts.LAYOUTS))
    root, dataset, truths = tmp_path / "recorded", DataOptions(bop).open(), load_ground_truth(bop)
    shutil.copytree(bop / "models", root / "models")
    for frame in map(dataset.load_frame, dataset.frame_ids()):
        folder = root / "log" / str(frame.im_id)
        folder.mkdir(parents=True)
        cv2.imwrite(str(folder / "rgb.png"), frame.rgb[..., ::-1])
        cv2.imwrite(str(folder / "depth.png"), (1e3 * frame.depth_m).round().astype(np.uint16))
        np.save(folder / "K.npy", frame.K)
        labels = sum(instance.key.obj_id * instance.mask.astype(np.uint8) for instance in frame.instances)
        np.save(folder / "labels.npy", labels)
        poses = {t.key.obj_id: t.T_cam_obj.tolist() for t in truths if t.key.im_id == frame.im_id}
        (folder / "poses.json").write_text(json.dumps(poses))
    return root


def test_every_command_takes_it(log, bop, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["validate", str(log)]) == 0
    assert main(["annotate", str(log), "--out", str(run), "--workers", "1"]) == 0
    assert main(["evaluate", str(run), str(log)]) == 0
    assert main(["report", str(run)]) == 0
    assert main(["annotate", str(bop), "--out", str(tmp_path / "same"), "--workers", "1"]) == 0
    assert main(["evaluate", str(tmp_path / "same"), str(bop)]) == 0
    found, same = (json.loads((folder / "results.json").read_text()) for folder in (run, tmp_path / "same"))
    assert found["instances"] == same["instances"] >= 3
    assert found["metrics"]["pooled"]["adds_auc"] == pytest.approx(
        same["metrics"]["pooled"]["adds_auc"], abs=3
    )
    assert (run / "report.html").is_file()


def test_messages_name_it(log, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["validate", str(tmp_path / "empty")]) == 2
    assert "a recorder's log (log/)" in capsys.readouterr().err
