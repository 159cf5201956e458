"""What the network sees of one instance.

A square crop of colour, depth and mask that knows where it comes from.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.types import Frame, Instance, InstanceKey, PoseEstimate

MARGIN = 0.1
MIN_POINTS = 50


@dataclass(frozen=True)
class NetworkCrop:
    """A square of a frame around one mask, resized. Depth is 0 and the mask False outside the image.

    Depth and mask are those of the frame's pixel nearest to each crop pixel; `columns_px` and `rows_px` say
    which, so that back-projection loses nothing by the resizing.
    """

    key: InstanceKey
    rgb: UInt8[np.ndarray, "size size 3"]
    depth_m: Float[np.ndarray, "size size"]
    mask: Bool[np.ndarray, "size size"]
    K: Float[np.ndarray, "3 3"]
    """Camera matrix of the whole frame."""
    box: CropBox

    @property
    def size_px(self) -> int:
        """Side of the resized square."""
        return len(self.rgb)

    @cached_property
    def K_crop(self) -> Float[np.ndarray, "3 3"]:
        """Camera matrix of the crop."""
        return crop_intrinsics(torch.from_numpy(self.K), self.box, self.size_px).numpy()

    @property
    def columns_px(self) -> Int[np.ndarray, "size"]:
        """Frame column that each crop column was taken from."""
        return nearest_source_px(self.box.left_px, self.box.side_px, self.size_px)

    @property
    def rows_px(self) -> Int[np.ndarray, "size"]:
        """Frame row that each crop row was taken from."""
        return nearest_source_px(self.box.top_px, self.box.side_px, self.size_px)


def crop_instance(
    frame: Frame, instance: Instance, size_px: int, min_points: int = MIN_POINTS
) -> NetworkCrop | PoseEstimate:
    """Cut one instance out of its frame, or no pose, because."""
    points = int((instance.mask & (frame.depth_m > 0)).sum())
    if points < min_points:
        reason = f"too few points: {points} mask pixels with depth, need {min_points}"
        return PoseEstimate.none(instance.key, reason)
    box = square_box(instance.mask)
    rows = nearest_source_px(box.top_px, box.side_px, size_px)
    columns = nearest_source_px(box.left_px, box.side_px, size_px)
    return NetworkCrop(
        key=instance.key,
        rgb=_resize(frame.rgb, box, size_px),
        depth_m=_take(frame.depth_m, rows, columns).astype(np.float32),
        mask=_take(instance.mask, rows, columns),
        K=frame.K.astype(np.float64),
        box=box,
    )


def square_box(mask: Bool[np.ndarray, "height width"], margin: float = MARGIN) -> CropBox:
    """A square of whole pixels about the mask's box, wider by `margin` of its longer side on each side."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    longer = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(np.ceil(longer * (1 + 2 * margin)))
    left = (columns[0] + columns[-1] - side + 1) // 2
    top = (rows[0] + rows[-1] - side + 1) // 2
    return CropBox(float(left), float(top), float(side))


def nearest_source_px(first_px: float, side_px: float, size_px: int) -> Int[np.ndarray, "size"]:
    """The frame's column (row) nearest to the centre of each crop column (row); may lie outside the frame."""
    centre = first_px - 0.5 + (np.arange(size_px) + 0.5) * (side_px / size_px)
    return np.floor(centre + 0.5).astype(np.int64)


def _take(image: np.ndarray, rows: Int[np.ndarray, "size"], columns: Int[np.ndarray, "size"]) -> np.ndarray:
    height, width = image.shape
    inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
    taken = image[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)]
    return np.where(inside, taken, np.zeros((), image.dtype))


def _resize(
    rgb: UInt8[np.ndarray, "height width 3"], box: CropBox, size_px: int
) -> UInt8[np.ndarray, "size size 3"]:
    """Black outside the image; averaged where it shrinks, bilinear where it grows."""
    left, top, side = int(box.left_px), int(box.top_px), int(box.side_px)
    before = (max(0, -top), max(0, -left))
    part = rgb[max(0, top) : max(0, top + side), max(0, left) : max(0, left + side)]
    after = (side - before[0] - part.shape[0], side - before[1] - part.shape[1])
    if any((*before, *after)):
        part = cv2.copyMakeBorder(part, before[0], after[0], before[1], after[1], cv2.BORDER_CONSTANT)
    return cv2.resize(
        part, (size_px, size_px), interpolation=cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    )
