"""A COCO data set: `images/` and `annotations/instances_<split>.json`, poses beside the masks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from selfpose6d.export.coco import annotation_entries, categories, coco_file, image_entry
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.selection import FrameId


def write_frame(root: Path, split: str, frame: ExportedFrame, place: ImagePlacer) -> dict[str, Any]:
    """Write a frame's colour image; returns its entries. Labels also have their `pose` and their camera's `cam_K`."""
    folder, _ = outputs(root, split)
    folder.mkdir(parents=True, exist_ok=True)
    scene_id, im_id = frame.frame_id
    name = f"{scene_id:06d}_{im_id:06d}{frame.rgb.suffix}"
    place(frame.rgb, folder / name)
    entries = annotation_entries(frame, 0, whole_boxes=False)
    visible = [instance for instance in frame.instances if instance.visible.any()]
    for entry, instance in zip(entries, visible, strict=False):
        entry["pose"] = {name: instance.pose[name] for name in ("cam_R_m2c", "cam_t_m2c")}
    image = image_entry(frame, 0, f"{split}/{name}") | frame.camera
    return {"image": image, "annotations": entries}


def write_annotations(
    root: Path, split: str, rows: Iterable[tuple[FrameId, dict[str, Any]]], names: Mapping[int, str]
) -> None:
    """Write the file of all images, which are numbered from 1 in the order of the frames."""
    _, path = outputs(root, split)
    path.parent.mkdir(parents=True, exist_ok=True)
    with coco_file(path, categories(names)) as coco:
        for image_id, (_, row) in enumerate(rows, start=1):
            entries = (entry | {"image_id": image_id} for entry in row["annotations"])
            coco.add(row["image"] | {"id": image_id}, entries)


def outputs(root: Path, split: str) -> tuple[Path, Path]:
    """The folder of a split's images, and the file of its annotations."""
    return root / "images" / split, root / "annotations" / f"instances_{split}.json"
