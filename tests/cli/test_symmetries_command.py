"""`selfpose6d symmetries`: what it prints, draws and writes, and what it leaves alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfpose6d.cli.main import main
from selfpose6d.datasets.symmetries import describe_mesh, read_symmetries
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box

QUARTER = [0, -1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """1: a box with six labels, 2: a plain brick."""
    folder = tmp_path_factory.mktemp("models")
    save_mesh_ply(label_box(np.random.default_rng(0)), folder / "obj_000001.ply")
    save_mesh_ply(foam_brick(np.random.default_rng(0)), folder / "obj_000002.ply")
    return folder


@pytest.fixture
def models(source, tmp_path) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(source, tmp_path / "models"))


def run(models: Path, *options: str) -> int:
    return main(["symmetries", str(models), "--out", str(models.parent / "pictures"), *options])


def counts(models: Path) -> dict[int, int]:
    return {obj_id: len(group.discrete) for obj_id, group in read_symmetries(models).items()}


def test_without_write_it_prints_and_draws(models, capsys):
    before = sorted(models.iterdir())
    assert run(models) == 0
    printed = capsys.readouterr().out
    assert printed.count("180° about") == 6
    assert printed.count("shape") >= 3
    assert "models_info.json is as it was" in printed
    assert sorted(models.iterdir()) == before
    for name in ("obj_000001.png", "obj_000002.png"):
        picture = cv2.imread(str(models.parent / "pictures" / name))
        assert picture is not None
        assert picture.std() > 20


def test_what_shape_and_texture_share_is_written(models, capsys):
    assert run(models, "--write") == 0
    assert counts(models) == {2: 3}
    printed = capsys.readouterr().out
    assert "object 1: none found" in printed
    assert "object 2: 3 discrete" in printed
    info = json.loads((models / "models_info.json").read_text())
    assert info["2"]["diameter"] == pytest.approx(
        describe_mesh(foam_brick(np.random.default_rng(0)))["diameter"]
    )
    for matrix in info["2"]["symmetries_discrete"]:
        R = np.reshape(matrix, (4, 4))[:3, :3]
        np.testing.assert_allclose(R @ R, np.eye(3), atol=1e-8)


def test_shape_only_takes_the_labels_for_equal(models):
    assert run(models, "--shape-only", "--write") == 0
    assert counts(models) == {1: 3, 2: 3}


def test_what_is_declared_is_kept_and_said_until_replaced(models, capsys):
    half = np.diag([-1.0, -1, 1, 1]).ravel().tolist()
    path = models / "models_info.json"
    path.write_text(json.dumps({"2": {"name": "brick", "symmetries_discrete": [half]}}))
    before = path.read_text()
    assert run(models, "--write", "--objects", "2") == 0
    assert "brick (2): kept as declared (1 discrete)" in capsys.readouterr().out
    assert path.read_text() == before
    assert run(models, "--write", "--replace", "--objects", "2") == 0
    assert "brick (2): 3 discrete, in place of 1 discrete" in capsys.readouterr().out
    assert counts(models) == {2: 3}
    assert json.loads(path.read_text())["2"]["name"] == "brick"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--replace"], "--replace says what --write does"),
        (["--objects", "9"], "no model for object 9"),
    ],
)
def test_wrong_use_is_one_line(models, capsys, options, message):
    assert run(models, *options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_folders(tmp_path, models, capsys, monkeypatch):
    assert run(tmp_path / "nowhere") == 2
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr("os.access", lambda *_: False)
    assert run(models, "--write") == 2
    assert "cannot be written. Copy the models" in capsys.readouterr().err


def test_annotate_and_validate_refuse_false_symmetries(tmp_path, capsys):
    root = tmp_path / "data"
    options = ["--frames", "1", "--test-frames", "1", "--objects", "1", "--seed", "3"]
    assert main(["synth", str(root), *options]) == 0
    path = root / "models" / "models_info.json"
    info = json.loads(path.read_text())
    info["1"]["symmetries_discrete"] = [QUARTER]
    path.write_text(json.dumps(info))
    # a process of its own: here beartype looks into the store of models, and takes the error for its own
    command = [
        sys.executable,
        "-m",
        "selfpose6d.cli.main",
        "annotate",
        str(root),
        "--out",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert (
        "object 1: symmetries_discrete[0] (90 degrees about 0 0 1) does not map the mesh onto itself" in error
    )
    capsys.readouterr()
    assert main(["validate", str(root)]) == 1
    assert "does not map the mesh onto itself" in capsys.readouterr().out
