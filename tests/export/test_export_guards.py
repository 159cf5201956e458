"""What an export refuses or goes on with: other data, unreadable frames, changed labels, shared texture names."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled_run import make_labelled_run

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.export import formats, progress
from selfpose6d.export.models import write_bop_models
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.mesh import Mesh


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    return render_once("--frames", "2", "--test-frames", "3", "--seed", "5")


@pytest.fixture
def root(rendered: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(rendered, tmp_path / "root"))


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Path:
    return make_labelled_run(root, tmp_path / "run")


def export(run: Path, to: Path, *options: str) -> int:
    return main(["export", str(run), "--to", str(to), *options])


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_meshes_that_are_not_the_runs_are_refused(root: Path, run: Path, tmp_path: Path, capsys) -> None:
    (root / "models" / "obj_000001.ply").write_bytes((root / "models" / "obj_000002.ply").read_bytes())
    assert export(run, tmp_path / "out") == 2
    assert "was made on another data set than" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_frames_that_cannot_be_read_are_tried_again(root: Path, run: Path, tmp_path: Path, capsys) -> None:
    depth = root / "test" / "000000" / "depth" / "000001.png"
    whole, to = depth.read_bytes(), tmp_path / "out"
    depth.write_bytes(whole[:100])
    assert export(run, to) == 1, "a third of the frames"
    assert "frame left out" in capsys.readouterr().err
    assert not (to / "export.json").exists()
    (row,) = json.loads((to / "incomplete_frames.json").read_text())
    assert not row["exported"]
    assert "unreadable image" in row["error"]
    depth.write_bytes(whole)
    assert export(run, to) == 0
    assert export(run, tmp_path / "fresh") == 0
    assert files_of(to) == files_of(tmp_path / "fresh")


@pytest.mark.parametrize("form", ["bop", "bop-webdataset", "coco", "foundationpose"])
def test_more_review_and_the_split_anew(run: Path, tmp_path: Path, form: str, capsys) -> None:
    to, key = tmp_path / "out", json.loads((run / "certificates.jsonl").read_text().splitlines()[0])
    assert export(run, to, "--format", form) == 0
    before = files_of(to)
    named = {name: key[name] for name in ("split", "scene_id", "im_id", "obj_id", "inst_id")}
    (run / "review.jsonl").write_text(json.dumps(named | {"verdict": "reject"}) + "\n")
    assert export(run, to, "--format", form) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert files_of(to) == before
    assert export(run, to, "--format", form, "--overwrite") == 0
    assert export(run, tmp_path / "fresh", "--format", form) == 0
    assert files_of(to) == files_of(tmp_path / "fresh") != before


def test_a_verdict_about_an_unknown_instance_is_refused(run: Path, tmp_path: Path, capsys) -> None:
    key = {"split": "test", "scene_id": 0, "im_id": 999, "obj_id": 1, "inst_id": 77}
    (run / "review.jsonl").write_text(json.dumps(key | {"verdict": "reject"}) + "\n")
    assert export(run, tmp_path / "out") == 2
    assert "instance 77" in capsys.readouterr().err


def test_shards_go_on_after_a_stop_while_they_are_tidied(run: Path, tmp_path: Path, monkeypatch) -> None:
    to, rmtree = tmp_path / "out", shutil.rmtree

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(formats.shutil, "rmtree", stop)
    assert export(run, to, "--format", "bop-webdataset") == 130
    monkeypatch.setattr(formats.shutil, "rmtree", rmtree)
    assert export(run, to, "--format", "bop-webdataset") == 0
    assert export(run, tmp_path / "fresh", "--format", "bop-webdataset") == 0
    assert files_of(to) == files_of(tmp_path / "fresh")


def test_textures_of_one_name_do_not_overwrite_each_other(tmp_path: Path, rendered: Path) -> None:
    """`a/textured.ply` and `b/textured.ply`, each with a `textured.png`."""
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    uv = np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32)[None].repeat(4, 0)
    for name, channel in (("a", 0), ("b", 1)):
        texture = np.zeros((8, 8, 3), np.uint8)
        texture[..., channel] = 255
        (tmp_path / "models" / name).mkdir(parents=True)
        save_mesh_ply(
            Mesh(corners, faces, corner_uv=uv, texture=texture), tmp_path / "models" / name / "textured.ply"
        )
    dataset = DataOptions(rendered, models=tmp_path / "models", model_unit="mm").open()
    write_bop_models(dataset, dataset.models.object_ids, tmp_path / "written")
    infos = json.loads((tmp_path / "written" / "models_info.json").read_text())
    for obj_id, channel in ((1, 0), (2, 1)):
        header = (
            (tmp_path / "written" / f"obj_{obj_id:06d}.ply").read_bytes().split(b"end_header")[0].decode()
        )
        texture = next(line.split()[-1] for line in header.splitlines() if "TextureFile" in line)
        bgr = cv2.imread(str(tmp_path / "written" / texture))
        assert bgr[4, 4, ::-1].tolist() == [255 * (k == channel) for k in range(3)]
        assert infos[str(obj_id)]["name"] == "ab"[obj_id - 1]


def change_mesh(root: Path) -> None:
    """The second object's mesh in place of the first's."""
    (root / "models" / "obj_000001.ply").write_bytes((root / "models" / "obj_000002.ply").read_bytes())


@pytest.mark.parametrize("form", ["bop", "foundationpose"])
def test_a_changed_mesh_is_exported_anew(root: Path, run: Path, tmp_path: Path, form: str, capsys) -> None:
    to = tmp_path / "out"
    assert export(run, to, "--format", form) == 0
    change_mesh(root)
    again = make_labelled_run(root, tmp_path / "again" / "run")
    assert export(again, to, "--format", form) == 2
    assert "object 1 differ" in capsys.readouterr().err
    assert export(again, to, "--format", form, "--overwrite") == 0
    assert export(again, tmp_path / "fresh", "--format", form) == 0
    assert files_of(to) == files_of(tmp_path / "fresh")


def test_a_mesh_that_another_split_needs_is_not_replaced(
    root: Path, run: Path, tmp_path: Path, capsys
) -> None:
    to = tmp_path / "out"
    train = make_labelled_run(root, tmp_path / "train" / "run", split="train")
    assert export(train, to) == 0
    before = files_of(to)
    change_mesh(root)
    changed = make_labelled_run(root, tmp_path / "changed")
    assert export(changed, to, "--overwrite") == 2
    message = capsys.readouterr().err
    assert "holds the split train" in message
    assert "object 1 than" in message
    assert files_of(to) == before


def test_a_mesh_of_the_same_size_is_another_one(root: Path, run: Path, tmp_path: Path, capsys) -> None:
    """Its coordinates differ, its name and length do not."""
    path = root / "models" / "obj_000001.ply"
    content = bytearray(path.read_bytes())
    content[content.index(b"end_header") + 14] ^= 1
    path.write_bytes(content)
    assert export(run, tmp_path / "out") == 2
    assert "are not those of the run" in capsys.readouterr().err


def test_symmetries_declared_afterwards_are_another_data_set(root: Path, run: Path, tmp_path: Path) -> None:
    path = root / "models" / "models_info.json"
    infos = json.loads(path.read_text())
    infos["1"]["symmetries_discrete"] = [[-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]]
    path.write_text(json.dumps(infos))
    assert export(run, tmp_path / "out") == 2


@pytest.mark.parametrize("form", ["bop", "coco"])
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_a_stop_while_the_old_split_is_removed(
    run: Path, tmp_path: Path, form: str, options: tuple[str, ...], monkeypatch
) -> None:
    to, rmtree = tmp_path / "out", shutil.rmtree
    assert export(run, to, "--format", form) == 0
    before = files_of(to)

    def stop(path, *args, **kwargs):
        next(found for found in sorted(Path(path).rglob("*")) if found.is_file()).unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(progress.shutil, "rmtree", stop)
    assert export(run, to, "--format", form, "--overwrite") == 130
    monkeypatch.setattr(progress.shutil, "rmtree", rmtree)
    assert len(files_of(to).keys() & before.keys()) < len(before)
    assert export(run, to, "--format", form, *options) == 0
    assert files_of(to) == before


def test_overwrite_mends_a_finished_export(run: Path, tmp_path: Path) -> None:
    """Files that a power cut has cut short, of the split and of the models."""
    to = tmp_path / "out"
    assert export(run, to) == 0
    before = files_of(to)
    for name in ("test/000000/rgb/000001.png", "models/obj_000001.ply", "models/obj_000002.ply"):
        (to / name).write_bytes(before[name][:50])
    assert export(run, to, "--overwrite") == 0
    assert files_of(to) == before
