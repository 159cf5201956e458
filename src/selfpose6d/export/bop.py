"""A complete BOP data set: the i-th entry of `scene_gt.json` is the i-th mask."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from itertools import groupby
from pathlib import Path
from typing import Any

from selfpose6d.datasets.bop.entries import SCENE_FOLDERS, instance_file, target_rows
from selfpose6d.datasets.bop.targets import targets_path
from selfpose6d.export.coco import annotation_entries, categories, coco_file, image_entry
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.image_files import mask_to_png
from selfpose6d.json_stream import json_list, json_object, write_json
from selfpose6d.selection import FrameId
from selfpose6d.types import LabeledPose

SCENE_FILES = {
    "camera": "scene_camera.json",
    "gt": "scene_gt.json",
    "info": "scene_gt_info.json",
    "labels": "scene_gt_labels.json",
}
"""A scene's files by image, by the parts of a frame's row that they hold."""


def write_frame(split_folder: Path, frame: ExportedFrame, place: ImagePlacer) -> dict[str, Any]:
    """Write a frame's images and masks; returns its entries of the scene's files."""
    scene_id, im_id = frame.frame_id
    scene = split_folder / f"{scene_id:06d}"
    for name in SCENE_FOLDERS:
        (scene / name).mkdir(parents=True, exist_ok=True)
    rgb_name = f"rgb/{im_id:06d}{frame.rgb.suffix}"
    place(frame.rgb, scene / rgb_name)
    place(frame.depth, scene / "depth" / f"{im_id:06d}{frame.depth.suffix}")
    for index, instance in enumerate(frame.instances):
        name = instance_file(im_id, index)
        (scene / "mask" / name).write_bytes(mask_to_png(instance.mask))
        (scene / "mask_visib" / name).write_bytes(mask_to_png(instance.visible))
    return {
        "camera": frame.camera,
        "gt": [instance.pose for instance in frame.instances],
        "info": [instance.info for instance in frame.instances],
        "labels": [label_entry(instance.label) for instance in frame.instances],
        "image": image_entry(frame, im_id, rgb_name),
        "annotations": annotation_entries(frame, im_id, whole_boxes=True),
    }


def label_entry(label: LabeledPose) -> dict[str, Any]:
    """Where a pose comes from, for `scene_gt_labels.json`: the run's `inst_id`, certificate, and who accepted it."""
    certificate = label.certificate
    entry = {"inst_id": label.key.inst_id, "status": certificate.status, "confidence": label.confidence}
    return {**entry, "reason": certificate.reason}


def write_scenes(
    root: Path, split: str, rows: Iterable[tuple[FrameId, dict[str, Any]]], names: Mapping[int, str]
) -> None:
    """Write the files of every scene, `camera.json`, and for a test split the targets; `rows` come sorted by frame.

    One frame is in memory at a time.
    """
    camera: dict[str, Any] = {}
    with ExitStack() as files:
        targets = files.enter_context(json_list(targets_path(root))) if split == "test" else None
        for scene_id, frames in groupby(rows, key=lambda row: row[0].scene_id):
            for im_id, row in _written_scene(root / split / f"{scene_id:06d}", frames, names):
                camera = camera or _camera_file(row["camera"], row["image"])
                for target in target_rows(scene_id, {im_id: row["gt"]}, {im_id: row["info"]}):
                    if targets is not None:
                        targets.add(target)
    if camera:
        write_json(root / "camera.json", camera)


def _written_scene(
    scene: Path, frames: Iterable[tuple[FrameId, dict[str, Any]]], names: Mapping[int, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Write the files of one scene; gives each image back when it is written."""
    with ExitStack() as files:
        parts = {part: files.enter_context(json_object(scene / name)) for part, name in SCENE_FILES.items()}
        coco = files.enter_context(coco_file(scene / "scene_gt_coco.json", categories(names)))
        for frame_id, row in frames:
            im_id = str(frame_id.im_id)
            for part, entries in parts.items():
                entries.put(im_id, row[part])
            coco.add(row["image"], row["annotations"])
            yield im_id, row


def _camera_file(camera: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """BOP's `camera.json`: the first frame's; frames whose cameras differ have theirs in `scene_camera.json`."""
    K = camera["cam_K"]
    size = {"width": image["width"], "height": image["height"]}
    return {"cx": K[2], "cy": K[5], "depth_scale": camera["depth_scale"], "fx": K[0], "fy": K[4], **size}
