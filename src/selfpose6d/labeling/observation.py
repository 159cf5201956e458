"""What one instance shows: a square crop of colour, depth and mask, and a clean cloud of its visible surface."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.crops.crop import MIN_POINTS
from selfpose6d.errors import SelfPose6DError
from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.types import Frame, Instance

CROP_MARGIN = 0.15
ERODE_PX = 2
MAX_SPREAD = 1.25


class TooFewPointsError(SelfPose6DError):
    """The instance cannot be estimated; the message is its skip reason."""


@dataclass(frozen=True)
class Crop:
    """A square view of the instance, resized; depth 0 is unknown."""

    rgb: Float[Tensor, "size size 3"]
    depth_m: Float[Tensor, "size size"]
    mask: Bool[Tensor, "size size"]
    in_image: Bool[Tensor, "size size"]
    K: Float[Tensor, "3 3"]

    def to(self, device: torch.device | str) -> "Crop":
        """The same crop on another device."""
        return Crop(*(value.to(device) for value in vars(self).values()))


def crop_instance(frame: Frame, mask: Bool[np.ndarray, "height width"], box: CropBox, size_px: int) -> Crop:
    """Resample the frame to the crop: colours by area, depth and mask by the nearest pixel."""
    rgb = _warp(frame.rgb, box, size_px, smooth=True).astype(np.float32) / 255.0
    inside = _warp(np.ones(mask.shape, np.uint8), box, size_px, smooth=False)
    return Crop(
        rgb=torch.from_numpy(rgb),
        depth_m=torch.from_numpy(_warp(frame.depth_m.astype(np.float32), box, size_px, smooth=False)),
        mask=torch.from_numpy(_warp(mask.astype(np.uint8), box, size_px, smooth=False).astype(bool)),
        in_image=torch.from_numpy(inside.astype(bool)),
        K=crop_intrinsics(torch.from_numpy(frame.K.astype(np.float32)), box, size_px),
    )


def _warp(image: np.ndarray, box: CropBox, size_px: int, smooth: bool) -> np.ndarray:
    """Sample the box at `size_px` x `size_px` pixel centres; 0 outside the image."""
    step = box.side_px / size_px
    if smooth and step > 1.0:
        image = cv2.GaussianBlur(image, (0, 0), 0.4 * step)
    first = 0.5 * step - 0.5
    matrix = np.array([[step, 0, box.left_px + first], [0, step, box.top_px + first]])
    flags = (cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_CONSTANT)


def visible_cloud(
    frame: Frame, instance: Instance, diameter_m: float, count: int, generator: np.random.Generator
) -> Float[Tensor, "{count} 3"]:
    """`count` points of the instance's visible surface, camera frame, metres.

    The mask is eroded against mixed pixels at depth edges (not where little would be left), and points farther
    than the object's size from the median are dropped.

    Raises:
        TooFewPointsError: fewer than 50 usable pixels.
    """
    usable = instance.mask & (frame.depth_m > 0) & np.isfinite(frame.depth_m)
    if usable.sum() < MIN_POINTS:
        raise TooFewPointsError(
            f"too few points: {int(usable.sum())} mask pixels with depth, need {MIN_POINTS}"
        )
    kernel = np.ones((2 * ERODE_PX + 1, 2 * ERODE_PX + 1), np.uint8)
    eroded = usable & cv2.erode(instance.mask.astype(np.uint8), kernel).astype(bool)
    if eroded.sum() >= max(4 * MIN_POINTS, 0.3 * usable.sum()):
        usable = eroded
    rows, columns = np.nonzero(usable)
    z = frame.depth_m[rows, columns].astype(np.float64)
    x = (columns - frame.K[0, 2]) / frame.K[0, 0] * z
    y = (rows - frame.K[1, 2]) / frame.K[1, 1] * z
    points = np.stack([x, y, z], -1)
    near = np.linalg.norm(points - np.median(points, axis=0), axis=1) < MAX_SPREAD * diameter_m
    if near.sum() < MIN_POINTS:
        raise TooFewPointsError(
            f"too few points: {int(near.sum())} lie within the object's size of their median, need {MIN_POINTS}"
        )
    points = points[near]
    chosen = generator.choice(len(points), count, replace=len(points) < count)
    return torch.from_numpy(points[chosen].astype(np.float32))
