"""Masks as detectors draw them: outlines too small, too large or aside, foreign pixels and bites, boxes."""

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int16

from selfpose6d.synthetic.noise_fields import smooth_field

MaskKind = Literal["exact", "eroded", "dilated", "shifted", "foreign", "box"]
MASK_KINDS: tuple[MaskKind, ...] = get_args(MaskKind)
# outlines of detectors are off by up to about that part of the object's size in the image, and by that many pixels
MAX_OFFSET_RATIO, MAX_OFFSET_PX = 0.08, 6.0
# foreign pixels and bites, in parts of the mask's area
FOREIGN_RATIO, BITE_RATIO = (0.03, 0.15), (0.03, 0.10)
# a box is that much larger than the visible part, per side
MAX_LOOSENESS = 0.1
# an erosion that would leave less than half shrinks by less
LEAST_KEPT_RATIO = 0.5
# the boundary comes and goes about every tenth of the mask
WOBBLE_CELLS = (8, 8)


def degrade_mask(
    visible: Bool[np.ndarray, "height width"],
    kind: MaskKind,
    owner: Int16[np.ndarray, "height width"],
    generator: np.random.Generator,
) -> Bool[np.ndarray, "height width"]:
    """The mask of an object as a detector of this kind draws it; never empty unless `visible` is.

    eroded, dilated: by 1 to 6 px (at most 8 % of the mask's size), more here than there. shifted: by as much.
    foreign: 3 to 15 % more pixels of one neighbour, and a bite of 3 to 10 %. box: the filled bounding box, up to 10 %
    wider. `owner` tells objects apart (any values; equal ones belong together), for the neighbours' pixels.
    """
    if kind == "exact" or not visible.any():
        return visible
    if kind == "box":
        return _box(visible, generator)
    rows, columns = _window(visible)
    degraded = visible.copy()
    degraded[rows, columns] = _DEGRADE[kind](visible[rows, columns], owner[rows, columns], generator)
    return degraded


def draw_mask_kind(kinds: tuple[MaskKind, ...], generator: np.random.Generator) -> MaskKind:
    """One of them, each as likely."""
    return kinds[int(generator.integers(len(kinds)))]


def _eroded(
    mask: Bool[np.ndarray, "rows columns"], owner: np.ndarray, generator: np.random.Generator
) -> Bool[np.ndarray, "rows columns"]:
    """Smaller; by less where it would vanish."""
    inside_px = _signed_distance_px(mask)
    offset_px = _offset_px(mask, generator) * _wobble(mask.shape, generator)
    for _ in range(6):
        smaller = inside_px > offset_px
        if smaller.sum() >= LEAST_KEPT_RATIO * mask.sum():
            return smaller
        offset_px = 0.5 * offset_px
    return mask


def _dilated(
    mask: Bool[np.ndarray, "rows columns"], owner: np.ndarray, generator: np.random.Generator
) -> Bool[np.ndarray, "rows columns"]:
    return _signed_distance_px(mask) > -_offset_px(mask, generator) * _wobble(mask.shape, generator)


def _shifted(
    mask: Bool[np.ndarray, "rows columns"], owner: np.ndarray, generator: np.random.Generator
) -> Bool[np.ndarray, "rows columns"]:
    """Moved by at least a pixel in any direction; what leaves the image is lost."""
    angle = generator.uniform(0, 2 * np.pi)
    offset = np.round(max(_offset_px(mask, generator), 1.0) * np.array([np.cos(angle), np.sin(angle)]))
    move = np.array([[1, 0, offset[0]], [0, 1, offset[1]]], np.float32)
    moved = cv2.warpAffine(mask.astype(np.uint8), move, mask.shape[::-1], flags=cv2.INTER_NEAREST) > 0
    return moved if moved.any() else mask


def _foreign(
    mask: Bool[np.ndarray, "rows columns"], owner: np.ndarray, generator: np.random.Generator
) -> Bool[np.ndarray, "rows columns"]:
    """A neighbour's pixels added on one side, a bite taken out of another."""
    area, result = int(mask.sum()), mask.copy()
    distance_px = _signed_distance_px(mask)
    ring = np.flatnonzero((distance_px < 0) & (distance_px > -2))
    if len(ring):
        start = int(generator.choice(ring))
        neighbour = ~mask & (owner == owner.flat[start])
        count = max(round(area * generator.uniform(*FOREIGN_RATIO)), 1)
        result.flat[_nearest(neighbour, start, count, generator)] = True
    bite = min(max(round(area * generator.uniform(*BITE_RATIO)), 1), area - 1)
    result.flat[_nearest(mask, int(generator.choice(np.flatnonzero(mask))), bite, generator)] = False
    return result


def _box(
    visible: Bool[np.ndarray, "height width"], generator: np.random.Generator
) -> Bool[np.ndarray, "height width"]:
    """The filled bounding box, each side moved outwards by up to 5 % of the extent."""
    x, y, width, height = cv2.boundingRect(visible.astype(np.uint8))
    left, right = generator.uniform(0, MAX_LOOSENESS / 2, 2) * width
    above, below = generator.uniform(0, MAX_LOOSENESS / 2, 2) * height
    box = np.zeros_like(visible)
    rows = slice(max(round(y - above), 0), round(y + height + below))
    box[rows, max(round(x - left), 0) : round(x + width + right)] = True
    return box


_DEGRADE: dict[str, Callable[..., Bool[np.ndarray, "rows columns"]]] = {
    "eroded": _eroded,
    "dilated": _dilated,
    "shifted": _shifted,
    "foreign": _foreign,
}


def _window(visible: Bool[np.ndarray, "height width"]) -> tuple[slice, slice]:
    """The mask's surroundings: half its size and some pixels more on each side."""
    x, y, width, height = cv2.boundingRect(visible.astype(np.uint8))
    border = 8 + max(width, height) // 2
    return slice(max(y - border, 0), y + height + border), slice(max(x - border, 0), x + width + border)


def _signed_distance_px(mask: Bool[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """Distance to the outline, positive inside: 0.5 in the pixels on either side of it."""
    filled, empty = mask.astype(np.uint8), (~mask).astype(np.uint8)
    inside, outside = (cv2.distanceTransform(part, cv2.DIST_L2, 3) for part in (filled, empty))
    return inside - outside - np.where(mask, np.float32(0.5), np.float32(-0.5))


def _offset_px(mask: Bool[np.ndarray, "rows columns"], generator: np.random.Generator) -> float:
    """1 to 6 px, by the diameter of a disc of the mask's area."""
    size_px = 2 * np.sqrt(mask.sum() / np.pi)
    return float(generator.uniform(1.0, np.clip(MAX_OFFSET_RATIO * size_px, 1.0, MAX_OFFSET_PX)))


def _wobble(shape: tuple[int, ...], generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
    """A factor of about 0.2 to 1.8 along the outline."""
    return np.clip(1 + 0.5 * smooth_field(shape[0], shape[1], generator, WOBBLE_CELLS), 0.2, 1.8)


def _nearest(
    where: Bool[np.ndarray, "rows columns"], start: int, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Flat indices of the `count` pixels of `where` nearest to a pixel, in a blob with a wobbling boundary."""
    rows, columns = np.nonzero(where)
    row, column = divmod(start, where.shape[1])
    away = np.hypot(rows - row, columns - column) * _wobble(where.shape, generator)[rows, columns]
    kept = np.argsort(away, kind="stable")[:count]
    return rows[kept] * where.shape[1] + columns[kept]
