"""What the network sees of one instance: a square crop that knows where it comes from, and its packed record."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from selfpose6d.errors import UsageError
from selfpose6d.geometry.camera import CropBox
from selfpose6d.types import MIN_POINTS, Frame, Instance, InstanceKey, PoseEstimate

# on each side of the mask, of its longer side: some background, and room for masks that are a little too small
MARGIN = 0.1
# all that the record's 16 bits hold: a crop at 1 m is kept to 0.02 mm
DEPTH_STEPS = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class NetworkCrop:
    """A square of a frame around one mask, resized. Depth is 0 and the mask False outside the image.

    Depth and mask are those of the frame's pixel nearest to each crop pixel (`nearest_source_px`), so that
    back-projection loses nothing by the resizing.
    """

    key: InstanceKey
    rgb: UInt8[np.ndarray, "size size 3"]
    depth_m: Float[np.ndarray, "size size"]
    mask: Bool[np.ndarray, "size size"]
    K: Float[np.ndarray, "3 3"]
    """Camera matrix of the whole frame."""
    box: CropBox


def crop_instance(frame: Frame, instance: Instance, size_px: int) -> NetworkCrop | PoseEstimate:
    """Cut one instance out of its frame, or no pose, because."""
    bounds = _bounds(instance.mask)
    num_points = 0
    if bounds is not None:  # what lies beside the mask's box need not be looked at
        part = slice(bounds[0], bounds[1] + 1), slice(bounds[2], bounds[3] + 1)
        num_points = int(np.count_nonzero(instance.mask[part] & (frame.depth_m[part] > 0)))
    if bounds is None or num_points < MIN_POINTS:
        reason = f"too few points: {num_points} mask pixels with depth, need {MIN_POINTS}"
        return PoseEstimate.none(instance.key, reason)
    box = _square(bounds, MARGIN)
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
    bounds = _bounds(mask)
    assert bounds is not None, "an empty mask has no box"
    return _square(bounds, margin)


def _bounds(mask: Bool[np.ndarray, "height width"]) -> tuple[int, int, int, int] | None:
    """First and last row, first and last column; None of an empty mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])) if rows.size else None


def _square(bounds: tuple[int, int, int, int], margin: float) -> CropBox:
    top, bottom, left, right = bounds
    longer = max(bottom - top, right - left) + 1
    side = int(np.ceil(longer * (1 + 2 * margin)))
    return CropBox(float((left + right - side + 1) // 2), float((top + bottom - side + 1) // 2), float(side))


def nearest_source_px(first_px: float, side_px: float, size_px: int) -> Int[np.ndarray, " size"]:
    """The frame's column (row) nearest to the centre of each crop column (row); may lie outside the frame."""
    centre = first_px - 0.5 + (np.arange(size_px) + 0.5) * (side_px / size_px)
    return np.floor(centre + 0.5).astype(np.int64)


def record_dtype(size_px: int) -> np.dtype:
    """Layout of one crop of `size_px`: about 5.1 bytes a pixel."""
    if size_px % 8:
        raise UsageError(f"crop_px must be a multiple of 8, got {size_px}.")
    return np.dtype(
        [
            ("key", np.int32, 4),
            ("rgb", np.uint8, (size_px, size_px, 3)),
            ("depth", np.uint16, (size_px, size_px)),
            ("depth_step_m", np.float32),
            ("middle_m", np.float32),
            ("mask", np.uint8, (size_px, size_px // 8)),
            ("K", np.float64, (3, 3)),
            ("box_px", np.float64, 3),
        ]
    )


def pack_crop(crop: NetworkCrop) -> np.ndarray:
    """One record (a structured array of length 1). Depth is kept to 1/65535 of the crop's largest depth."""
    record = np.zeros(1, record_dtype(len(crop.rgb)))
    step_m = max(float(crop.depth_m.max()) / DEPTH_STEPS, 1e-6)
    known = crop.depth_m[crop.mask & (crop.depth_m > 0)]
    record["key"] = crop.key[1:]
    record["rgb"] = crop.rgb
    record["depth"] = np.round(crop.depth_m / step_m).astype(np.uint16)
    record["depth_step_m"] = step_m
    record["middle_m"] = np.median(known) if known.size else 0.0
    record["mask"] = np.packbits(crop.mask, axis=-1)
    record["K"] = crop.K
    record["box_px"] = (crop.box.left_px, crop.box.top_px, crop.box.side_px)
    return record


def _take(image: np.ndarray, rows: Int[np.ndarray, " size"], columns: Int[np.ndarray, " size"]) -> np.ndarray:
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
    interpolation = cv2.INTER_AREA if side > size_px else cv2.INTER_LINEAR
    return cv2.resize(part, (size_px, size_px), interpolation=interpolation)
