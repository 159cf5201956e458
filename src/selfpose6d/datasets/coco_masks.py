"""A detection's mask as COCO writes it: polygons, run lengths of both kinds, a box; read and written."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.datasets.images import data_error, require_shape
from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.image_files import MAX_PIXELS
from selfpose6d.json_files import whole_number

MAX_COORDINATE_PX = 1e5
"""Of a polygon's corner: far outside of any image, and what pycocotools can draw."""
SAME_BOX, OTHER_BOX = 0.7, 0.3
"""Intersection over union of two boxes: rounding and boxes of the whole object stay above, a mask that is read in the
wrong order covers the image in stripes."""


def decode_segmentation(
    segmentation: Any, shape: tuple[int, int], name: str, bbox: Any = None
) -> Bool[np.ndarray, "height width"]:
    """COCO's three forms (compressed RLE, RLE counts, polygons) as a mask of `shape` (height, width).

    `bbox` is the box beside it, if there is one.

    Raises:
        DataError: there is no segmentation, it is broken, is of another size, or its run lengths go row by row, as only
            the box shows; `name` says which.
    """
    from pycocotools import mask as coco

    if not segmentation:
        raise data_error(name, "no segmentation and no bbox", "Use a detector that gives masks or boxes.")
    try:
        rle = _compressed(segmentation, shape, name)
        decoded = coco.decode(rle)
    except MALFORMED as error:
        reason = f"segmentation is neither RLE (counts, size) nor a list of polygons ({error})"
        raise data_error(name, reason, "Export it as COCO has it.") from None
    mask = require_shape(decoded, shape, name).astype(bool)
    if bbox is not None and isinstance(segmentation, dict):
        _require_columns(mask, bbox, name)
    return mask


def encode_mask(mask: Bool[np.ndarray, "height width"]) -> dict[str, Any]:
    """A mask as compressed run lengths, as COCO has them in a JSON file: `size` (height, width) and `counts`."""
    from pycocotools import mask as coco

    encoded: Any = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def fill_box(bbox: Any, shape: tuple[int, int], name: str) -> Bool[np.ndarray, "height width"]:
    """A mask of `shape` (height, width) that holds the box [x, y, width, height] in pixels, as far as the image goes.

    The last row and column of a box count for some tools and not for others; here they do: a region may be a pixel too
    large, never too small.

    Raises:
        DataError: it is no box, or outside the image; `name` says which.
    """
    try:
        x_px, y_px, width_px, height_px = (float(number) for number in bbox)
        first_px = np.floor([y_px, x_px])
        last_px = np.floor([y_px + height_px, x_px + width_px])
        if not (np.isfinite([*first_px, *last_px]).all() and width_px > 0 and height_px > 0):
            raise ValueError("not finite, or without extent")
        if max(map(abs, (x_px, y_px, width_px, height_px))) <= 1:
            raise ValueError("parts of the image's size, not pixels")
    except MALFORMED as error:
        reason = f"bbox is no box [x, y, width, height] ({error}): {str(bbox)[:60]}"
        raise data_error(name, reason, "Export it as COCO has it.") from None
    (top, left), (bottom, right) = (
        first_px.clip(0, shape).astype(int),
        (last_px + 1).clip(0, shape).astype(int),
    )
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    if not mask.any():
        size = f"{shape[1]}x{shape[0]}"
        raise data_error(name, f"bbox {list(bbox)} is outside the image of {size} pixels", "Correct the box.")
    return mask


def polygons_px(segmentation: Sequence[Any]) -> list[Float[np.ndarray, "corners 2"]]:
    """The corners of COCO's polygons, those of less than three left out; a flat list of numbers is one polygon.

    Raises:
        ValueError: they are none, or farther off than any image reaches.
    """
    is_flat = bool(segmentation) and not any(isinstance(polygon, list) for polygon in segmentation)
    polygons = [np.asarray(numbers, np.float64) for numbers in ([segmentation] if is_flat else segmentation)]
    for polygon in polygons:
        if polygon.ndim != 1 or len(polygon) % 2 or not (np.abs(polygon) <= MAX_COORDINATE_PX).all():
            raise ValueError(f"no polygon of corners in pixels: {str(polygon.tolist())[:60]}")
    if any(map(len, polygons)) and all((np.abs(polygon) <= 1).all() for polygon in polygons):
        raise ValueError("corners in parts of the image's size, not pixels")
    return [polygon.reshape(-1, 2) for polygon in polygons if len(polygon) >= 6]


def has_outline(segmentation: Any) -> bool:
    """Whether there is more than empty lists, which tools write beside a box."""
    if isinstance(segmentation, list):
        return any(polygon != [] for polygon in segmentation)
    return bool(segmentation)


def is_one_region(segmentation: Any) -> bool:
    """Whether it is one connected region. True for one that cannot be read: loading it says why."""
    if not has_outline(segmentation):
        return False
    try:
        if isinstance(segmentation, dict):
            height, width = map(whole_number, segmentation["size"])
        else:
            corners_px = np.concatenate(polygons_px(segmentation))
            segmentation = [
                (polygon - corners_px.min(0)).ravel().tolist() for polygon in polygons_px(segmentation)
            ]
            width, height = (np.ceil(np.ptp(corners_px, axis=0)) + 2).astype(int).tolist()
        if not 0 < width * height <= MAX_PIXELS:
            return True
        mask = decode_segmentation(segmentation, (height, width), "")
    except (DataError, *MALFORMED):
        return True
    num_labels, _ = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return num_labels == 2  # the background and one region


def _compressed(segmentation: Any, shape: tuple[int, int], name: str) -> Any:
    from pycocotools import mask as coco

    if isinstance(segmentation, list):
        polygons = [polygon.ravel().tolist() for polygon in polygons_px(segmentation)]
        if not polygons:
            return coco.encode(np.zeros(shape, np.uint8, order="F"))
        return coco.merge(coco.frPyObjects(polygons, *shape))
    counts, (height, width) = segmentation["counts"], map(whole_number, segmentation["size"])
    # before memory is taken for it
    require_shape(np.broadcast_to(np.False_, (height, width)), shape, name)
    if isinstance(counts, list):
        counts = [whole_number(count) for count in counts]
        if sum(counts) != height * width or min(counts, default=0) < 0:
            raise ValueError(f"counts sum to {sum(counts)}, size says {height * width}")
        run_lengths: Any = {"counts": counts, "size": [height, width]}
        return coco.frPyObjects(run_lengths, height, width)
    encoded = counts.encode() if isinstance(counts, str) else counts
    # pycocotools takes a cut-off one, too: the rest of its image is then memory that was never written
    if (filled := sum(_decoded_lengths(encoded))) != height * width:
        raise ValueError(f"the run lengths fill {filled} pixels, size says {height * width}")
    return {"counts": encoded, "size": [height, width]}


def _decoded_lengths(encoded: bytes) -> list[int]:
    """The run lengths of COCO's compressed form: five bits a character; from the fourth on a length is stored as its
    difference to the last but one.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in encoded:
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    if shift or min(lengths, default=0) < 0:
        raise ValueError("the run lengths are cut off")
    return lengths


def _require_columns(mask: Bool[np.ndarray, "height width"], bbox: Any, name: str) -> None:
    """Run lengths go column by column. Where a mask has nothing to do with its box, and the same pixels row by row are
    inside, they were written the other way.
    """
    try:
        box = fill_box(bbox, mask.shape, name)
    except DataError:
        return  # a box that is none says nothing
    if _overlap(mask, box) >= OTHER_BOX:
        return
    if _overlap(mask.ravel(order="F").reshape(mask.shape), box) > SAME_BOX:
        reason = f"its run lengths fit its bbox {list(bbox)} row by row only, and COCO's go column by column"
        raise data_error(name, reason, "Encode the mask with pycocotools, in Fortran order.")


def _overlap(mask: Bool[np.ndarray, "height width"], box: Bool[np.ndarray, "height width"]) -> float:
    """Intersection over union of the mask's bounding box with a box."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    own = np.zeros_like(mask)
    own[y : y + height, x : x + width] = True
    return float((own & box).sum() / (own | box).sum())
