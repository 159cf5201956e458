"""Frames for a segmentation network: decoded once, at the resolution it looks at, into one file of the cache."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int

from selfpose6d.crops.store import GIB, CacheOptions
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError, UsageError
from selfpose6d.files import aside_of, one_at_a_time, user_cache
from selfpose6d.segmentation.grid import MAX_SIDE_PX, grid_image, on_grid
from selfpose6d.selection import FrameId

VERSION = 2
"""Of the records; another one decodes the frames anew."""
IGNORED, MOST_INSTANCES = 255, 254
"""Value of pixels that teach nothing, and the most instances of a frame."""
DEPTH_UNIT_M = 0.0005
"""Of stored depth: far below a sensor's noise, and 16 bits reach 32 m."""
RECORD = np.dtype(
    [
        ("rgb", np.uint8, (MAX_SIDE_PX, MAX_SIDE_PX, 3)),
        ("depth", np.uint16, (MAX_SIDE_PX, MAX_SIDE_PX)),
        ("instance", np.uint8, (MAX_SIDE_PX, MAX_SIDE_PX)),
        ("obj_id", np.int32, MOST_INSTANCES + 1),
        ("focal_px", np.float32),
        ("shape", np.int32, 2),
    ]
)
"""A frame, in the corner of a square: 614 kB. `instance` is 0 on the background, `obj_id` what each instance shows."""


@dataclass(frozen=True)
class Taught:
    """What frames of a run teach: the masks of certified instances. Where else an object may be, nothing is taught."""

    certified: frozenset[tuple[int, int, int]]
    """Scene, image and instance; the masks of all other instances teach nothing."""
    doubtful: Mapping[FrameId, tuple[tuple[int, int, int, int], ...]] = field(default_factory=dict)
    """Boxes (x, y, width, height) of what was turned away and may be an object all the same."""


@dataclass(frozen=True)
class FrameStore:
    """The frames of one or several data sets, by index."""

    parts: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def read(self, indices: Int[np.ndarray, " batch"]) -> np.ndarray:
        """The records of these frames, in their order."""
        ends = np.cumsum([len(part) for part in self.parts])
        part = np.searchsorted(ends, indices, side="right")
        starts = np.concatenate([[0], ends])
        return np.stack([self.parts[p][i - starts[p]] for p, i in zip(part, indices, strict=True)])


def open_frames(
    dataset: Dataset,
    options: CacheOptions,
    taught: Taught | None = None,
    on_frame: Callable[[], object] = lambda: None,
) -> np.ndarray:
    """The frames of a data set with its masks, from the cache if they are there, else decoded into it.

    `taught`: which of its instances teach; None: all.
    Frames that cannot be read, or have no instance that teaches, are left out.

    Raises:
        UsageError: not one frame is left.
    """
    root = options.folder or user_cache()
    path = root / "frames" / f"{_content_key(dataset, taught)}.npy"
    with one_at_a_time(path):
        records = _open_there(path)
        if records is None:
            _build(dataset, path, options, taught, on_frame)
            records = np.load(path, mmap_mode="r")
    if not len(records):
        raise UsageError(
            f"split {dataset.split} of {dataset.root} has no frame with a mask that can be learned from. Run "
            f"selfpose6d validate {dataset.root}."
        )
    return records


def _open_there(path: Path) -> np.ndarray | None:
    """The frames that are there; None where there are none, or a disk or another program has damaged them."""
    if not path.is_file():
        return None
    try:
        records = np.load(path, mmap_mode="r")
        if records.dtype == RECORD and records.ndim == 1:
            return records
    except Exception as error:  # NumPy raises many kinds for a broken header
        warnings.warn(f"{path} is damaged ({' '.join(str(error).split())}); it is made again.", stacklevel=3)
    return None


def _content_key(dataset: Dataset, taught: Taught | None) -> str:
    digest = hashlib.sha256(
        f"{VERSION} {RECORD} {dataset.fingerprint()} {dataset.selection.objects}".encode()
    )
    if taught is not None:
        digest.update(f"{sorted(taught.certified)} {sorted(taught.doubtful.items())}".encode())
    for stamp in dataset.frame_stamps():
        digest.update(f"{stamp}\n".encode())
    return digest.hexdigest()[:32]


def _build(
    dataset: Dataset,
    path: Path,
    options: CacheOptions,
    taught: Taught | None,
    on_frame: Callable[[], object],
) -> None:
    frame_ids, workers = dataset.frame_ids(), options.workers
    if (needed := len(frame_ids) * RECORD.itemsize) > options.budget_bytes:
        raise UsageError(
            f"{len(frame_ids)} frames need {needed / GIB:.3g} GiB of the cache's {options.budget_bytes / GIB:.3g}. "
            "Raise --cache-gb, or select fewer frames with --scenes, --frames or --limit."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = aside_of(path)
    try:
        # numpy's own header, so that the finished file is mapped and never read whole; its length is known at the end
        with part.open("wb") as file, ThreadPoolExecutor(workers) as pool:
            _write_header(file, len(frame_ids))
            count = 0
            for first in range(0, len(frame_ids), 4 * workers):
                some = frame_ids[first : first + 4 * workers]
                for record in pool.map(lambda frame_id: _record_of(dataset, frame_id, taught), some):
                    on_frame()
                    if record is not None:
                        file.write(record.tobytes())
                        count += 1
            file.seek(0)
            _write_header(file, count)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _write_header(file: BinaryIO, count: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(RECORD), "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(file, header)


def _record_of(dataset: Dataset, frame_id: FrameId, taught: Taught | None) -> np.ndarray | None:
    try:
        frame = dataset.load_frame(frame_id)
    except DataError as error:
        warnings.warn(f"{error} The frame is left out.", stacklevel=2)
        return None
    seen = grid_image(frame)
    rows, columns = seen.depth_m.shape
    record = np.zeros((), RECORD)
    record["instance"] = IGNORED
    instance = np.zeros((rows, columns), np.uint8)
    teaching = 0
    # regions hold an object and more: where it is within them is not known
    for one in frame.instances:
        known = taught is None or (*frame_id, one.key.inst_id) in taught.certified
        here = on_grid(one.mask, seen.step_px)
        if known and not one.region and teaching < MOST_INSTANCES:
            teaching += 1
            instance[here] = teaching
            record["obj_id"][teaching] = one.key.obj_id
        else:
            instance[here & (instance == 0)] = IGNORED
    if not teaching:
        return None
    step = seen.step_px
    for x, y, width, height in taught.doubtful.get(frame_id, ()) if taught is not None else ():
        box = instance[y // step : -(-(y + height) // step), x // step : -(-(x + width) // step)]
        box[box == 0] = IGNORED
    record["rgb"][:rows, :columns] = seen.rgb
    record["depth"][:rows, :columns] = np.minimum(seen.depth_m / DEPTH_UNIT_M, 65535)
    record["instance"][:rows, :columns] = instance
    record["focal_px"], record["shape"] = seen.focal_px, (rows, columns)
    return record
