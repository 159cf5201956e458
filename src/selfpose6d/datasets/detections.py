"""Masks from a detections file: BOP's and COCO's result rows, or a COCO file of annotations (CVAT, Label Studio).

Of result rows only an index stays in memory (seven integers a detection); they are read again when their frame is asked
for. A COCO file of annotations is kept whole.
"""

import hashlib
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.coco_masks import decode_segmentation, fill_box, has_outline, is_one_region
from selfpose6d.datasets.detection_ids import DetectionIds
from selfpose6d.datasets.images import data_error, require_shape
from selfpose6d.datasets.inputs import FrameInput
from selfpose6d.datasets.json_rows import is_one_object, is_utf8, iterate_rows, read_row
from selfpose6d.datasets.masks import MaskEntry, MaskSource
from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.files import open_file
from selfpose6d.json_files import read_json, whole_number
from selfpose6d.selection import FrameId

_KEYS = ("scene_id", "image_id", "category_id")
_COLUMNS = 7
"""Of the index: scene, image, object, the row's number, its place and length in the file, whether it has a box only."""


class _Found(NamedTuple):
    """A row before its ids are resolved; place and length are 0 for rows that stay in memory."""

    row: dict[str, Any]
    image: dict[str, Any] | None
    category_name: str | None
    offset: int = 0
    length: int = 0
    unlisted: str = ""
    """Ids that a COCO file's lists do not have."""


class DetectionMasks(MaskSource):
    """Instances of a detections file; `inst_id` is the index in the file.

    A detection without segmentation is a region: its box, filled. What is marked `ignore` is no instance. What is
    marked `iscrowd` is one where its mask is one connected region: CVAT marks every mask so that is no polygon. A
    warning counts what is left out.
    """

    def __init__(self, path: Path, ids: DetectionIds | None = None) -> None:
        """Index the file. `ids` resolves images and categories against a data set; None takes BOP's numbers as given.

        Raises:
            DataError: unreadable, every row lacks `image_id` or `category_id` (or `scene_id`, where it is needed), or
                some match nothing in the data set. Single rows that lack them are left out with a warning.
        """
        self.path = path
        self._kept: list[dict[str, Any]] | None = None
        self._images: dict[str, dict[str, Any]] = {}
        found = self._rows_of_file()
        faults: list[DataError] = []
        left_out: Counter[str] = Counter()
        indexed = _index_rows(path, found, ids, faults, left_out)
        rows = np.fromiter(chain.from_iterable(indexed), np.int64).reshape(-1, _COLUMNS)
        if faults and not len(rows):
            raise faults[0]
        if faults:
            more = f" So are {len(faults) - 1} others." if len(faults) > 1 else ""
            warnings.warn(f"{faults[0]} The row is left out: nothing is labelled there.{more}", stacklevel=2)
        if left_out:
            counts = ", ".join(f"{count} {why}" for why, count in left_out.items())
            warnings.warn(
                f"{path}: rows that are no instances are left out: {counts}. Nothing is labelled there.",
                stacklevel=2,
            )
        if ids is not None:
            ids.require_known(path, len(rows))
            if absent := ids.absent_scenes:
                warnings.warn(
                    f"{path}: {absent.total()} rows are of {len(absent)} scenes that the data set does not have.",
                    stacklevel=2,
                )
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
        for stated in (self._images.get(str(row.get("image_id")), {}), row):
            require_stated_size(stated, shape, name)
        if self.is_region(frame_id, entry):
            return fill_box(row["bbox"], shape, name)
        return decode_segmentation(row.get("segmentation"), shape, name, row.get("bbox"))

    def is_region(self, frame_id: FrameId, entry: MaskEntry) -> bool:
        """Whether the detection has a box only."""
        return bool(self._indexed(frame_id, entry.inst_id)[6])

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """None: the whole file is in `content_key`."""
        return ()

    def read(self, frame_id: FrameId, inst_id: int) -> dict[str, Any]:
        """A detection's whole row."""
        if self._kept is not None:
            return self._kept[inst_id]
        offset, length = self._indexed(frame_id, inst_id)[4:6].tolist()
        return read_row(self.path, offset, length)

    def content_key(self) -> str:
        """A hash of the file: another file has other instances."""
        with open_file(self.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _indexed(self, frame_id: FrameId, inst_id: int) -> np.ndarray:
        rows = self._of_frame(frame_id)
        return rows[rows[:, 3] == inst_id][0]

    def _rows_of_file(self) -> Iterator[_Found]:
        if is_utf8(self.path):
            return self._read_coco(None) if is_one_object(self.path) else _result_rows(self.path)
        content = _whole_content(self.path)
        if isinstance(content, dict):
            return self._read_coco(content)
        self._kept = content
        return (_Found(row, None, None) for row in content)

    def _read_coco(self, content: dict[str, Any] | None) -> Iterator[_Found]:
        """The annotations of a COCO file, each with its image and its category's name."""
        content = _coco_lists(self.path, _whole_content(self.path) if content is None else content)
        images = _by_id(self.path, "images", content["images"], "file_name")
        names = {
            i: row.get("name") for i, row in _by_id(self.path, "categories", content["categories"]).items()
        }
        self._kept, self._images = content["annotations"], images
        for row in content["annotations"]:
            image, category = str(row.get("image_id")), str(row.get("category_id"))
            if image not in images or (names and category not in names):
                yield _Found(row, None, None, unlisted=f"image_id {image}, category_id {category}")
                continue
            name = names.get(category)
            yield _Found(row, images[image], None if name is None else str(name))

    def _of_frame(self, frame_id: FrameId) -> np.ndarray:
        wanted = frame_id.scene_id * (1 << 32) + frame_id.im_id
        first, last = np.searchsorted(self._frames, [wanted, wanted + 1])
        return self._rows[first:last]


def require_stated_size(entry: dict[str, Any], shape: tuple[int, int], name: str) -> None:
    """Refuse a detection in another image's pixels, as far as its row or its image's entry says their size.

    Raises:
        DataError: `width` or `height` is not the image's; names both sizes.
    """
    stated = [_positive(entry.get(side)) for side in ("height", "width")]
    if any(stated):
        height, width = (side or own for side, own in zip(stated, shape, strict=True))
        require_shape(np.broadcast_to(np.False_, (height, width)), shape, name)


def _positive(value: object) -> int | None:
    """None for what says no size: tools write null, 0 or -1 where they do not know it."""
    try:
        return max(whole_number(value), 0) or None
    except ValueError:
        return None


def result_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a list of results, whatever its encoding.

    Raises:
        DataError: it is unreadable, or no list of rows.
    """
    if is_utf8(path):
        yield from (found.row for found in _result_rows(path))
        return
    content = _whole_content(path)
    if isinstance(content, dict):
        raise data_error(path, "one object, no list of rows", "Pass a file of rows, as BOP has it.")
    yield from content


def _result_rows(path: Path) -> Iterator[_Found]:
    for row in iterate_rows(path):
        named = {key: _as_utf8(value) for key, value in row.value.items() if key in _KEYS}
        yield _Found(row.value | named, None, None, row.offset, row.length)


def _as_utf8(value: Any) -> Any:
    """Names as they are meant: the rows are read byte by byte."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def _whole_content(path: Path) -> Any:
    """An object, or a list of objects.

    Raises:
        DataError: it is broken, or something else.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict) and not all(isinstance(row, dict) for row in content):
            raise ValueError("a row is no object")
    except (OSError, *MALFORMED) as error:
        reason = f"neither one COCO object nor a list of rows ({error})"
        raise data_error(path, reason, "Put rows into one JSON list, or export it as COCO.") from None
    return content


def _by_id(
    path: Path, kind: str, rows: list[dict[str, Any]], name: str = "name"
) -> dict[str, dict[str, Any]]:
    """The entries of one of a COCO file's lists.

    Raises:
        DataError: two of them have one id and different names.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        other = found.setdefault(str(row.get("id")), row)
        if other.get(name) != row.get(name):
            reason = f"two {kind} have the id {row.get('id')}: {other.get(name)!r} and {row.get(name)!r}"
            raise data_error(path, reason, "Give each an id of its own.")
    return found


def _coco_lists(path: Path, content: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The three lists of a COCO file.

    Raises:
        DataError: they are something else.
    """
    if not isinstance(content.get("annotations"), list) or not isinstance(content.get("images"), list):
        reason = f"a COCO file has images, annotations and categories, got {', '.join(sorted(content)) or 'nothing'}"
        raise data_error(path, reason, "Export it as COCO, or pass a list of rows, as BOP has it.")
    lists = {name: content.get(name) or [] for name in ("images", "annotations", "categories")}
    for name, rows in lists.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise data_error(path, f"{name} is no list of objects", "Export it as COCO.")
    return lists


def _index_rows(
    path: Path,
    found: Iterable[_Found],
    ids: DetectionIds | None,
    faults: list[DataError],
    left_out: Counter[str],
) -> Iterator[tuple[int, ...]]:
    """The index's rows; what is wrong with single rows goes to `faults`, what are no instances to `left_out`."""
    for number, row in enumerate(found):
        try:
            if row.unlisted:
                reason = f"annotation {number} has {row.unlisted}, which the file does not list"
                raise data_error(path, reason, "Export it again.")
            if why := _why_no_instance(path, number, row):
                left_out[why] += 1
                continue
            indexed = _index_row(path, number, row, ids)
        except DataError as fault:
            faults.append(fault)
            continue
        if indexed is not None:
            yield indexed


def _why_no_instance(path: Path, number: int, found: _Found) -> str:
    """Empty for an instance; else which flag says that it is none.

    Raises:
        DataError: a flag is neither 0 nor 1.
    """
    is_ignored, is_crowd = (_flag(path, number, found.row, name) for name in ("ignore", "iscrowd"))
    if is_ignored:
        return "marked ignore"
    if is_crowd and not is_one_region(found.row.get("segmentation")):
        return "marked iscrowd, and not one connected mask"
    return ""


def _flag(path: Path, number: int, row: dict[str, Any], name: str) -> bool:
    value = row.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    try:
        if (flag := whole_number(value)) in (0, 1):
            return bool(flag)
    except ValueError:
        pass
    raise data_error(path, f"row {number} has {name} {str(value)[:40]!r}", "Write 0 or 1.")


def _index_row(path: Path, number: int, found: _Found, ids: DetectionIds | None) -> tuple[int, ...] | None:
    """The row of the index; None for one that lies outside what the data set has."""
    row = found.row
    box_only = not has_outline(row.get("segmentation")) and row.get("bbox") is not None
    if ids is None:
        keys = _bop_keys(path, number, row)
    else:
        _require_keys(path, number, found, ids)
        frame_id = ids.frame(row, found.image)
        obj_id = ids.obj_id(row.get("category_id"), found.category_name) if frame_id else None
        if frame_id is None or obj_id is None:
            return None
        keys = (*frame_id, obj_id)
    return *keys, number, found.offset, found.length, box_only


def _bop_keys(path: Path, number: int, row: dict[str, Any]) -> tuple[int, ...]:
    try:
        return tuple(whole_number(row[key]) for key in _KEYS)
    except (KeyError, ValueError):
        given = {key: row[key] for key in _KEYS if key in row}
        got = given if len(given) == len(_KEYS) else sorted(row)
        reason = f"row {number} needs integers {', '.join(_KEYS)}, got {got}"
        raise data_error(path, reason, "Add them as BOP does.") from None


def _require_keys(path: Path, number: int, found: _Found, ids: DetectionIds) -> None:
    row = found.row
    names_its_image = found.image is not None or isinstance(row.get("image_id"), str)
    wanted = _KEYS if ids.needs_scene and not names_its_image else _KEYS[1:]
    if any(row.get(key) is None for key in wanted):
        reason = f"row {number} needs {', '.join(wanted)}, got {', '.join(sorted(row)) or 'nothing'}"
        raise data_error(path, reason, "Add them as BOP does.")
