"""`annotate` and `estimate` write files that BOP's server takes, and that are read back as they were written."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "datasets"))
sys.path.insert(0, str(Path(__file__).parents[1] / "network"))
sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))

from bop_rules import complaints
from networks import TINY
from small_roots import write_bop

from selfpose6d.cli.main import main
from selfpose6d.network.config import SIZES
from selfpose6d.objects import shapes
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.predictions import iterate_predictions


@pytest.fixture(scope="module", autouse=True)
def _small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "small", TINY)
        patch.setattr(shapes, "GRID_CELLS", 24)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two objects an image; two images to train on, two to test on."""
    folder = write_bop(tmp_path_factory.mktemp("set") / "data", {1: 2}, split="train")
    (write_bop(folder.with_name("other"), {2: 2}) / "test").rename(folder / "test")
    return folder


def checked(run: Path) -> None:
    assert complaints(run / "predictions.csv") == []
    rows = list(iterate_predictions(run / "predictions.csv"))
    assert [(row.scene_id, row.im_id, row.obj_id) for row in rows] == [
        (2, i, o) for i in (1, 2) for o in (1, 2)
    ]
    assert all(row.time_s > 0 for row in rows)


def test_annotate(root, tmp_path):
    run = tmp_path / "run"
    assert main(["annotate", str(root), "--out", str(run), "--method", "icp", "--workers", "1"]) == 0
    checked(run)
    labels = list(read_certificates(run / "certificates.jsonl"))
    rows = list(iterate_predictions(run / "predictions.csv"))
    for label, row in zip(labels, rows, strict=True):
        np.testing.assert_allclose(row.T_cam_obj, label.T_cam_obj, atol=1e-8)
        whole_image = sum(one.time_s for one in labels if one.key.im_id == row.im_id)
        assert row.time_s > whole_image > label.time_s  # of both instances, not its own


@pytest.fixture(scope="module")
def model(root, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "model"
    assert main(["train", str(root), "--out", str(out), "--max-steps", "2", "--batch", "2"]) == 0
    return out


def test_estimate(root, model, tmp_path):
    run = tmp_path / "run"
    assert main(["estimate", str(model), str(root), "--out", str(run)]) == 0
    checked(run)


def test_hypotheses_alone_say_that_they_are(root, model, tmp_path):
    run = tmp_path / "run"
    arguments = ["--verify", "--no-search", "--limit", "1"]
    assert main(["estimate", str(model), str(root), "--out", str(run), *arguments]) == 0
    assert complaints(run / "predictions.csv") == []
    assert {label.certificate.source for label in read_certificates(run / "certificates.jsonl")} == {
        "hypotheses"
    }
    # the same folder does not go on with a search
    searching = ["estimate", str(model), str(root), "--out", str(run), "--verify", "--limit", "1"]
    assert main(searching) == 2


def test_no_search_without_verification_is_one_line(root, model, tmp_path, capsys):
    assert main(["estimate", str(model), str(root), "--out", str(tmp_path / "run"), "--no-search"]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: --no-search says how --verify finds poses")
