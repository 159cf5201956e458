"""COCO's annotations of exported frames; what has no label is a region that is to be ignored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.bop.entries import bounding_box
from selfpose6d.export.frames import ExportedFrame


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


def dataset_of(
    categories: list[dict[str, Any]], images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> dict[str, Any]:
    """A COCO file's content; annotations are numbered from 1 (pycocotools takes 0 for none)."""
    numbered = [{"id": number, **entry} for number, entry in enumerate(annotations, start=1)]
    return {
        "info": {"description": "poses and masks labelled by selfpose6d"},
        "licenses": [],
        "categories": categories,
        "images": images,
        "annotations": numbered,
    }


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
