"""A complete BOP data set: the i-th entry of `scene_gt.json` is the i-th mask."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from selfpose6d.datasets.bop.entries import SCENE_FOLDERS, instance_file, target_rows
from selfpose6d.datasets.bop.targets import targets_path
from selfpose6d.export.coco import annotation_entries, categories, dataset_of, image_entry
from selfpose6d.export.files import ImagePlacer
from selfpose6d.export.frames import ExportedFrame
from selfpose6d.files import write_json
from selfpose6d.image_files import mask_to_png
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
    """Write the files of every scene, `camera.json`, and for a test split the targets; `rows` come sorted by frame."""
    targets, camera = [], {}
    for scene_id, frames in groupby(rows, key=lambda row: row[0].scene_id):
        scene = root / split / f"{scene_id:06d}"
        by_image = {str(frame_id.im_id): row for frame_id, row in frames}
        parts = {part: {im_id: row[part] for im_id, row in by_image.items()} for part in SCENE_FILES}
        for part, name in SCENE_FILES.items():
            write_json(scene / name, parts[part])
        images = [row["image"] for row in by_image.values()]
        annotations = [entry for row in by_image.values() for entry in row["annotations"]]
        write_json(scene / "scene_gt_coco.json", dataset_of(categories(names), images, annotations))
        targets += target_rows(scene_id, parts["gt"], parts["info"])
        first = next(iter(by_image.values()))
        camera = camera or _camera_file(first["camera"], first["image"])
    if camera:
        write_json(root / "camera.json", camera)
    if split == "test":
        write_json(targets_path(root), targets)


def _camera_file(camera: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """BOP's `camera.json`: the first frame's; frames whose cameras differ have theirs in `scene_camera.json`."""
    K = camera["cam_K"]
    size = {"width": image["width"], "height": image["height"]}
    return {"cx": K[2], "cy": K[5], "depth_scale": camera["depth_scale"], "fx": K[0], "fy": K[4], **size}
