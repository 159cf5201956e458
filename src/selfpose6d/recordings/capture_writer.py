"""A capture folder that appears when it is complete: written aside, gone on with after a kill, then renamed."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.files import (
    content_hash,
    naming,
    remove_stale,
    replacing,
    sync_folder,
    whole_lines,
    write_whole,
)
from selfpose6d.json_files import parse_json, read_json
from selfpose6d.json_stream import write_json
from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.runs.in_use import claimed, lock_beside, owner_file_of
from selfpose6d.runs.json_lines import to_line

RECORD_NAME = "recording.json"
"""Where each frame came from."""
_PROGRESS_NAME = ".import.jsonl"
"""In the folder aside: what the frames are made of, then a line for each that is finished."""


@dataclass(frozen=True)
class NewCapture:
    """A capture folder that is being written, or one that was complete already."""

    folder: Path
    made_from: str | None
    """What tells this recording and these options from others; None: of a live camera."""
    is_complete: bool = False
    finished: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """What an earlier call noted of the frames that it finished, by their images' name without suffix."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, stem: str, entry: dict[str, Any]) -> None:
        """A frame's images are written; a kill does not lose them from here on. From any thread."""
        if self.made_from is None:
            return
        path = self.folder / _PROGRESS_NAME
        with self._lock, naming(path), path.open("a", encoding="utf-8") as file:
            file.write(to_line({"frame": stem, **entry}))


@contextmanager
def new_capture(out: Path, made_from: str | None) -> Iterator[NewCapture]:
    """A folder to write into that becomes `out` when the block ends well.

    Stopped midway, it stays aside, and an import of the same goes on in it; what is wrong with a recording leaves
    nothing. Where `out` was made of the same, that is what is given.

    Raises:
        UsageError: `out` is there and holds something else, or is a mount point; another process writes it.
    """
    if _is_made_from(out, made_from):
        lock = lock_beside(out)  # one that was killed at its very end has left it
        was_left = lock.exists() or owner_file_of(lock).exists()
        with claimed(lock, f"folder {out}", "OUT") if was_left else nullcontext():
            yield NewCapture(out, made_from, True, _read_record(out).get("frames", {}))
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty. Choose another OUT, or remove it first.")
    if os.path.ismount(out):
        raise UsageError(
            f"{out} is a mount point, which no finished folder can replace. Choose a folder inside it."
        )
    out = out.resolve()  # the folder beside it is on the same disk, also where `out` is a link or "."
    with claimed(lock_beside(out), f"folder {out}", "OUT"):
        aside = out.with_name(f".{out.name}.part")
        capture = _aside(aside, made_from)
        try:
            yield capture
        except SelfPose6DError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        except BaseException:
            if made_from is None:
                shutil.rmtree(aside, ignore_errors=True)
            raise
        _put_in_place(aside, out)


def source_hash(source: Path, options: RecordingOptions) -> str:
    """What tells a recording and how it is read from others: names, sizes and times of its files, every option."""
    digest = hashlib.sha256(f"{source.resolve()} {_plain(options)}".encode())
    paths = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    if options.depth is not None:
        depth = options.depth
        paths += sorted(depth.rglob("*")) if depth.is_dir() else [depth] if depth.exists() else []
    for path in paths:
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    for path in (options.camera, options.depth_camera, options.extrinsics):
        if path is not None and path.is_file():
            digest.update(content_hash(path).encode())
    return digest.hexdigest()[:16]


def write_image(folder: Path, name: str, content: bytes) -> None:
    """One image's file, and its folder."""
    folder.mkdir(exist_ok=True)
    with naming(folder / name):
        (folder / name).write_bytes(content)


def write_camera(folder: Path, K: Float[np.ndarray, "3 3"], size: tuple[int, int], unit_m: float) -> None:
    """`camera.json`, as capture folders and BOP have it."""
    scale = round(unit_m / METRES_PER_MM, 9)
    write_json(
        folder / "camera.json",
        {"cam_K": K.ravel().tolist(), "depth_scale": scale, "width": size[0], "height": size[1]},
    )


def write_record(folder: Path, source: dict[str, Any], frames: dict[str, dict[str, Any]]) -> None:
    """`recording.json`: of the whole, and one line a frame, by its images' name without suffix. Written last."""
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(frames.items()))
    head = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in source.items())
    with replacing(folder / RECORD_NAME) as file:
        file.write(f'{{\n{head},\n"frames": {{\n{lines}\n}}\n}}\n')


def _plain(options: RecordingOptions) -> str:
    return json.dumps(asdict(options), default=str, sort_keys=True)


def _aside(aside: Path, made_from: str | None) -> NewCapture:
    """The folder aside, with what is finished in it where it was begun from the same; else a new one."""
    remove_stale(aside)
    if _is_made_from(aside, made_from):
        return NewCapture(aside, made_from, True, _read_record(aside).get("frames", {}))
    progress = aside / _PROGRESS_NAME
    rows = _read_progress(progress)
    if made_from is not None and rows and rows[0] == {"made_from": made_from}:
        return NewCapture(aside, made_from, False, {row.pop("frame"): row for row in rows[1:]})
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    if made_from is not None:
        write_whole(progress, to_line({"made_from": made_from}).encode())
    return NewCapture(aside, made_from)


def _read_progress(path: Path) -> list[dict[str, Any]]:
    """The lines that were written whole; what a kill left of another one is cut off."""
    if not path.is_file():
        return []
    try:
        return [parse_json(line) for line in whole_lines(path)]
    except ValueError:
        return []


def _put_in_place(aside: Path, out: Path) -> None:
    (aside / _PROGRESS_NAME).unlink(missing_ok=True)
    if hasattr(os, "sync"):
        os.sync()  # the images are on disk before their folder has its name
    if out.is_dir():
        out.rmdir()
    os.replace(aside, out)
    sync_folder(out.parent)


def _is_made_from(folder: Path, made_from: str | None) -> bool:
    return made_from is not None and _read_record(folder).get("made_from") == made_from


def _read_record(folder: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        record = read_json(folder / RECORD_NAME)
        return record if isinstance(record, dict) else {}
    return {}
