"""Every file that a command writes is read back by a reader that is not ours, strictly by its format's rules."""

import csv
import html.parser
import json
import sys
import tarfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from pycocotools import mask as coco_mask
from safetensors.numpy import load_file

sys.path.insert(0, str(Path(__file__).parent / "datasets"))
sys.path.insert(0, str(Path(__file__).parent / "export"))
sys.path.insert(0, str(Path(__file__).parent / "runs"))

import bop_rules
from labelled_run import make_labelled_run
from small_roots import CAM_K, colour_image, depth_image_mm, write_bop, write_image
from small_roots import write_json as write_plain_json

from selfpose6d.cli.main import main

FORMATS = ("bop", "bop-webdataset", "coco", "foundationpose")
PLY_TYPES = {"float": "<f4", "uchar": "u1", "double": "<f8", "int": "<i4"}


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def _no_repetition(pairs: list) -> dict:
    assert len(dict(pairs)) == len(pairs), "a name is there twice"
    return dict(pairs)


def strict_json(text: str) -> object:
    """RFC 8259: no NaN, no infinities, no name twice."""
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_repetition)


def plain_text(path: Path) -> str:
    """UTF-8 without a mark, lines ended by one character, the last one too."""
    content = path.read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in content
    assert not content or content.endswith(b"\n")
    return content.decode("utf-8")


def read_jsonl(path: Path) -> None:
    for line in plain_text(path).splitlines():
        assert isinstance(strict_json(line), dict)


def read_csv(path: Path) -> None:
    rows = list(csv.reader(plain_text(path).splitlines(), strict=True))
    assert len({len(row) for row in rows}) == 1
    assert len(set(rows[0])) == len(rows[0])
    if find_spec("pandas"):  # where it is installed
        table = import_module("pandas").read_csv(path)
        assert len(table) == len(rows) - 1
        assert list(table.columns) == rows[0]


def read_image(path: Path) -> None:
    with Image.open(path) as image:
        assert image.format == {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[path.suffix]
        image.verify()
    with Image.open(path) as image:
        assert np.asarray(image).size


def read_ply(path: Path) -> None:
    """By the format's own rule: after the header just so many bytes as it says."""
    head, _, body = path.read_bytes().partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    counts = {line.split()[1]: int(line.split()[2]) for line in lines if line.startswith("element")}
    columns = [line.split()[1:] for line in lines if line.startswith("property") and "list" not in line]
    vertex = np.dtype([(name, PLY_TYPES[kind]) for kind, name in columns])
    face = np.dtype([("count", "u1"), ("index", "<i4", (3,))])
    assert len(body) == counts["vertex"] * vertex.itemsize + counts["face"] * face.itemsize
    vertices = np.frombuffer(body, vertex, counts["vertex"])
    faces = np.frombuffer(body, face, counts["face"], counts["vertex"] * vertex.itemsize)
    assert (faces["count"] == 3).all()
    assert faces["index"].min() >= 0
    assert faces["index"].max() < counts["vertex"]
    assert all(np.isfinite(vertices[axis]).all() for axis in "xyz")
    for line in lines:
        if line.startswith("comment TextureFile "):
            read_image(path.with_name(line.removeprefix("comment TextureFile ")))


def read_tar(path: Path) -> None:
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            assert member.isfile()
            assert not Path(member.name).is_absolute()
            assert ".." not in Path(member.name).parts
            if member.name.endswith(".json"):
                strict_json(tar.extractfile(member).read().decode())


def read_html(path: Path) -> None:
    opened: list[str] = []

    class Balance(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list) -> None:
            if tag not in (
                "meta",
                "link",
                "img",
                "br",
                "input",
                "hr",
                "path",
                "circle",
                "use",
                "line",
                "rect",
            ):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            if tag in opened:
                assert tag in opened[-3:]
                while opened.pop() != tag:
                    pass

    Balance().feed(path.read_text(encoding="utf-8"))
    assert not opened


def read_events(path: Path) -> None:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    assert list(EventFileLoader(str(path)).Load())


def read_state(path: Path) -> None:
    assert torch.load(path, map_location="cpu", weights_only=True)["format"]


def read_numbers(path: Path) -> None:
    assert np.isfinite(np.loadtxt(path)).all()


READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: strict_json(plain_text(path)),
    ".jsonl": read_jsonl,
    ".csv": read_csv,
    ".png": read_image,
    ".jpg": read_image,
    ".webp": read_image,
    ".ply": read_ply,
    ".tar": read_tar,
    ".html": read_html,
    ".yaml": lambda path: yaml.safe_load(plain_text(path)),
    ".safetensors": lambda path: load_file(path),
    ".state": read_state,
    ".txt": read_numbers,
}


def read_all(folder: Path, expected: set[str]) -> None:
    """Every file; and those that the command is known to write are among them."""
    seen = set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name.startswith("events.out.tfevents"):
            read_events(path)
        else:
            READERS[path.suffix](path)
        seen.add(path.name)
    assert expected <= seen


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    return render_once("--frames", "2", "--test-frames", "3", "--seed", "5")


@pytest.fixture(scope="module")
def run(rendered: Path, tmp_path_factory) -> Path:
    run = make_labelled_run(rendered, tmp_path_factory.mktemp("labelled") / "run")
    assert main(["evaluate", str(run), str(rendered), "--quiet"]) == 0
    assert main(["report", str(run), "--quiet"]) == 0
    return run


def test_synth(rendered: Path) -> None:
    read_all(rendered, {"scene_gt.json", "scene_gt_info.json", "models_info.json", "test_targets_bop19.json"})


def test_a_run_its_scores_and_its_page(run: Path) -> None:
    names = {"predictions.csv", "certificates.jsonl", "journal.jsonl", "config.yaml", "results.json"}
    read_all(run, {*names, "instances.csv", "report.html"})
    assert bop_rules.complaints(run / "predictions.csv") == []


@pytest.mark.parametrize("form", FORMATS)
def test_exports(run: Path, form: str, tmp_path: Path) -> None:
    assert main(["export", str(run), "--to", str(tmp_path / "out"), "--format", form, "--quiet"]) == 0
    read_all(tmp_path / "out", set())


def test_annotate_and_train(tmp_path: Path) -> None:
    root = write_bop(tmp_path / "data", {1: 3}, split="train")
    selection = ["--split", "train", "--limit", "1", "--method", "icp", "--overlays", "1", "--workers", "1"]
    assert main(["annotate", str(root), "--out", str(tmp_path / "run"), *selection, "--quiet"]) == 0
    read_all(tmp_path / "run", {"predictions.csv", "skipped.jsonl", "config.yaml"})
    steps = ["--recipe", "paper", "--max-steps", "2", "--batch", "2", "--size", "small", "--quiet"]
    assert main(["train", str(root), "--out", str(tmp_path / "model"), *steps]) == 0
    read_all(tmp_path / "model", {"last.safetensors", "last.state", "log.jsonl", "config.yaml"})


def test_import(tmp_path: Path) -> None:
    recording = tmp_path / "recording"
    write_image(recording / "rgb" / "1.png", colour_image(1))
    write_image(recording / "depth" / "1.png", depth_image_mm())
    write_plain_json(recording / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0})
    assert main(["import", str(recording), str(tmp_path / "capture"), "--quiet"]) == 0
    read_all(tmp_path / "capture", {"camera.json"})


def test_masks_of_found_objects() -> None:
    """`detections.json`'s run lengths, as pycocotools has them, of masks that touch every border."""
    from selfpose6d.datasets.coco_masks import encode_mask

    generator = np.random.default_rng(0)
    for shape in ((1, 1), (7, 5), (48, 64)):
        for mask in (np.zeros(shape, bool), np.ones(shape, bool), generator.random(shape) < 0.5):
            row = json.loads(json.dumps(encode_mask(mask)))
            assert np.array_equal(coco_mask.decode(row).astype(bool), mask)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"a": NaN}\n'),
        ("a.json", b'{"a": 1, "a": 2}\n'),
        ("a.jsonl", b'{"a": 1}\n{"a"'),
        ("a.csv", b"a,b\n1\n"),
        ("a.ply", b"ply\nformat binary_little_endian 1.0\nelement vertex 1\nproperty float x\nend_header\n"),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_these_readers_refuse_what_is_not_the_format(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Exception, match=r"."):
        read_all(tmp_path, set())
