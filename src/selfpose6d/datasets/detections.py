"""Masks from a detections file in BOP's form: one JSON row a detection, RLE or polygon segmentation, or a box only.

Only an index stays in memory (seven integers a detection); rows are read again when their frame is asked for.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.images import data_error, require_shape
from selfpose6d.datasets.inputs import FrameInput
from selfpose6d.datasets.json_rows import iterate_rows, read_row
from selfpose6d.datasets.masks import MaskEntry, MaskSource
from selfpose6d.selection import FrameId

_KEYS = ("scene_id", "image_id", "category_id")
_COLUMNS = 7
"""Of the index: the three keys, the row's number, its place and length in the file, and whether it has a box only."""


class DetectionMasks(MaskSource):
    """Instances of a detections file; `inst_id` is the index in the file.

    A detection without segmentation is a region: its box, filled.
    """

    def __init__(self, path: Path) -> None:
        """Index the file.

        Raises:
            DataError: it is unreadable, or a row lacks `scene_id`, `image_id` or `category_id`.
        """
        self.path = path
        indexed = (_index_row(path, index, row) for index, row in enumerate(iterate_rows(path)))
        rows = np.fromiter(chain.from_iterable(indexed), np.int64).reshape(-1, _COLUMNS)
        self._rows = rows[np.lexsort((rows[:, 3], rows[:, 1], rows[:, 0]))]
        self._frames = self._rows[:, 0] * (1 << 32) + self._rows[:, 1]

    def __len__(self) -> int:
        return len(self._rows)

    def frame_ids(self) -> list[FrameId]:
        """Frames that have a detection, sorted."""
        return [FrameId(int(scene), int(image)) for scene, image in np.unique(self._rows[:, :2], axis=0)]

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """The frame's detections in the file's order."""
        return [MaskEntry(int(row[2]), int(row[3])) for row in self._of_frame(frame_id)]

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The mask of a detection, decoded; of one with a box only, the box."""
        row, name = self.read(frame_id, entry.inst_id), f"{self.path}: detection {entry.inst_id}"
        if self.is_region(frame_id, entry):
            return fill_box(row["bbox"], shape, name)
        return decode_segmentation(row.get("segmentation"), shape, name)

    def is_region(self, frame_id: FrameId, entry: MaskEntry) -> bool:
        """Whether the detection has a box only."""
        return bool(self._indexed(frame_id, entry.inst_id)[6])

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """None: the whole file is in `content_key`."""
        return ()

    def read(self, frame_id: FrameId, inst_id: int) -> dict[str, Any]:
        """A detection's whole row."""
        offset, length = self._indexed(frame_id, inst_id)[4:6].tolist()
        return read_row(self.path, offset, length)

    def content_key(self) -> str:
        """A hash of the file: another file has other instances."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _indexed(self, frame_id: FrameId, inst_id: int) -> np.ndarray:
        rows = self._of_frame(frame_id)
        return rows[rows[:, 3] == inst_id][0]

    def _of_frame(self, frame_id: FrameId) -> np.ndarray:
        wanted = frame_id.scene_id * (1 << 32) + frame_id.im_id
        first, last = np.searchsorted(self._frames, [wanted, wanted + 1])
        return self._rows[first:last]


def decode_segmentation(
    segmentation: Any, shape: tuple[int, int], name: str
) -> Bool[np.ndarray, "height width"]:
    """COCO's three forms (compressed RLE, RLE counts, polygons) as a mask of `shape` (height, width).

    Raises:
        DataError: there is no segmentation, it is broken, or is of another size; `name` says which.
    """
    from pycocotools import mask as coco

    if not segmentation:
        raise data_error(name, "no segmentation and no bbox", "Use a detector that gives masks or boxes.")
    try:
        rle = _compressed(segmentation, shape)
        decoded = coco.decode(rle)
        # A cut-off RLE is not refused by pycocotools: the rest of its image is uninitialised memory.
        if decoded.max(initial=0) > 1 or int(decoded.sum()) != int(coco.area(rle)):
            raise ValueError("the run lengths do not fill the image")
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        reason = f"segmentation is neither RLE (counts, size) nor a list of polygons ({error})"
        raise data_error(name, reason, "Export it as COCO has it.") from None
    return require_shape(decoded, shape, name).astype(bool)


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
    except (ValueError, TypeError) as error:
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


def _compressed(segmentation: Any, shape: tuple[int, int]) -> Any:
    from pycocotools import mask as coco

    if isinstance(segmentation, list):
        polygons = [corners for corners in segmentation if len(corners) >= 6]  # at least three corners
        if not polygons:
            return coco.encode(np.zeros(shape, np.uint8, order="F"))
        return coco.merge(coco.frPyObjects(polygons, *shape))
    counts, (height, width) = segmentation["counts"], segmentation["size"]
    if isinstance(counts, list):
        if sum(counts) != height * width:
            raise ValueError(f"counts sum to {sum(counts)}, size says {height * width}")
        run_lengths: Any = {"counts": counts, "size": [height, width]}
        return coco.frPyObjects(run_lengths, height, width)
    return {"counts": counts.encode() if isinstance(counts, str) else counts, "size": [height, width]}


def _index_row(path: Path, index: int, row: Any) -> tuple[int, ...]:
    try:
        scene_id, image_id, category_id = (int(row.value[key]) for key in _KEYS)
    except (KeyError, TypeError, ValueError):
        given = {key: row.value[key] for key in _KEYS if key in row.value}
        got = given if len(given) == len(_KEYS) else sorted(row.value)
        reason = f"row {index} needs integers {', '.join(_KEYS)}, got {got}"
        raise data_error(path, reason, "Add them as BOP does.") from None
    box_only = not row.value.get("segmentation") and row.value.get("bbox") is not None
    return scene_id, image_id, category_id, index, row.offset, row.length, box_only
