"""Decoded crops in one file: frames are read once, then any batch is a few reads, however large the data set.

The operating system's page cache keeps what fits in memory; the process holds the keys only.
"""

import hashlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int

from selfpose6d.crops.crop import MARGIN, NetworkCrop, crop_instance, pack_crop, record_dtype
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import MALFORMED, DataError, SelfPose6DError, UsageError
from selfpose6d.files import (
    content_hash,
    is_being_made,
    naming,
    one_at_a_time,
    sync_folder,
    to_disk,
    user_cache,
    whole_lines,
    write_whole,
)
from selfpose6d.image_files import read_npy
from selfpose6d.json_files import read_json
from selfpose6d.processes import available_cores
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import read_skipped, skipped_row
from selfpose6d.selection import FrameId
from selfpose6d.types import MIN_POINTS, InstanceKey, PoseEstimate

VERSION = 2
"""Of the records; another one decodes the frames anew."""
GIB = 1 << 30
# limits the memory: a decoded frame takes some megabytes
_FRAMES_AT_ONCE = 16
_RECORDS, _KEYS, _SKIPPED, _DONE = "records.bin", "keys.npy", "skipped.jsonl", "done.json"
_RAW_KEYS, _PROGRESS = "keys.bin", "progress.txt"
"""Of an unfinished cache: four 32-bit numbers an instance; frames, instances and bytes of skipped ones by frame."""
_KEY_BYTES = 16


@dataclass(frozen=True)
class CacheOptions:
    """Where crops are kept, and how much of them."""

    folder: Path | None = None
    """Folder of the cache; default: `selfpose6d/crops` in the user's cache directory."""
    budget_bytes: int = 64 * GIB
    """Most bytes on disk; crops of other data sets, longest unused first, make room."""
    workers: int = field(default_factory=available_cores)
    """Threads that decode frames."""

    @property
    def root(self) -> Path:
        """The folder in use."""
        return self.folder or user_cache() / "crops"


class CropStore:
    """The crops of a data set's instances, by sample index; read with `pread`, from any thread."""

    def __init__(self, folder: Path, split: str, crop_px: int) -> None:
        """Open the folder that `open_crop_store` wrote.

        Raises:
            DataError: something of it is missing or is not as it was written.
        """
        self.split, self.crop_px = split, crop_px
        self._dtype = record_dtype(crop_px)
        self.keys: Int[np.ndarray, "instances 4"] = _read_keys(folder, self._dtype.itemsize)
        """scene_id, im_id, obj_id, inst_id of every instance."""
        self.skipped = tuple(read_skipped(folder / _SKIPPED))
        self._file = (folder / _RECORDS).open("rb", buffering=0)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """The objects that there are instances of, ascending."""
        return tuple(np.unique(self.keys[:, 2]).tolist())

    def key(self, index: int) -> InstanceKey:
        """The whole key of one instance."""
        return InstanceKey(self.split, *map(int, self.keys[index]))

    def read(self, indices: Int[np.ndarray, " batch"]) -> np.ndarray:
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
        store = _open_there(folder, dataset.split, crop_px)
        if store is None:
            _build(dataset, crop_px, folder, options, on_frame)
            store = CropStore(folder, dataset.split, crop_px)
    os.utime(folder / _DONE)
    if not len(store):
        reasons = sorted({skipped.reason for skipped in store.skipped})
        raise UsageError(
            f"no usable instance in split {dataset.split} of {dataset.root}: {len(store.skipped)} were "
            f"skipped ({'; '.join(reasons[:3]) or 'none is there'}). Run selfpose6d validate {dataset.root}."
        )
    return store


def _open_there(folder: Path, split: str, crop_px: int) -> CropStore | None:
    """The crops that are there; None where there are none, or a disk or another program has damaged them."""
    if not (folder / _DONE).is_file():
        return None
    try:
        return CropStore(folder, split, crop_px)
    except DataError as error:
        warnings.warn(f"{error} The crops are made again.", stacklevel=3)
        return None


def _read_keys(folder: Path, record_bytes: int) -> Int[np.ndarray, "instances 4"]:
    try:
        done = read_json(folder / _DONE)
        keys = read_npy(folder / _KEYS)
        size = (folder / _RECORDS).stat().st_size
        if content_hash(folder / _KEYS) != done["keys"] or size != len(keys) * record_bytes:
            raise ValueError("not as they were written")
    except (OSError, *MALFORMED) as error:
        raise DataError(f"{folder}: the crops in the cache are damaged ({error}).") from None
    return keys


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
    """Decode into a folder aside, which a later call goes on with where this one is stopped, then rename it."""
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        with CropWriter(part, record_dtype(crop_px).itemsize) as writer:
            for _ in range(writer.num_frames):
                on_frame()
            for items in _cut_all(dataset, crop_px, options.workers, writer.num_frames):
                writer.add(items)
                on_frame()
                if writer.num_bytes > options.budget_bytes:
                    raise UsageError(
                        f"the crops need more than the cache's {options.budget_bytes / GIB:.3g} GiB. "
                        "Raise --cache-gb, or select fewer frames with --scenes, --frames, --objects or --limit."
                    )
        keys = np.fromfile(part / _RAW_KEYS, np.int32).reshape(-1, 4)
        np.save(part / _KEYS, keys)
        for name in (_RAW_KEYS, _PROGRESS):
            (part / name).unlink()
        done = {"instances": len(keys), "data_set": str(dataset.root), "keys": content_hash(part / _KEYS)}
        write_whole(part / _DONE, to_line(done).encode())
    except SelfPose6DError:
        shutil.rmtree(part, ignore_errors=True)
        raise
    _make_room(options, _size(part), folder)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(part, folder)
    sync_folder(folder.parent)


class CropWriter:
    """Appends the crops of one frame after the other to a folder, and goes on behind the last whole frame in it."""

    def __init__(self, folder: Path, record_bytes: int) -> None:
        self._folder, self._record_bytes = folder, record_bytes
        self.num_frames, self._num_records, self._skipped_bytes = _last_progress(folder / _PROGRESS)
        sizes = {
            _RECORDS: self.num_bytes,
            _RAW_KEYS: self._num_records * _KEY_BYTES,
            _SKIPPED: self._skipped_bytes,
        }
        self._files = {name: _opened_at(folder / name, size) for name, size in sizes.items()}
        self._progress = (folder / _PROGRESS).open("ab")

    def __enter__(self) -> "CropWriter":
        return self

    def __exit__(self, *error: object) -> None:
        for file in (*self._files.values(), self._progress):
            to_disk(file)
            file.close()

    @property
    def num_bytes(self) -> int:
        """Of all records."""
        return self._num_records * self._record_bytes

    def add(self, items: Iterable[NetworkCrop | PoseEstimate]) -> None:
        """One frame's records, keys and skipped instances; a kill does not lose them from here on."""
        for item in items:
            if isinstance(item, PoseEstimate):
                line = to_line(skipped_row(item.key, item.reason)).encode()
                self._skipped_bytes += self._files[_SKIPPED].write(line)
            else:
                self._files[_RAW_KEYS].write(np.array(item.key[1:], np.int32).tobytes())
                self._files[_RECORDS].write(pack_crop(item).tobytes())
                self._num_records += 1
        for name, file in self._files.items():
            with naming(self._folder / name):
                file.flush()
        self.num_frames += 1
        self._progress.write(f"{self.num_frames} {self._num_records} {self._skipped_bytes}\n".encode())
        self._progress.flush()


def _last_progress(path: Path) -> tuple[int, int, int]:
    """Frames, records and bytes of skipped instances that were written whole; what a kill tore is cut off."""
    if not path.is_file():
        return 0, 0, 0
    if not (lines := whole_lines(path)):
        return 0, 0, 0
    frames, records, skipped_bytes = lines[-1].split()
    return int(frames), int(records), int(skipped_bytes)


def _opened_at(path: Path, size: int) -> BinaryIO:
    path.touch()
    os.truncate(path, size)
    return path.open("ab")


def _cut_all(
    dataset: Dataset, crop_px: int, workers: int, first_frame: int
) -> Iterator[list[NetworkCrop | PoseEstimate]]:
    """Each frame's crops in the frames' order; a bounded number of frames is in memory."""
    frame_ids = dataset.frame_ids()
    with ThreadPoolExecutor(workers) as pool:
        for first in range(first_frame, len(frame_ids), _FRAMES_AT_ONCE):
            some = frame_ids[first : first + _FRAMES_AT_ONCE]
            yield from pool.map(lambda frame_id: _cut_frame(dataset, frame_id, crop_px), some)


def _cut_frame(dataset: Dataset, frame_id: FrameId, crop_px: int) -> list[NetworkCrop | PoseEstimate]:
    try:
        frame = dataset.load_frame(frame_id)
    except DataError as error:
        with suppress(DataError):  # where not even the keys can be read, nothing is known to be lost
            return [PoseEstimate.none(key, str(error)) for key in dataset.instance_keys(frame_id)]
        return []
    return list(chain(frame.skipped, (crop_instance(frame, item, crop_px) for item in frame.instances)))


def _make_room(options: CacheOptions, needed_bytes: int, own: Path) -> None:
    """Remove the longest unused crops of other data sets, and what nobody goes on with, until `needed_bytes` fit."""
    others = {path.parent: path.stat().st_mtime for path in options.root.glob(f"[!.]*/{_DONE}")}
    for part in options.root.glob(".*.part"):
        made = part.with_name(part.name[1:].removesuffix(".part"))
        if made != own and not is_being_made(made):
            others[part] = part.stat().st_mtime
    sizes = {folder: _size(folder) for folder in others}
    for folder in sorted(others, key=others.__getitem__):
        if sum(sizes.values()) + needed_bytes <= options.budget_bytes:
            return
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.iterdir())
