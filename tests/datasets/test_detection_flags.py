"""Rows that are marked `iscrowd` or `ignore`: which of them are instances, and that none vanishes without a word."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from small_roots import HEIGHT, WIDTH, write_bop

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.options import DataOptions
from selfpose6d.selection import FrameId

ONE = np.zeros((HEIGHT, WIDTH), bool)
ONE[14:34, 22:42] = True
TWO = ONE.copy()
TWO[14:34, 30:33] = False
DIAGONAL = np.zeros((HEIGHT, WIDTH), bool)
DIAGONAL[10:20, 10:20] = DIAGONAL[20:30, 20:30] = True
SQUARE = [22, 14, 42, 14, 42, 34, 22, 34]
BESIDE = [2, 2, 10, 2, 10, 10, 2, 10]
OVERLAPPING = [30, 20, 55, 20, 55, 30, 30, 30]


def opened(folder: Path, rows: list[dict], as_coco: bool = True):
    """The data set with these detections of its one image, and the warnings."""
    write_bop(folder / "data", {1: 1})
    ids = {"scene_id": 1, "image_id": 1, "category_id": 1}
    content: object = [ids | row for row in rows]
    if as_coco:
        content = {
            "images": [{"id": 1, "file_name": "000001.png", "width": WIDTH, "height": HEIGHT}],
            "categories": [{"id": 1, "name": "obj_000001"}],
            "annotations": content,
        }
    path = folder / "detections.json"
    path.write_text(json.dumps(content))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = DataOptions(folder / "data", detections=path).open()
    return dataset, [str(warning.message) for warning in caught if warning.category is UserWarning]


def counts_of(mask: np.ndarray) -> dict:
    """Run lengths as numbers, as CVAT and COCO's own crowds have them: they begin with the background."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    assert not flat[0]
    return {"size": list(mask.shape), "counts": np.diff([0, *changes, len(flat)]).tolist()}


@pytest.mark.parametrize("as_coco", [True, False])
@pytest.mark.parametrize(
    ("row", "is_instance"),
    [
        ({"segmentation": counts_of(ONE), "iscrowd": 1}, True),
        ({"segmentation": encode_mask(ONE), "iscrowd": 1, "ignore": 0}, True),
        ({"segmentation": encode_mask(ONE), "iscrowd": True}, True),
        ({"segmentation": encode_mask(DIAGONAL), "iscrowd": "1"}, True),
        ({"segmentation": [SQUARE], "iscrowd": 1}, True),
        ({"segmentation": [SQUARE, OVERLAPPING], "iscrowd": 1}, True),
        ({"segmentation": [SQUARE, BESIDE], "iscrowd": 1}, False),
        ({"segmentation": [SQUARE, BESIDE], "iscrowd": 0}, True),
        ({"segmentation": encode_mask(TWO), "iscrowd": 1}, False),
        ({"segmentation": encode_mask(np.zeros_like(ONE)), "iscrowd": 1}, False),
        ({"segmentation": [], "bbox": [20, 10, 20, 20], "iscrowd": 1}, False),
        ({"segmentation": encode_mask(ONE), "iscrowd": 1, "ignore": True}, False),
        ({"segmentation": encode_mask(ONE), "iscrowd": 0, "ignore": 1.0}, False),
        ({"segmentation": encode_mask(TWO), "iscrowd": "0", "ignore": "0"}, True),
        ({"segmentation": encode_mask(TWO), "iscrowd": None}, True),
    ],
)
def test_a_connected_mask_is_an_instance_and_what_is_left_out_is_counted(
    row: dict, is_instance: bool, as_coco: bool, tmp_path: Path
) -> None:
    dataset, said = opened(tmp_path, [row], as_coco)
    assert len(dataset.instance_keys(FrameId(1, 1))) == is_instance
    assert len(dataset.load_frame(FrameId(1, 1)).instances) == is_instance
    assert [("left out: 1 marked" in text) for text in said] == ([] if is_instance else [True])


def test_both_kinds_are_counted_in_one_warning(tmp_path: Path) -> None:
    crowd, ignored = {"segmentation": encode_mask(TWO), "iscrowd": 1}, {"bbox": [1, 1, 9, 9], "ignore": 1}
    _, said = opened(tmp_path, [crowd, ignored, crowd])
    assert len(said) == 1
    assert "2 marked iscrowd" in said[0]
    assert "1 marked ignore" in said[0]


@pytest.mark.parametrize("flag", ["yes", 2, [1], "", 0.5])
def test_a_flag_that_says_neither_is_named_and_the_others_are_read(flag, tmp_path: Path) -> None:
    rows = [{"segmentation": [SQUARE], "iscrowd": flag}, {"segmentation": [SQUARE]}]
    dataset, said = opened(tmp_path, rows)
    assert [key.inst_id for key in dataset.instance_keys(FrameId(1, 1))] == [1]
    assert len(said) == 1
    assert "row 0 has iscrowd" in said[0]


def test_a_broken_mask_of_a_crowd_is_named_when_it_is_loaded(tmp_path: Path) -> None:
    huge = {"size": [60_000, 60_000], "counts": [0, 60_000 * 60_000]}
    dataset, _ = opened(tmp_path, [{"segmentation": huge, "iscrowd": 1}])
    (skipped,) = dataset.load_frame(FrameId(1, 1)).skipped
    assert "60000x60000 pixels" in skipped.reason


def test_empty_lists_beside_a_box_are_no_outline(tmp_path: Path) -> None:
    dataset, _ = opened(tmp_path, [{"segmentation": [[]], "bbox": [20, 10, 8, 6]}])
    (instance,) = dataset.load_frame(FrameId(1, 1)).instances
    assert instance.region
    assert instance.mask.sum() == 9 * 7
