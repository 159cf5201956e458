"""Pictures of one instance to judge a pose by: the image about it, the rendering in it, outlines, depth differences."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.types import Frame, Rendering
from selfpose6d.viz.overlay import DrawnPose, draw_axes, draw_outline, silhouettes
from selfpose6d.viz.palette import BACKGROUND_RGB, MASK_RGB, STATUS_RGB

MARGIN_RATIO = 0.2
"""On each side of the object, of its longer side."""
DEPTH_RANGE_M = 0.02
"""Difference of depth that gets the full colour: right poses are within a few millimetres."""
NEARER_RGB, FARTHER_RGB = (60, 110, 255), (255, 70, 50)
"""The mesh is in front of what was measured, or behind it."""


@dataclass(frozen=True)
class PoseCrop:
    """A square of the image about an instance, enlarged; the same for all poses, so that they can be compared."""

    rgb: UInt8[np.ndarray, "size size 3"]
    depth_m: Float[np.ndarray, "size size"]
    """0 where unknown."""
    mask: Bool[np.ndarray, "size size"]
    K: Float[np.ndarray, "3 3"]


def crop_about(
    frame: Frame,
    mask: Bool[np.ndarray, "height width"],
    meshes: PackedMeshes,
    poses: Sequence[DrawnPose],
    size_px: int,
) -> PoseCrop:
    """The square that holds the mask and every pose that is in view."""
    shape = frame.rgb.shape[:2]
    _, rows, columns = np.nonzero(np.concatenate([silhouettes(meshes, poses, frame.K, shape), mask[None]]))
    if not len(rows):
        rows, columns = np.array([0, shape[0] - 1]), np.array([0, shape[1] - 1])
    side = max(np.ptp(rows), np.ptp(columns)) * (1 + 2 * MARGIN_RATIO) + 8
    left, top = ((x.min() + x.max() - side + 1) / 2 for x in (columns, rows))
    box = CropBox(float(left), float(top), float(side))
    K_crop = crop_intrinsics(torch.from_numpy(np.asarray(frame.K, np.float64)), box, size_px).numpy()
    A, size = (K_crop @ np.linalg.inv(frame.K))[:2], (size_px, size_px)
    smooth = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    rgb = cv2.warpAffine(frame.rgb, A, size, flags=smooth, borderValue=BACKGROUND_RGB)
    nearest = (
        cv2.warpAffine(image, A, size, flags=cv2.INTER_NEAREST)
        for image in (np.nan_to_num(frame.depth_m.astype(np.float32)), mask.astype(np.uint8))
    )
    depth_m, crop_mask = nearest
    return PoseCrop(np.asarray(rgb, np.uint8), np.asarray(depth_m), np.asarray(crop_mask) > 0, K_crop)


def draw_rendering(crop: PoseCrop, meshes: PackedMeshes, pose: DrawnPose) -> UInt8[np.ndarray, "size size 3"]:
    """The mesh in its own colours in place of the image, thinly outlined in the status' colour."""
    rendering = _render(crop, meshes, pose)
    covered = rendering.mask[0].numpy() > 0
    image = crop.rgb.copy()
    image[covered] = np.rint(255 * rendering.rgb[0].numpy()[covered]).clip(0, 255)
    _thin_outline(image, covered, STATUS_RGB[pose.status])
    return image


def draw_outlines(crop: PoseCrop, meshes: PackedMeshes, pose: DrawnPose) -> UInt8[np.ndarray, "size size 3"]:
    """The image with the pose's outline and axes, and the mask's outline."""
    image = crop.rgb.copy()
    (silhouette,) = silhouettes(meshes, [pose], crop.K, crop.mask.shape)
    draw_outline(image, crop.mask, MASK_RGB)
    draw_outline(image, silhouette, STATUS_RGB[pose.status])
    draw_axes(image, crop.K, meshes, pose)
    return image


def draw_depth_difference(
    crop: PoseCrop, meshes: PackedMeshes, pose: DrawnPose
) -> UInt8[np.ndarray, "size size 3"]:
    """Where the mesh is in front of the measured surface, where behind; white where they agree.

    The image is grey and dark; it shows where depth is unknown, and where something outside the mask hides the mesh.
    """
    rendering = _render(crop, meshes, pose)
    rendered_m, covered = rendering.depth_m[0].numpy(), rendering.mask[0].numpy() > 0
    grey = 0.35 * crop.rgb.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    difference = ((rendered_m - crop.depth_m) / DEPTH_RANGE_M).clip(-1, 1)
    hidden = ~crop.mask & (difference > 0)
    known = covered & (crop.depth_m > 0) & ~hidden
    colour = np.where(difference[..., None] < 0, NEARER_RGB, FARTHER_RGB)
    shown = 255 + np.abs(difference)[..., None] * (colour - 255)
    image = np.where(known[..., None], shown, grey)
    image = np.ascontiguousarray(np.rint(image).clip(0, 255).astype(np.uint8))
    _thin_outline(image, covered, STATUS_RGB[pose.status])
    return image


def _render(crop: PoseCrop, meshes: PackedMeshes, pose: DrawnPose) -> Rendering:
    T, K = (torch.from_numpy(np.asarray(matrix)).float() for matrix in (pose.T_cam_obj[None], crop.K))
    posed = PosedMeshes.of_one(meshes, pose.mesh_index, T, K, crop.mask.shape)
    with torch.no_grad():
        return render(posed)


def _thin_outline(image: np.ndarray, mask: np.ndarray, rgb: tuple[int, int, int]) -> None:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(image, contours, True, rgb, 1, cv2.LINE_AA)
