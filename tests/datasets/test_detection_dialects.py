"""Rows of detections as tools write them: `validate` and whoever reads the masks say the same."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from small_roots import HEIGHT, WIDTH, masks, write_bop

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.doctor.validate import Validation
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.selection import FrameId

SQUARE = [22, 14, 42, 14, 42, 34, 22, 34]
MASK = masks()[0] > 0
NUM_PX = HEIGHT * WIDTH


def row(segmentation: object, **changes: object) -> dict:
    return {
        "scene_id": 1,
        "image_id": 1,
        "category_id": 1,
        "score": 1.0,
        "segmentation": segmentation,
        **changes,
    }


def coco(segmentation: object, **image: object) -> dict:
    """A COCO file of one annotation of the first object."""
    return {
        "images": [{"id": 7, "file_name": "000001.png", "width": WIDTH, "height": HEIGHT, **image}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "segmentation": segmentation}],
        "categories": [{"id": 3, "name": "obj_000001"}],
    }


def opened(folder: Path, text: str | bytes):
    root = folder / "data"
    if not root.is_dir():
        write_bop(root, {1: 1})
    path = folder / "detections.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return DataOptions(root, detections=path).open()


def read(folder: Path, text: str | bytes) -> tuple[list[np.ndarray], list[str], list[str]]:
    """Masks, why others were skipped, and what `validate` calls errors."""
    dataset = opened(folder, text)
    frame = dataset.load_frame(FrameId(1, 1))
    found = [problem for problems in Validation(dataset).run() for problem in problems]
    errors = [problem.message for problem in found if problem.level == "error"]
    return [one.mask for one in frame.instances], [one.reason for one in frame.skipped], errors


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([row([SQUARE])]),
        json.dumps([row(SQUARE)]),  # one polygon without its list
        json.dumps([row([SQUARE])], indent=1).replace("\n", "\r\n"),
        b"\xef\xbb\xbf" + json.dumps([row([SQUARE])]).encode(),
        json.dumps([row([SQUARE])]).encode("utf-16"),
        json.dumps([row([SQUARE])]).encode("utf-16-le"),
        json.dumps([row([SQUARE])]).encode("utf-32-be"),
        json.dumps(coco([SQUARE])).encode("utf-16"),
        json.dumps(row([SQUARE])) + "\n",  # a row a line
        json.dumps(row([SQUARE])) + "\r\n" + json.dumps(row([SQUARE], image_id="1", scene_id=1.0)) + "\r\n",
        json.dumps([row(encode_mask(MASK), category_id="000001", image_id="000001")]),
        json.dumps([row({"size": [48.0, "64"], "counts": [float(NUM_PX), 0]}), row([SQUARE])]),
    ],
)
def test_what_can_only_mean_one_thing_is_read(text: str | bytes, tmp_path: Path) -> None:
    found, _, _ = read(tmp_path, text)
    assert found
    for mask in found:
        assert np.count_nonzero(mask & MASK) > 0.9 * np.count_nonzero(mask | MASK)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([1, 2, "x", 4, 5, 6], "neither RLE"),
        ([[1, 2, 3, 4, 5, 6, 7]], "no polygon"),
        ([[1, 2, 3, 4, 5, float("nan")]], "no polygon"),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], "no polygon"),
        ([[[1, 2], [3, 4], [5, 6]]], "no polygon"),
        ([None], "neither RLE"),
        ([[0.2, 0.1, 0.6, 0.1, 0.6, 0.7]], "parts of the image's size"),
        ({"size": [60_000, 60_000], "counts": [60_000 * 60_000]}, "60000x60000 pixels"),
        ({"size": [WIDTH, HEIGHT], "counts": [NUM_PX]}, f"{HEIGHT}x{WIDTH} pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": [-5, NUM_PX + 5]}, "counts sum"),
        ({"size": [HEIGHT, WIDTH], "counts": [0.5, NUM_PX - 0.5]}, "whole number"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x01"}, "neither RLE"),
        ({"size": HEIGHT, "counts": [NUM_PX]}, "neither RLE"),
        ("mask.png", "neither RLE"),
    ],
)
def test_a_broken_row_is_one_error_for_both_and_the_others_are_read(
    segmentation, reason, tmp_path: Path
) -> None:
    found, skipped, errors = read(tmp_path, json.dumps([row(segmentation), row([SQUARE])]))
    assert len(found) == 1
    assert [reason in text for text in skipped] == [True], skipped
    assert [text for text in errors if "detection 0" in text] == skipped


@pytest.mark.parametrize(
    "text", ["[1]", "{}", "[[]]", "", "null", '[{"image_id": 1e400}]', b"\x1f\x8b\x08\x00", "[" * 100_000]
)
def test_what_is_no_file_of_rows_is_one_error(text: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"detections\.json") as caught:
        opened(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_numbers_beyond_any_id_are_unknown_ones(tmp_path: Path) -> None:
    huge = "9" * 30
    for changes in (
        {"category_id": huge},
        {"category_id": f"obj_{huge}"},
        {"image_id": huge},
        {"image_id": 1e300},
    ):
        with pytest.raises(DataError, match=r"detections\.json: 1 rows are of") as caught:
            opened(tmp_path, json.dumps([row([SQUARE], **changes)]))
        assert "\n" not in str(caught.value)


def test_a_box_in_parts_of_the_image_is_no_box_in_pixels(tmp_path: Path) -> None:
    found, skipped, errors = read(tmp_path, json.dumps([row(None, bbox=[0.2, 0.1, 0.4, 0.6])]))
    assert not found
    assert "parts of the image's size, not pixels" in skipped[0]
    assert skipped[0] in errors


def test_annotations_of_an_image_of_another_size_are_refused(tmp_path: Path) -> None:
    found, skipped, errors = read(tmp_path, json.dumps(coco([SQUARE], width=2 * WIDTH, height=2 * HEIGHT)))
    assert not found
    assert f"{2 * WIDTH}x{2 * HEIGHT} pixels, but the colour image is {WIDTH}x{HEIGHT} pixels" in skipped[0]
    assert skipped[0] in errors


@pytest.mark.parametrize("kind", ["images", "categories"])
def test_two_names_for_one_id_are_refused(kind: str, tmp_path: Path) -> None:
    content = coco([SQUARE])
    name = "file_name" if kind == "images" else "name"
    content[kind].append({**content[kind][0], name: "other"})
    with pytest.raises(DataError, match=f"two {kind} have the id"):
        opened(tmp_path, json.dumps(content))


def test_a_name_that_stands_twice_in_a_row_is_refused(tmp_path: Path) -> None:
    text = json.dumps([row([SQUARE])]).replace('"category_id": 1', '"category_id": 2, "category_id": 1')
    with pytest.raises(DataError, match="the name 'category_id' stands twice"):
        opened(tmp_path, text)


def test_what_is_compressed_or_empty_is_said(tmp_path: Path) -> None:
    for content, reason in ((gzip.compress(b"[]", mtime=0), r"compressed \(gzip\)"), (b" \n", "it is empty")):
        with pytest.raises(DataError, match=reason):
            opened(tmp_path, content)


@pytest.mark.parametrize(
    "shape", [{"segmentation": [SQUARE]}, {"segmentation": [], "bbox": [22, 14, 20, 20]}]
)
@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ({"width": 2 * WIDTH, "height": 2 * HEIGHT}, f"{2 * WIDTH}x{2 * HEIGHT} pixels"),
        ({"width": str(WIDTH), "height": 36.0}, f"{WIDTH}x36 pixels"),
        ({"width": 2 * WIDTH, "height": None}, f"{2 * WIDTH}x{HEIGHT} pixels"),
        ({"width": WIDTH, "height": HEIGHT}, None),
        ({"width": 0, "height": -1}, None),
        ({"width": None, "height": "unknown"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("where", ["image", "annotation", "result row"])
def test_pixels_of_a_resized_image_are_refused_with_both_sizes(
    shape: dict, size: dict, shown: str | None, where: str, tmp_path: Path
) -> None:
    """Polygons and boxes do not say what image they belong to: its entry, or their own row, does."""
    content: object = [row(None) | shape | size]
    if where != "result row":
        content = coco(None)
        content["images"][0] = {"id": 7, "file_name": "000001.png"} | (size if where == "image" else {})
        content["annotations"][0] |= shape | (size if where == "annotation" else {})
    found, skipped, _ = read(tmp_path, json.dumps(content))
    assert len(found) == (shown is None)
    if shown is not None:
        assert len(skipped) == 1
        assert f"{shown}, but the colour image is {WIDTH}x{HEIGHT} pixels" in skipped[0]


@pytest.mark.parametrize("changes", [{"image_id": 8}, {"category_id": 4}, {"image_id": None}])
def test_an_annotation_with_an_unlisted_id_is_left_out_alone(changes: dict, tmp_path: Path) -> None:
    content = coco([SQUARE])
    content["annotations"].insert(0, content["annotations"][0] | changes)
    with pytest.warns(UserWarning, match="annotation 0 has image_id .* does not list.*left out"):
        dataset = opened(tmp_path, json.dumps(content))
    assert [key.inst_id for key in dataset.instance_keys(FrameId(1, 1))] == [1]
    content["annotations"].pop()
    with pytest.raises(DataError, match="annotation 0 has image_id"):
        opened(tmp_path, json.dumps(content))
