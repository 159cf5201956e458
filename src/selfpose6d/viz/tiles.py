"""Square pictures of one instance: the observed crop, the rendering at a pose, and the crop with the outline."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.viz.overlay import DrawnPose, draw_axes, draw_outline, silhouettes
from selfpose6d.viz.palette import BACKGROUND_RGB, STATUS_RGB, TRUTH_RGB

MARGIN_RATIO = 0.15
"""On each side of the object, of its longer side."""
NEAR_M = 1e-3
"""A mesh that reaches nearer has no box in the image."""


def crop_tile(
    meshes: PackedMeshes,
    rgb: UInt8[np.ndarray, "height width 3"],
    K: Float[np.ndarray, "3 3"],
    poses: Sequence[DrawnPose],
    size_px: int,
) -> tuple[UInt8[np.ndarray, "tile tile 3"], Float[np.ndarray, "3 3"]]:
    """A square around all the poses, with its camera matrix; around the whole image if they are out of view."""
    height, width = rgb.shape[:2]
    low, high = _box_in_view(meshes, poses, K, height, width)
    side = float((high - low).max()) * (1 + 2 * MARGIN_RATIO) + 8
    left, top = (low + high - side + 1) / 2
    K_crop = crop_intrinsics(
        torch.from_numpy(np.asarray(K, np.float64)), CropBox(float(left), float(top), side), size_px
    ).numpy()
    A = K_crop @ np.linalg.inv(K)
    interpolation = cv2.INTER_AREA if side > size_px else cv2.INTER_CUBIC
    crop = cv2.warpAffine(rgb, A[:2], (size_px, size_px), flags=interpolation, borderValue=BACKGROUND_RGB)
    return np.asarray(crop, np.uint8), K_crop


def outline_tile(
    meshes: PackedMeshes,
    crop: UInt8[np.ndarray, "tile tile 3"],
    K_crop: Float[np.ndarray, "3 3"],
    pose: DrawnPose,
    T_cam_obj_true: Float[np.ndarray, "4 4"] | None = None,
    axes: bool = True,
) -> UInt8[np.ndarray, "tile tile 3"]:
    """A copy of the crop with the outline of the pose; beneath it, where it is known, the true pose's in white."""
    true = [] if T_cam_obj_true is None else [DrawnPose(pose.mesh_index, T_cam_obj_true)]
    estimated, *others = silhouettes(meshes, [pose, *true], K_crop, crop.shape[:2])
    image = crop.copy()
    for mask in others:
        draw_outline(image, mask, TRUTH_RGB, 1)
    draw_outline(image, estimated, STATUS_RGB[pose.status])
    if axes:
        draw_axes(image, K_crop, meshes, pose)
    return image


def rendering_tile(
    meshes: PackedMeshes, pose: DrawnPose, K_crop: Float[np.ndarray, "3 3"], size_px: int
) -> UInt8[np.ndarray, "tile tile 3"]:
    """The mesh alone at the pose."""
    T, K_tile = (torch.from_numpy(np.asarray(matrix)).float() for matrix in (pose.T_cam_obj[None], K_crop))
    posed = PosedMeshes.of_one(meshes, pose.mesh_index, T, K_tile, (size_px, size_px))
    rendering = render(posed, supersample=2)
    coverage = rendering.mask[0, ..., None].numpy()
    rgb = 255 * rendering.rgb[0].numpy() + (1 - coverage) * np.array(BACKGROUND_RGB)
    return np.rint(rgb).clip(0, 255).astype(np.uint8)


def _box_in_view(
    meshes: PackedMeshes, poses: Sequence[DrawnPose], K: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """First and last column and row of the poses' meshes, cut at the image; the image where none of them is in it."""
    size = np.array([width, height])
    low, high = size, -np.ones(2)
    for pose in poses:
        start, stop = meshes.vertex_start[pose.mesh_index : pose.mesh_index + 2].tolist()
        vertices_m = meshes.vertices_m[start:stop].numpy()
        points_m = vertices_m @ pose.T_cam_obj[:3, :3].T + pose.T_cam_obj[:3, 3]
        if points_m[:, 2].min() < NEAR_M:
            continue
        uv_px = points_m @ K.T
        uv_px = uv_px[:, :2] / uv_px[:, 2:]
        first, last = uv_px.min(axis=0), uv_px.max(axis=0)
        if (first < size).all() and (last > 0).all():
            low, high = np.minimum(low, first), np.maximum(high, last)
    low, high = np.maximum(low, 0), np.minimum(high, size - 1)
    return (low, high) if (high > low).all() else (np.zeros(2), size - 1.0)
