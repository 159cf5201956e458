"""COCO's annotations of exported frames; what has no label is a region that is to be ignored."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.bop.entries import bounding_box
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.json_stream import JsonEntries, two_lists


def run_lengths(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as COCO's uncompressed run lengths, as bop_toolkit writes them: columns first, background first."""
    pixels = np.concatenate([[False], mask.ravel(order="F"), [False]])
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    counts = np.diff(np.concatenate([[0], edges, [mask.size]]))
    if counts[-1] == 0 and len(counts) > 1:
        counts = counts[:-1]
    return {"counts": counts.tolist(), "size": list(mask.shape)}


def categories(names: Mapping[int, str]) -> list[dict[str, Any]]:
    """COCO's list of the objects; a category's id is the object's."""
    return [{"id": i, "name": name, "supercategory": "object"} for i, name in sorted(names.items())]


def image_entry(frame: ExportedFrame, image_id: int, file_name: str) -> dict[str, Any]:
    """COCO's entry of one image."""
    height, width = frame.shape
    return {"id": image_id, "file_name": file_name, "width": width, "height": height}


def annotation_entries(frame: ExportedFrame, image_id: int, whole_boxes: bool) -> list[dict[str, Any]]:
    """The annotations of one image, without ids: first the labels that are visible, in their order, then the regions
    to be ignored.

    These are `ignore` as bop_toolkit has it, and `iscrowd`, which pycocotools goes by. `whole_boxes`: boxes hold the
    hidden parts as well, as in BOP's `scene_gt_coco.json`; else what is visible, as COCO's do.
    """
    entries = []
    for instance in frame.instances:
        if not instance.visible.any():
            continue
        box = instance.info["bbox_obj"] if whole_boxes else _pixel_box(instance.visible)
        obj_id = instance.label.key.obj_id
        entries.append(_entry(image_id, obj_id, instance.visible, box, ignore=False))
    for row in frame.ignored:
        if row.mask is not None and row.mask.any():
            box = bounding_box(row.mask) if whole_boxes else _pixel_box(row.mask)
            entries.append(_entry(image_id, row.left_out.key.obj_id, row.mask, box, ignore=True))
    return entries


@dataclass(frozen=True)
class CocoFile:
    """A COCO file that is being written; annotations are numbered from 1 (pycocotools takes 0 for none)."""

    images: JsonEntries
    annotations: JsonEntries

    def add(self, image: dict[str, Any], annotations: Iterable[dict[str, Any]]) -> None:
        """One more image with its annotations."""
        self.images.add(image)
        for entry in annotations:
            self.annotations.add({"id": self.annotations.count + 1, **entry})


@contextmanager
def coco_file(path: Path, categories: list[dict[str, Any]]) -> Iterator[CocoFile]:
    """A COCO file to write; it appears whole when the block ends well."""
    head = {"info": {"description": "poses and masks labelled by selfpose6d"}, "licenses": []}
    with two_lists(path, head | {"categories": categories}, ("images", "annotations")) as lists:
        yield CocoFile(*lists)


def _pixel_box(mask: Bool[np.ndarray, "height width"]) -> list[int]:
    """COCO counts a box's last row and column."""
    x, y, width, height = bounding_box(mask)
    return [x, y, width + 1, height + 1]


def _entry(image_id: int, obj_id: int, mask: np.ndarray, box: list[int], ignore: bool) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "category_id": obj_id,
        "iscrowd": int(ignore),
        "ignore": ignore,
        "area": int(mask.sum()),
        "bbox": box,
        "segmentation": run_lengths(mask),
        "width": mask.shape[1],
        "height": mask.shape[0],
    }
