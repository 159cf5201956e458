"""The pinhole camera: OpenCV axes (+x right, +y down, +z forward), pixel centres at integer coordinates."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def project(
    points_cam_m: Float[Tensor, "*batch points 3"], K: Float[Tensor, "*#batch 3 3"]
) -> Float[Tensor, "*batch points 2"]:
    """Pixel coordinates (u right, v down) of camera points. Ill-posed at z = 0 (returns inf or NaN)."""
    homogeneous = points_cam_m @ K.mT
    return homogeneous[..., :2] / homogeneous[..., 2:]


def back_project(
    depth_m: Float[Tensor, "*batch height width"], K: Float[Tensor, "*#batch 3 3"]
) -> Float[Tensor, "*batch height width 3"]:
    """Camera point of every pixel from its z depth; (0, 0, 0) where the depth is 0 (unknown)."""
    height, width = depth_m.shape[-2:]
    v, u = torch.meshgrid(
        torch.arange(height, dtype=depth_m.dtype, device=depth_m.device),
        torch.arange(width, dtype=depth_m.dtype, device=depth_m.device),
        indexing="ij",
    )
    K = K.to(depth_m)[..., None, None, :, :]
    y = (v - K[..., 1, 2]) / K[..., 1, 1] * depth_m
    x = ((u - K[..., 0, 2]) * depth_m - K[..., 0, 1] * y) / K[..., 0, 0]
    return torch.stack([x, y, depth_m], -1)


def projected_box(
    points_m: Float[np.ndarray, "points 3"], T_cam_obj: Float[np.ndarray, "4 4"], K: Float[np.ndarray, "3 3"]
) -> tuple[int, int, int, int]:
    """The pixels (x, y, width, height) that an object's points cover as a box, hidden ones and those outside the image
    too; what lies behind the camera is left out. Zeros where all of it does.
    """
    points = points_m @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    points = points[points[:, 2] > 1e-3]
    if not len(points):
        return 0, 0, 0, 0
    uvw = points @ K.T
    uv = np.round(uvw[:, :2] / uvw[:, 2:]).astype(np.int64)
    (left, top), (right, bottom) = uv.min(0).tolist(), uv.max(0).tolist()
    return left, top, right - left + 1, bottom - top + 1


@dataclass(frozen=True)
class CropBox:
    """An axis-aligned square of the image: the pixel centre of its first column and row, and its side in pixels.

    It covers the area from `left_px - 0.5` to `left_px + side_px - 0.5`; it may reach over the image's border.
    """

    left_px: float
    top_px: float
    side_px: float


def crop_intrinsics(
    K: Float[Tensor, "*batch 3 3"], box: CropBox | Float[Tensor, "*batch 3"], crop_px: int
) -> Float[Tensor, "*batch 3 3"]:
    """Camera matrix of the crop resized to `crop_px`, with pixel centres at integers before and after.

    `box` is one for all, or (left, top, side) in pixels of each.
    """
    if isinstance(box, CropBox):
        box = torch.tensor([box.left_px, box.top_px, box.side_px], dtype=torch.float64, device=K.device)
    left, top, side = box.to(K).unbind(-1)
    scale = crop_px / side
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    rows = (
        (scale, zero, scale * (0.5 - left) - 0.5),
        (zero, scale, scale * (0.5 - top) - 0.5),
        (zero, zero, one),
    )
    return torch.stack([torch.stack(row, -1) for row in rows], -2) @ K
