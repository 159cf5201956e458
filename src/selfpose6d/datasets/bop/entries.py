"""What BOP's scene files hold of a frame and its instances, as its toolkit computes it (millimetres, pixels).

Sources: bop_toolkit's `calc_gt_info`, `calc_gt_masks`, `visibility` and `misc`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.metrics.bop import ray_lengths, visible_surface

SCENE_FOLDERS = ("rgb", "depth", "mask", "mask_visib")
"""Of the images of a scene."""
TARGET_VISIBLE_FRACTION = 0.1
"""BOP 2019: an object is a target where at least a tenth of it is visible."""
_NO_BOX = [-1, -1, -1, -1]


def instance_file(im_id: int, index: int) -> str:
    """Name of an instance's mask; `index` is its position in the image's list in `scene_gt.json`."""
    return f"{im_id:06d}_{index:06d}.png"


@dataclass(frozen=True)
class Silhouette:
    """An object's whole outline, hidden parts too, in a window whose corner may be off the image."""

    left_px: int
    top_px: int
    mask: Bool[np.ndarray, "rows columns"]

    def in_image(self, shape: tuple[int, ...]) -> Bool[np.ndarray, "height width"]:
        """The part of it that lies in an image of `shape` (height, width): BOP's `mask`."""
        return placed_in_image(self.mask, self.left_px, self.top_px, shape)


def placed_in_image(
    window: Shaped[np.ndarray, "rows columns"], left_px: int, top_px: int, shape: tuple[int, ...]
) -> Shaped[np.ndarray, "height width"]:
    """A window's pixels at their place in an image of `shape`, cut at its border; 0 beside them."""
    image = np.zeros(shape[:2], window.dtype)
    (rows, columns), (height, width) = window.shape, shape[:2]
    inside = window[max(0, -top_px) : max(0, height - top_px), max(0, -left_px) : max(0, width - left_px)]
    image[max(0, top_px) : max(0, top_px + rows), max(0, left_px) : max(0, left_px + columns)] = inside
    return image


def visible_part(
    rendered_m: Float[np.ndarray, "height width"],
    measured_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
) -> Bool[np.ndarray, "height width"]:
    """Where an object's rendered surface (0 off it) is visible before a measured depth image (0 unknown): `mask_visib`.

    Distances along the rays are compared. Where nothing was measured, the surface counts as visible (BOP 2019).
    """
    lengths = ray_lengths(measured_m.shape, K)
    return visible_surface(rendered_m * lengths, measured_m * lengths)


def bounding_box(mask: Bool[np.ndarray, "rows columns"], left_px: int = 0, top_px: int = 0) -> list[int]:
    """x, y and the distances to the last column and row of a mask's pixels (BOP counts no last pixel); -1 without any.

    `left_px` and `top_px`: where the mask's corner lies in the image.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return list(_NO_BOX)
    x, y = int(columns[0]), int(rows[0])
    return [x + left_px, y + top_px, int(columns[-1]) - x, int(rows[-1]) - y]


def info_entry(
    whole: Silhouette,
    visible: Bool[np.ndarray, "height width"],
    measured_m: Float[np.ndarray, "height width"],
) -> dict[str, Any]:
    """An instance's entry of `scene_gt_info.json`."""
    total, num_visible = int(whole.mask.sum()), int(visible.sum())
    box = bounding_box(whole.mask, whole.left_px, whole.top_px) if num_visible else list(_NO_BOX)
    return {
        "bbox_obj": box,
        "bbox_visib": bounding_box(visible),
        "px_count_all": total,
        "px_count_valid": int((whole.in_image(visible.shape) & (measured_m > 0)).sum()),
        "px_count_visib": num_visible,
        "visib_fract": num_visible / total if total else 0.0,
    }


def transform_entry(T: Float[np.ndarray, "4 4"], suffix: str) -> dict[str, list[float]]:
    """A transform as `cam_R_<suffix>` (row-major), `cam_t_<suffix>` (mm); `m2c`: `T_cam_obj`, `w2c`: `T_cam_world`."""
    translation_mm = (T[:3, 3] / METRES_PER_MM).tolist()
    return {f"cam_R_{suffix}": T[:3, :3].ravel().tolist(), f"cam_t_{suffix}": translation_mm}


def pose_entry(T_cam_obj: Float[np.ndarray, "4 4"], obj_id: int) -> dict[str, Any]:
    """An instance's entry of `scene_gt.json`."""
    return {**transform_entry(T_cam_obj, "m2c"), "obj_id": obj_id}


def target_rows(
    scene_id: int, poses: Mapping[str, Iterable[Mapping]], infos: Mapping[str, Iterable[Mapping]]
) -> list[dict[str, int]]:
    """A scene's rows of `test_targets_bop19.json` from its `scene_gt.json` and `scene_gt_info.json`."""
    rows = []
    for im_id, entries in poses.items():
        seen = [
            entry["obj_id"]
            for entry, info in zip(entries, infos[im_id], strict=True)
            if info["visib_fract"] >= TARGET_VISIBLE_FRACTION
        ]
        rows += [
            {"im_id": int(im_id), "inst_count": seen.count(i), "obj_id": i, "scene_id": scene_id}
            for i in sorted(set(seen))
        ]
    return rows
