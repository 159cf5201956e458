"""Scenes to disk as BOP has them: images, masks, cameras, true poses (millimetres)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt16

from selfpose6d.errors import DataError
from selfpose6d.synthetic.bop_files import MM_PER_M, write_json
from selfpose6d.synthetic.scene import RenderedFrame, TrueInstance
from selfpose6d.synthetic.sensor import DEPTH_UNITS_PER_M

FOLDERS = ("rgb", "depth", "mask", "mask_visib")


def write_scene(folder: Path, frames: Iterable[RenderedFrame]) -> None:
    """Write one scene folder, image ids counted from 0."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    cameras, poses, infos = {}, {}, {}
    for im_id, frame in enumerate(frames):
        write_png(folder / "rgb" / f"{im_id:06d}.png", frame.rgb[..., ::-1])
        write_png(folder / "depth" / f"{im_id:06d}.png", frame.depth)
        for inst_id, instance in enumerate(frame.instances):
            name = f"{im_id:06d}_{inst_id:06d}.png"
            write_png(folder / "mask_visib" / name, np.uint8(255) * instance.visible)
            write_png(folder / "mask" / name, np.uint8(255) * whole_mask(instance, frame.depth.shape))
        cameras[str(im_id)] = _camera(frame)
        poses[str(im_id)] = [_pose(instance) for instance in frame.instances]
        infos[str(im_id)] = [_info(instance, frame.depth) for instance in frame.instances]
    write_json(folder / "scene_camera.json", cameras)
    write_json(folder / "scene_gt.json", poses)
    write_json(folder / "scene_gt_info.json", infos)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a PNG with OpenCV's fast settings.

    Raises:
        DataError: the file cannot be written.
    """
    if not cv2.imwrite(str(path), np.ascontiguousarray(image)):
        raise DataError(f"{path}: cannot be written. Check the permissions and the free space.")


def whole_mask(instance: TrueInstance, shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
    """The part of the silhouette that lies in the image."""
    outline, (height, width) = instance.silhouette, shape
    rows, columns = outline.mask.shape
    left, top = outline.left_px, outline.top_px
    mask = np.zeros((height, width), bool)
    mask[max(0, top) : max(0, top + rows), max(0, left) : max(0, left + columns)] = outline.mask[
        max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)
    ]
    return mask


def _camera(frame: RenderedFrame) -> dict[str, Any]:
    return {
        "cam_K": frame.K.ravel().tolist(),
        "cam_R_w2c": frame.T_cam_world[:3, :3].ravel().tolist(),
        "cam_t_w2c": (frame.T_cam_world[:3, 3] * MM_PER_M).tolist(),
        "depth_scale": MM_PER_M / DEPTH_UNITS_PER_M,
    }


def _pose(instance: TrueInstance) -> dict[str, Any]:
    return {
        "cam_R_m2c": instance.T_cam_obj[:3, :3].ravel().tolist(),
        "cam_t_m2c": (instance.T_cam_obj[:3, 3] * MM_PER_M).tolist(),
        "obj_id": instance.obj_id,
    }


def _info(instance: TrueInstance, depth: UInt16[np.ndarray, "height width"]) -> dict[str, Any]:
    outline = instance.silhouette
    total, visible = int(outline.mask.sum()), int(instance.visible.sum())
    return {
        "bbox_obj": bounding_box(outline.mask, outline.left_px, outline.top_px),
        "bbox_visib": bounding_box(instance.visible),
        "px_count_all": total,
        "px_count_valid": int((whole_mask(instance, depth.shape) & (depth > 0)).sum()),
        "px_count_visib": visible,
        "visib_fract": visible / total,
    }


def bounding_box(mask: Bool[np.ndarray, "rows columns"], left_px: int = 0, top_px: int = 0) -> list[int]:
    """x, y, width, height of a mask's pixels, in the image whose corner the mask is offset from."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    width, height = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    return [int(columns[0]) + left_px, int(rows[0]) + top_px, int(width), int(height)]
