import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco
from small_roots import masks, write_bop

from selfpose6d.datasets import json_rows
from selfpose6d.datasets.coco_masks import decode_segmentation, encode_mask, fill_box
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.json_rows import iterate_rows, read_row
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey

POLYGON = [22, 14, 42, 14, 42, 34, 22, 34]


def compressed(mask: np.ndarray) -> dict:
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"counts": rle["counts"].decode(), "size": list(rle["size"])}


def uncompressed(mask: np.ndarray) -> dict:
    flat = np.concatenate([[0], mask.astype(np.uint8).reshape(-1, order="F"), [2]])
    changes = (
        np.flatnonzero(np.diff(flat))
        if flat[1] == 0
        else np.concatenate([[0], np.flatnonzero(np.diff(flat))])
    )
    counts = np.diff(np.unique(np.concatenate([[0], changes]))).tolist()
    return {"counts": ([0] if mask.reshape(-1, order="F")[0] else []) + counts, "size": list(mask.shape)}


def row(im_id: int, category: int, segmentation: object, scene_id: int = 0, **more) -> dict:
    return {
        "scene_id": scene_id,
        "image_id": im_id,
        "category_id": category,
        "score": 0.5,
        "bbox": [22, 14, 20, 20],
        "segmentation": segmentation,
        **more,
    }


@given(arrays(np.bool_, (5, 7)))
def test_both_rle_forms_decode_to_the_mask(mask):
    for segmentation in (compressed(mask), uncompressed(mask)):
        np.testing.assert_array_equal(decode_segmentation(segmentation, mask.shape, "d"), mask)


def test_polygon():
    np.testing.assert_array_equal(decode_segmentation([POLYGON], (48, 64), "d"), masks()[0] > 0)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "no segmentation and no bbox"),
        ({"counts": [3], "size": [48, 64]}, "counts sum to 3, size says 3072"),
        ({"counts": "e4?Q1000000000000", "size": [48, 64]}, "neither RLE"),
        ({"size": [48, 64]}, "neither RLE"),
        ("text", "neither RLE"),
        (compressed(np.ones((10, 10))), "10x10 pixels, but the colour image is 64x48"),
    ],
)
def test_broken_segmentations(segmentation, reason):
    with pytest.raises(DataError, match=f"detection 4: .*{reason}"):
        decode_segmentation(segmentation, (48, 64), "detection 4")


def test_instances_come_from_the_file(tmp_path):
    root = write_bop(tmp_path / "set", {0: 2})
    (root / "test/000000/scene_gt.json").unlink()
    first, second = masks()
    rows = [
        row(2, 2, compressed(second)),
        row(1, 1, [POLYGON]),
        row(1, 9, [POLYGON]),
        {**row(1, 2, None), "bbox": None},
        row(1, 1, uncompressed(first > 0)),
        row(1, 1, [POLYGON], scene_id=8),
    ]
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(rows))
    dataset = DataOptions(root, detections=path).open()
    frame = dataset.load_frame(FrameId(0, 1))
    assert [i.key for i in frame.instances] == [
        InstanceKey("test", 0, 1, 1, 1),
        InstanceKey("test", 0, 1, 1, 4),
    ]
    assert [s.key.inst_id for s in frame.skipped] == [2, 3]
    assert "no segmentation and no bbox" in frame.skipped[1].reason
    assert not any(instance.region for instance in frame.instances)
    np.testing.assert_array_equal(dataset.load_frame(FrameId(0, 2)).instances[0].mask, second > 0)
    before = dataset.fingerprint()
    path.write_text(json.dumps(rows[::-1]))
    assert DataOptions(root, detections=path).open().fingerprint() != before


@pytest.mark.parametrize("segmentation", [{}, {"segmentation": None}, {"segmentation": []}])
def test_a_row_with_a_box_only_is_a_region(tmp_path, segmentation):
    root = write_bop(tmp_path / "set", {0: 1})
    box = {**row(1, 1, None), "bbox": [22.4, 14, 19.0, 19]}
    del box["segmentation"]
    path = tmp_path / "detections.json"
    path.write_text(json.dumps([row(1, 2, [POLYGON]), box | segmentation]))
    masked, region = DataOptions(root, detections=path).open().load_frame(FrameId(0, 1)).instances
    assert (masked.region, region.region, region.key.inst_id) == (False, True, 1)
    assert region.mask.sum() == 20 * 20
    assert region.mask[14:34, 22:42].all()


@pytest.mark.parametrize(
    ("bbox", "pixels"),
    [
        ([3, 2, 4, 5], 5 * 6),  # last row and column included
        ([-10.5, -10, 12, 11], 2 * 2),  # cut by the image
        ([60, 40, 900, 900], 4 * 8),
        ([5.9, 5.9, 0.2, 0.2], 2 * 2),
    ],
)
def test_boxes_are_filled_as_far_as_the_image_goes(bbox, pixels):
    assert fill_box(bbox, (48, 64), "d").sum() == pixels


@pytest.mark.parametrize(
    ("bbox", "reason"),
    [
        ([1, 2, 3], "is no box"),
        ("1 2 3 4", "is no box"),
        ({"x": 1, "y": 2, "w": 3, "h": 4}, "is no box"),
        ([1, 2, 0, 4], "not finite, or without extent"),
        ([1, 2, float("nan"), 4], "is no box"),
        ([1, 2, float("inf"), 4], "is no box"),
        ([64, 2, 3, 4], "outside the image of 64x48 pixels"),
        ([-9, 2, 3, 4], "outside the image"),
    ],
)
def test_boxes_that_are_none(bbox, reason):
    with pytest.raises(DataError, match=f"detection 4: .*{reason}"):
        fill_box(bbox, (48, 64), "detection 4")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"annotations": []}', "a COCO file has images, annotations and categories, got annotations"),
        ('{"scene_id": 0}\n{"scene_id": 0}', "neither one COCO object nor a list of rows"),
        ("", "it is empty"),
        ('[{"scene_id": 0, "image_id": 1}]', "row 0 needs integers scene_id, image_id, category_id"),
        ('[{"scene_id": 0, "image_id": ', "broken JSON near byte 1"),
        ('[{"scene_id": 0, "image_id": "a.png", "category_id": 1}]', r"row 0 needs .*'image_id': 'a.png'"),
        ("[3]", "broken JSON near byte 1"),
        ("[{}]", "row 0 needs integers"),
        ("[{}", "broken JSON near byte"),
    ],
)
def test_files_that_are_no_detections(tmp_path, text, reason):
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(DataError, match=f"d.json: {reason}"):
        DetectionMasks(tmp_path / "d.json")


def test_empty_file_has_no_instances(tmp_path):
    (tmp_path / "d.json").write_text("[]")
    found = DetectionMasks(tmp_path / "d.json")
    assert (len(found), list(found.entries(FrameId(0, 0)))) == (0, [])


@given(
    rows=st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=20)), max_size=8),
    indent=st.none() | st.integers(0, 3),
    chunk=st.integers(1, 40),
    ascii_only=st.booleans(),
)
def test_rows_are_found_wherever_chunks_end(tmp_path_factory, rows, indent, chunk, ascii_only):
    path = tmp_path_factory.mktemp("rows") / "rows.json"
    path.write_text(json.dumps(rows, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_rows, "CHUNK_BYTES", chunk)
        found = list(iterate_rows(path))
    assert [read_row(path, r.offset, r.length) for r in found] == rows


def test_one_row_without_its_keys_is_named_and_loses_no_other(tmp_path):
    mask = np.zeros((4, 5), bool)
    mask[1:3, 1:3] = True
    row = {"scene_id": 1, "image_id": 1, "category_id": 2, "segmentation": encode_mask(mask)}
    bad = {key: value for key, value in row.items() if key != "category_id"}
    path = tmp_path / "detections.json"
    path.write_text(json.dumps([row, bad, {**row, "category_id": 3}, {**row, "image_id": [1]}]))
    with pytest.warns(
        UserWarning, match=r"detections\.json: row 1 needs .*The row is left out.* So are 1 others"
    ):
        masks = DetectionMasks(path)
    assert [(entry.obj_id, entry.inst_id) for entry in masks.entries(FrameId(1, 1))] == [(2, 0), (3, 2)]
    path.write_text(json.dumps([bad]))
    with pytest.raises(DataError, match="row 0 needs"):
        DetectionMasks(path)


def row_by_row(mask: np.ndarray) -> dict:
    """Run lengths as a row-major encoder writes them, with COCO's keys."""
    return {"size": list(mask.shape), "counts": run_lengths(mask.ravel())}


def run_lengths(pixels: np.ndarray) -> list[int]:
    changes = np.flatnonzero(np.diff(pixels.astype(int), prepend=0)) if pixels.any() else []
    return np.diff([0, *changes, len(pixels)]).tolist()


def test_run_lengths_that_only_fit_their_box_row_by_row_are_refused():
    mask = np.zeros((48, 64), bool)
    mask[10:30, 20:32] = True
    bbox = [20, 10, 12, 20]
    with pytest.raises(DataError, match=r"1: its run lengths fit its bbox .* row by row only"):
        decode_segmentation(row_by_row(mask), mask.shape, "1", bbox)
    columns = {"size": list(mask.shape), "counts": run_lengths(mask.ravel(order="F"))}
    for box in (bbox, [15, 5, 30, 40], [20, 10, 32, 30], [0, 0, 3, 3], ["x"], None):
        np.testing.assert_array_equal(decode_segmentation(columns, mask.shape, "1", box), mask)
    stripes = decode_segmentation(row_by_row(mask), mask.shape, "1")  # nothing says otherwise
    assert stripes.sum() == mask.sum()
