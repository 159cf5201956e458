"""Scenes to disk as BOP has them: images, masks, cameras, true poses (millimetres)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.files import write_json
from selfpose6d.image_files import to_png
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.synthetic.frame import RenderedFrame, TrueInstance

FOLDERS = ("rgb", "depth", "mask", "mask_visib")
# BOP 2019: an object counts as a target where at least a tenth of it is visible
TARGET_VISIBLE_FRACTION = 0.1


def write_scene(folder: Path, frames: Iterable[RenderedFrame]) -> None:
    """Write one scene folder, image ids counted from 0; `mask_visib` holds the masks that a detector would give."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    cameras, poses, infos = {}, {}, {}
    for im_id, frame in enumerate(frames):
        (folder / "rgb" / f"{im_id:06d}.png").write_bytes(to_png(frame.rgb))
        (folder / "depth" / f"{im_id:06d}.png").write_bytes(to_png(frame.depth))
        infos[str(im_id)] = []
        for inst_id, instance in enumerate(frame.instances):
            name = f"{im_id:06d}_{inst_id:06d}.png"
            whole = whole_mask(instance, frame.depth.shape)
            (folder / "mask_visib" / name).write_bytes(to_png(np.uint8(255) * instance.mask))
            (folder / "mask" / name).write_bytes(to_png(np.uint8(255) * whole))
            infos[str(im_id)].append(_info(instance, int((whole & (frame.depth > 0)).sum())))
        camera = {"cam_K": frame.K.ravel().tolist(), **_transform(frame.T_cam_world, "w2c")}
        cameras[str(im_id)] = {**camera, "depth_scale": MM_PER_M / frame.depth_units_per_m}
        poses[str(im_id)] = [
            {**_transform(instance.T_cam_obj, "m2c"), "obj_id": instance.obj_id}
            for instance in frame.instances
        ]
    write_json(folder / "scene_camera.json", cameras)
    write_json(folder / "scene_gt.json", poses)
    write_json(folder / "scene_gt_info.json", infos)


def write_targets(root: Path, split: str) -> None:
    """`test_targets_bop19.json`: objects of which at least a tenth is visible, counted per image."""
    targets = []
    for scene in sorted((root / split).iterdir()):
        poses = json.loads((scene / "scene_gt.json").read_text())
        infos = json.loads((scene / "scene_gt_info.json").read_text())
        for im_id, entries in poses.items():
            ids = [
                entry["obj_id"]
                for entry, info in zip(entries, infos[im_id], strict=True)
                if info["visib_fract"] >= TARGET_VISIBLE_FRACTION
            ]
            targets += [
                {"im_id": int(im_id), "inst_count": ids.count(i), "obj_id": i, "scene_id": int(scene.name)}
                for i in sorted(set(ids))
            ]
    write_json(root / "test_targets_bop19.json", targets)


def whole_mask(instance: TrueInstance, shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    """The part of the silhouette that lies in the image."""
    outline, mask = instance.silhouette, np.zeros(shape, bool)
    (rows, columns), (height, width) = outline.mask.shape, shape
    left, top = outline.left_px, outline.top_px
    inside = outline.mask[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    mask[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)] = inside
    return mask


def bounding_box(mask: Bool[np.ndarray, "rows columns"], left_px: int = 0, top_px: int = 0) -> list[int]:
    """x, y, width, height of a mask's pixels, in the image whose corner the mask is offset from."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return [x + left_px, y + top_px, width, height]


def _transform(T: Float[np.ndarray, "4 4"], suffix: str) -> dict[str, Any]:
    return {f"cam_R_{suffix}": T[:3, :3].ravel().tolist(), f"cam_t_{suffix}": (T[:3, 3] * MM_PER_M).tolist()}


def _info(instance: TrueInstance, num_valid: int) -> dict[str, Any]:
    outline = instance.silhouette
    total, visible = int(outline.mask.sum()), int(instance.visible.sum())
    kind = {} if instance.mask_kind is None else {"mask_kind": instance.mask_kind}
    return {
        "bbox_obj": bounding_box(outline.mask, outline.left_px, outline.top_px),
        "bbox_visib": bounding_box(instance.visible),
        "px_count_all": total,
        "px_count_valid": num_valid,
        "px_count_visib": visible,
        "visib_fract": visible / total,
        **kind,
    }
