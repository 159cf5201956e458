"""Files of others are data: they run nothing, unpack to nothing, and lead nowhere."""

import ast
import io
import json
import os
import pickle
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent / "datasets"))

from small_roots import change_json, write_bop, write_capture, write_models

import selfpose6d
from selfpose6d.cli.main import main
from selfpose6d.datasets.capture.dataset import number_frames
from selfpose6d.datasets.images import read_depth, read_mask, read_rgb
from selfpose6d.datasets.model_files import find_model_files
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import CheckpointError, DataError, SelfPose6DError
from selfpose6d.evaluation.model_points import load_model_points
from selfpose6d.image_files import MAX_PIXELS, read_npy
from selfpose6d.network.checkpoint import load_network
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.selection import FrameId
from selfpose6d.training.checkpoint import load_state
from selfpose6d.yaml_files import parse_yaml

PACKAGE = Path(selfpose6d.__file__).parent


class Runs:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def png(width: int, height: int, rows: int) -> bytes:
    """Grey, black; says this size and has so many rows."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1 + width) * rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def test_the_package_has_no_call_that_could_run_what_a_file_says():
    names = {"eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load"}
    names |= {"yaml.full_load", "yaml.unsafe_load", "yaml.safe_load", "np.loadtxt", "torch.load", "np.load"}
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                options = {option.arg: ast.unparse(option.value) for option in node.keywords}
                assert options.get("shell") != "True", path
                if called in names:
                    found.add((path.relative_to(PACKAGE).as_posix(), called, *sorted(options.items())))
                assert called not in ("json.load", "loadmat"), path
    assert found == {
        ("export/foundationpose.py", "np.loadtxt"),  # numbers of a file that the same export wrote
        ("image_files.py", "np.load", ("allow_pickle", "False")),
        ("objects/mesh_cache.py", "np.load"),
        ("training/segmentation/frames.py", "np.load", ("mmap_mode", "'r'")),
        ("training/checkpoint.py", "torch.load", ("map_location", "'cpu'"), ("weights_only", "True")),
    }


@pytest.mark.parametrize("make", ["pickle", "torch", "npy"])
def test_pickles_run_nothing(make: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    buffer = io.BytesIO()
    if make == "pickle":
        pickle.dump(Runs(ran), buffer)
    elif make == "torch":
        torch.save({"format": 4, "network": Runs(ran)}, buffer)
    else:
        np.save(buffer, np.array([Runs(ran)], object), allow_pickle=True)
    state = RunFiles(tmp_path).training_state
    state.parent.mkdir()
    for path in (state, tmp_path / "a.safetensors", tmp_path / "a.npy"):
        path.write_bytes(buffer.getvalue())
    with pytest.raises(CheckpointError, match="corrupt"):
        load_state(tmp_path)
    with pytest.raises(CheckpointError, match="not a readable checkpoint"):
        load_network(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="not a NumPy file"):
        read_npy(tmp_path / "a.npy")
    assert not ran.exists()


def test_yaml_makes_no_objects_and_does_not_grow(tmp_path: Path, capsys) -> None:
    made = tmp_path / "made"
    for name in ("config.yaml", "options.yaml"):
        (tmp_path / name).write_text(f"risk: !!python/object/apply:os.mkdir ['{made}']\n")
    with pytest.raises(SelfPose6DError, match="broken"):
        read_config(tmp_path)
    assert main(["annotate", "x", "--out", "y", "--config", str(tmp_path / "options.yaml")]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not made.exists()
    laughs = "a: &a [x, x]\n"
    laughs += "".join(f"{n}: &{n} [*{m}, *{m}]\n" for m, n in zip("abcdefgh", "bcdefghi", strict=True))
    with pytest.raises(ValueError, match="aliases"):
        parse_yaml(laughs)
    assert parse_yaml("a: [1, 2]\n---\nb: 2\n") == {"a": [1, 2]}
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    "read", [read_rgb, lambda path: read_depth(path, 1.0), lambda path: read_mask(path, (8, 8))]
)
@pytest.mark.parametrize("size", [(60_000, 60_000), (8_193, 8_192), (2**31 - 1, 2**31 - 1)])
def test_what_unpacks_to_gigabytes_is_refused_by_its_header(
    read, size: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size, rows=1))
    with pytest.raises(
        DataError, match=rf"bomb\.png: unreadable image \({size[0]}x{size[1]} pixels, more than"
    ):
        read(path)


def test_large_images_are_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(8_192, 4_096, rows=4_096))
    assert MAX_PIXELS > 8_192 * 4_096
    assert read_rgb(path).shape == (4_096, 8_192, 3)


@pytest.mark.parametrize(
    "name", ["../../secret.png", "/etc/passwd", "a\\..\\b.png", "..", "a/b.png", "x" * 300, 3]
)
def test_names_of_frames_lead_nowhere_else(name: object, tmp_path: Path) -> None:
    write_capture(tmp_path / "capture")
    (tmp_path / "capture" / "frames.json").write_text(json.dumps({"0": name}))
    with pytest.raises(DataError, match=r"frames\.json: expected file names"):
        number_frames(tmp_path / "capture")


def test_names_of_models_lead_nowhere_else(tmp_path: Path) -> None:
    write_models(tmp_path / "models", (1,))
    (tmp_path / "models" / "obj_000001.ply").rename(tmp_path / "models" / "can.ply")
    (tmp_path / "models" / "models_info.json").unlink()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "points.xyz").write_text("0 0 0\n0 0 0.1\n")
    (tmp_path / "models" / "models.json").write_text(json.dumps({"can": 1, "../outside": 2}))
    models = find_model_files(tmp_path / "models", "mm")
    assert set(load_model_points(models, (1, 2))) == {1}


def test_file_names_of_annotations_only_say_which_image(tmp_path: Path) -> None:
    root = write_bop(tmp_path / "data", {1: 2})
    row = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [22, 14, 20, 20], "segmentation": []}
    images = [{"id": 1, "file_name": "../../../etc/000001.png"}]
    content = {"images": images, "annotations": [row], "categories": [{"id": 1, "name": "obj_000001"}]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    dataset = DataOptions(root, detections=tmp_path / "coco.json").open()
    assert [one.key.im_id for one in dataset.load_frame(FrameId(1, 1)).instances] == [1]
    images[0]["file_name"] = "../../../etc/passwd"
    (tmp_path / "coco.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="images that are not in split"):
        DataOptions(root, detections=tmp_path / "coco.json").open()


def test_links_are_followed_and_pipes_are_not_waited_for(tmp_path: Path) -> None:
    """Data sets are often made of links: to read through them is what the person asked for."""
    root = write_bop(tmp_path / "data", {1: 2})
    image = root / "test" / "000001" / "rgb" / "000001.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    dataset = DataOptions(root).open()
    assert len(dataset.load_frame(FrameId(1, 1)).instances) == 2
    image.unlink()
    image.symlink_to(image)
    with pytest.raises(DataError, match=r"000001\.png"):
        dataset.load_frame(FrameId(1, 1))
    image.unlink()
    os.mkfifo(image)
    with pytest.raises(DataError, match=r"000001\.png: not a file but a pipe"):
        dataset.load_frame(FrameId(1, 1))
    assert dataset.fingerprint()
    camera = root / "test" / "000001" / "scene_camera.json"
    camera.unlink()
    os.mkfifo(camera)
    with pytest.raises(DataError, match="not a file but a pipe"):
        DataOptions(root).open().load_frame(FrameId(1, 2))


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    root = write_bop(tmp_path / "data", {1: 1})
    change_json(root / "models" / "models_info.json", lambda info: info["1"].update(name="\ud800"))
    with pytest.raises(DataError, match=r"models_info\.json"):
        DataOptions(root).open().object_names()


def test_an_error_is_one_line_whatever_is_in_a_name() -> None:
    assert str(DataError("/a\nb/c: missing file.\r\nRestore it.")) == "/a b/c: missing file. Restore it."
