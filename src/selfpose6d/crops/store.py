"""Decoded crops in one file: frames are read once, then any batch is a few reads, however large the data set.

The operating system's page cache keeps what fits in memory; the process holds the keys only.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Int
from platformdirs import user_cache_path

from selfpose6d.crops.crop import MARGIN, NetworkCrop, crop_instance, pack_crop, record_dtype
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError, UsageError
from selfpose6d.files import one_at_a_time
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import read_skipped, skipped_row
from selfpose6d.selection import FrameId
from selfpose6d.types import MIN_POINTS, InstanceKey, PoseEstimate

VERSION = 1
"""Of the records; another one decodes the frames anew."""
GIB = 1 << 30
# limits the memory: a decoded frame takes some megabytes
_FRAMES_AT_ONCE = 16
_RECORDS, _KEYS, _SKIPPED, _DONE = "records.bin", "keys.npy", "skipped.jsonl", "done.json"


@dataclass(frozen=True)
class CacheOptions:
    """Where crops are kept, and how much of them."""

    folder: Path | None = None
    """Folder of the cache; default: `selfpose6d/crops` in the user's cache directory."""
    budget_bytes: int = 64 * GIB
    """Most bytes on disk; crops of other data sets, longest unused first, make room."""
    workers: int = 2
    """Threads that decode frames."""

    @property
    def root(self) -> Path:
        """The folder in use."""
        return self.folder or user_cache_path("selfpose6d") / "crops"


class CropStore:
    """The crops of a data set's instances, by sample index; read with `pread`, from any thread."""

    def __init__(self, folder: Path, split: str, crop_px: int) -> None:
        self.split, self.crop_px = split, crop_px
        self._dtype = record_dtype(crop_px)
        self._file = (folder / _RECORDS).open("rb", buffering=0)
        self.keys: Int[np.ndarray, "instances 4"] = np.load(folder / _KEYS)
        """scene_id, im_id, obj_id, inst_id of every instance."""
        self.skipped = tuple(read_skipped(folder / _SKIPPED))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """The objects that there are instances of, ascending."""
        return tuple(np.unique(self.keys[:, 2]).tolist())

    def key(self, index: int) -> InstanceKey:
        """The whole key of one instance."""
        return InstanceKey(self.split, *map(int, self.keys[index]))

    def read(self, indices: Int[np.ndarray, "batch"]) -> np.ndarray:
        """The records of these samples, a structured array in their order."""
        size = self._dtype.itemsize
        records = np.empty(len(indices), self._dtype)
        raw = records.view(np.uint8).reshape(len(indices), size)
        for row, index in enumerate(indices):
            content = os.pread(self._file.fileno(), size, int(index) * size)
            if len(content) != size:
                raise DataError(f"{self._file.name} is cut off. Remove its folder; it is made again.")
            raw[row] = np.frombuffer(content, np.uint8)
        return records


def open_crop_store(
    dataset: Dataset, crop_px: int, options: CacheOptions, on_frame: Callable[[], object] = lambda: None
) -> CropStore:
    """The crops of the selected frames, from the cache if they are there, else decoded into it.

    A frame that cannot be read is reported among the skipped and left out.

    Raises:
        UsageError: the crops do not fit the budget, or there is not one usable instance.
    """
    folder = options.root / _content_key(dataset, crop_px)
    with one_at_a_time(folder):
        if not (folder / _DONE).is_file():
            _build(dataset, crop_px, folder, options, on_frame)
    os.utime(folder / _DONE)
    store = CropStore(folder, dataset.split, crop_px)
    if not len(store):
        reasons = sorted({skipped.reason for skipped in store.skipped})
        raise UsageError(
            f"no usable instance in split {dataset.split} of {dataset.root}: all {len(store.skipped)} were "
            f"skipped ({'; '.join(reasons[:3])}). Run selfpose6d validate {dataset.root}."
        )
    return store


def _content_key(dataset: Dataset, crop_px: int) -> str:
    """A hash of all that crops follow from: constants, selection, and every file and value that a frame is read from.

    About 0.1 ms for a frame with five masks on a local disk (12 s for 100,000 frames); decoding one takes 50 ms.
    """
    digest = hashlib.sha256(f"{VERSION} {crop_px} {MARGIN} {MIN_POINTS} {dataset.fingerprint()}".encode())
    digest.update(f"{dataset.selection.objects} {dataset.models.object_ids}\n".encode())
    for stamp in dataset.frame_stamps():
        digest.update(f"{stamp}\n".encode())
    return digest.hexdigest()[:32]


def _build(
    dataset: Dataset, crop_px: int, folder: Path, options: CacheOptions, on_frame: Callable[[], object]
) -> None:
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True)
    try:
        keys = _write_crops(part, _cut_all(dataset, crop_px, options.workers, on_frame), options.budget_bytes)
        np.save(part / _KEYS, np.array(keys, np.int32).reshape(-1, 4))
        (part / _DONE).write_text(to_line({"instances": len(keys), "data_set": str(dataset.root)}))
        _make_room(options, _size(part))
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write_crops(
    folder: Path, cut: Iterable[NetworkCrop | PoseEstimate], budget_bytes: int
) -> list[tuple[int, ...]]:
    """Write records and skipped instances; gives the keys, without the split, of the records."""
    keys = []
    with (folder / _RECORDS).open("wb") as records, (folder / _SKIPPED).open("w") as skipped:
        for item in cut:
            if isinstance(item, PoseEstimate):
                skipped.write(to_line(skipped_row(item.key, item.reason)))
                continue
            keys.append(item.key[1:])
            records.write(pack_crop(item).tobytes())
            if records.tell() > budget_bytes:
                raise UsageError(
                    f"the crops need more than the cache's {budget_bytes / GIB:.3g} GiB. "
                    "Raise --cache-gb, or select fewer frames with --scenes, --frames, --objects or --limit."
                )
    return keys


def _cut_all(
    dataset: Dataset, crop_px: int, workers: int, on_frame: Callable[[], object]
) -> Iterator[NetworkCrop | PoseEstimate]:
    """Crops in the frames' order; a bounded number of frames is in memory."""
    frame_ids = dataset.frame_ids()
    with ThreadPoolExecutor(workers) as pool:
        for first in range(0, len(frame_ids), _FRAMES_AT_ONCE):
            some = frame_ids[first : first + _FRAMES_AT_ONCE]
            for items in pool.map(lambda frame_id: _cut_frame(dataset, frame_id, crop_px), some):
                on_frame()
                yield from items


def _cut_frame(dataset: Dataset, frame_id: FrameId, crop_px: int) -> list[NetworkCrop | PoseEstimate]:
    try:
        frame = dataset.load_frame(frame_id)
    except DataError as error:
        with suppress(DataError):  # where not even the keys can be read, nothing is known to be lost
            return [PoseEstimate.none(key, str(error)) for key in dataset.instance_keys(frame_id)]
        return []
    return list(chain(frame.skipped, (crop_instance(frame, item, crop_px) for item in frame.instances)))


def _make_room(options: CacheOptions, needed_bytes: int) -> None:
    """Remove the longest unused crops of other data sets until `needed_bytes` fit the budget."""
    others = [path.parent for path in options.root.glob(f"[!.]*/{_DONE}")]
    sizes = {folder: _size(folder) for folder in others}
    for folder in sorted(others, key=lambda folder: (folder / _DONE).stat().st_mtime):
        if sum(sizes.values()) + needed_bytes <= options.budget_bytes:
            return
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
