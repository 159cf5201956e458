"""What an export has written, so that a killed one goes on, and what a finished one was made of."""

import hashlib
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfpose6d.errors import MALFORMED, UsageError
from selfpose6d.files import content_hash
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import write_json
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.frame_lines import FrameLines
from selfpose6d.runs.in_use import LOCK_NAMES
from selfpose6d.selection import FrameId

RECORD_NAME = "export.json"
"""In the exported folder: what each split was made of."""


@dataclass(frozen=True)
class FrameRow:
    """One frame that was exported: what the closing files need of it, and the instances without a label.

    With `error` it could not be read; without a row it was left out.
    """

    frame_id: FrameId
    row: dict[str, Any] | None = None
    missing: tuple[dict[str, Any], ...] = ()
    poses: int = 0
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line as an object."""
        return asdict(self) | {"frame_id": list(self.frame_id)}

    @classmethod
    def of_json(cls, line: dict[str, Any]) -> "FrameRow":
        """The object of a line."""
        return cls(
            FrameId(*line["frame_id"]), line["row"], tuple(line["missing"]), line["poses"], line["error"]
        )


def open_progress(root: Path, split: str, record: dict[str, Any]) -> FrameLines[FrameRow] | None:
    """The frames that an export of this record has finished; None where all of it is finished.

    Raises:
        UsageError: the folder is a file, holds something else, or the split was exported from other labels or with
            other options; each is named.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"--to {root} is a file, expected a folder. Choose another --to.")
    done = read_records(root)
    others = root.iterdir() if root.is_dir() else ()
    if any(path.name not in LOCK_NAMES for path in others) and not (done or any(root.glob(".export-*.json"))):
        raise UsageError(f"--to {root} is not empty and was not made by export. Choose another --to.")
    formats = [entry["format"] for entry in done.values()]
    there = _record_there(root, split, done)
    if there is None and any(name != record["format"] for name in formats):
        raise UsageError(
            f"{root} holds an export of format {formats[0]}, got {record['format']}. Choose another --to."
        )
    if there is not None and (different := _differences(there, record)):
        raise UsageError(
            f"{root} has a split {split} that was made otherwise: {different}. Choose another --to, or export the "
            "split anew with --overwrite."
        )
    if split in done:
        _remove_notes(root, split)  # a kill came between
        return None
    root.mkdir(parents=True, exist_ok=True)
    write_json(_started(root, split), record)
    return FrameLines(_lines(root, split), FrameRow.of_json)


def forget_split(root: Path, split: str, record: dict[str, Any], outputs: Iterable[Path]) -> None:
    """Remove a split that was made from another record, finished or not; anything else in the folder stays.

    Raises:
        UsageError: the record of what was exported is broken.
    """
    done, started = read_records(root), _started(root, split)
    there = _record_there(root, split, done)
    if there is None or not _differences(there, record):
        return
    for path in outputs:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    _lines(root, split).unlink(missing_ok=True)
    started.unlink(missing_ok=True)
    if split in done:
        write_json(started, record)  # so that the folder is known to be an export's
        write_json(root / RECORD_NAME, {name: entry for name, entry in done.items() if name != split})


def close_progress(root: Path, split: str, record: dict[str, Any]) -> None:
    """Note that a split is finished."""
    write_json(root / RECORD_NAME, read_records(root) | {split: record})
    _remove_notes(root, split)


def read_records(root: Path) -> dict[str, Any]:
    """What each finished split was made of; empty without any.

    Raises:
        UsageError: the file is broken.
    """
    path = root / RECORD_NAME
    if not path.is_file():
        return {}
    try:
        records = read_json(path)
        return {str(split): dict(record) for split, record in records.items()}
    except (OSError, *MALFORMED) as error:
        raise UsageError(f"{path} is broken ({error}). Choose another --to.") from None


def labels_hash(run: Path) -> str:
    """What tells a run's labels and their review from others."""
    files = RunFiles(run)
    paths = (files.certificates, files.skipped, files.review)
    hashes = " ".join(content_hash(path) if path.is_file() else "-" for path in paths)
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def _record_there(root: Path, split: str, done: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the split is made of, finished or not; None where nothing of it is there."""
    started = _started(root, split)
    if split not in done and started.is_file():
        try:
            return dict(read_json(started))
        except (OSError, *MALFORMED) as error:
            raise UsageError(f"{started} is broken ({error}). Choose another --to.") from None
    return done.get(split)


def _remove_notes(root: Path, split: str) -> None:
    """What only an unfinished export needs."""
    _lines(root, split).unlink(missing_ok=True)
    _started(root, split).unlink(missing_ok=True)


def _lines(root: Path, split: str) -> Path:
    return root / f".export-{split}.jsonl"


def _started(root: Path, split: str) -> Path:
    return root / f".export-{split}.json"


def _differences(there: dict[str, Any], now: dict[str, Any]) -> str:
    names = [name for name in now if there.get(name) != now[name]]
    return "; ".join(f"{name} is {there.get(name)} there, {now[name]} now" for name in names)
