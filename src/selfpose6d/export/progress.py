"""What an export has written, so that a killed one goes on, and what a finished one was made of."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
MODELS = "models"
"""In a split's record: the hash of each object's mesh."""
REMOVING = "removing"
"""In the record of a split whose files are being removed."""


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
        return vars(self) | {"frame_id": list(self.frame_id)}

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


def current_models(root: Path, split: str, models: Mapping[str, str], anew: bool = False) -> set[int]:
    """The objects whose meshes in the folder are those of `models` (`export.models.model_hashes`): other splits say so.

    What an earlier version exported does not say its meshes: they are taken to be these. `anew`: only those, the
    others are to be written once more.

    Raises:
        UsageError: another split there was exported with another mesh of an object, which is named.
    """
    done, current = read_records(root), set()
    started = {path.name[len(".export-") : -len(".json")] for path in root.glob(".export-*.json")}
    for other in sorted({*done, *started} - {split}):
        record = _record_there(root, other, done) or {}
        if REMOVING in record:
            continue
        there = record.get(MODELS)
        changed = [obj_id for obj_id, digest in (there or {}).items() if models.get(obj_id, digest) != digest]
        if changed:
            raise UsageError(
                f"{root} holds the split {other}, exported with another mesh (or another models_info.json) of object "
                f"{', '.join(changed)} than there is now, and splits share their meshes. Choose another --to."
            )
        if other in done and (there is None or not anew):
            current |= {int(obj_id) for obj_id in (models if there is None else there)}
    return current


def is_being_removed(root: Path, split: str) -> bool:
    """Whether an `export --overwrite` was stopped while it removed the split.

    Raises:
        UsageError: the record of what was exported is broken.
    """
    return REMOVING in (_record_there(root, split, read_records(root)) or {})


def forget_split(
    root: Path, split: str, record: dict[str, Any], outputs_of: Callable[[str], Iterable[Path]]
) -> None:
    """Remove a split that is finished, or was made from another record; anything else in the folder stays.

    An unfinished one of the same record goes on. The removal is recorded before it begins: who is stopped meanwhile
    leaves no split that counts as finished. `outputs_of` gives what a split of a format consists of.

    Raises:
        UsageError: the record of what was exported is broken.
    """
    done, started = read_records(root), _started(root, split)
    there = _record_there(root, split, done)
    if there is None or not (split in done or REMOVING in there or _differences(there, record)):
        return
    write_json(started, there | {REMOVING: True})
    if split in done:
        write_json(root / RECORD_NAME, {name: entry for name, entry in done.items() if name != split})
    for path in outputs_of(there["format"]):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    _lines(root, split).unlink(missing_ok=True)
    write_json(started, record)


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
    names = [name for name in now if name != MODELS and there.get(name) != now[name]]
    said = [f"{name} is {there.get(name)} there, {now[name]} now" for name in names]
    old, new = there.get(MODELS), now[MODELS]
    if old is not None and old != new:  # an earlier version did not write it
        changed = sorted((i for i in {*old, *new} if old.get(i) != new.get(i)), key=int)
        said.append(f"the meshes or models_info.json of object {', '.join(changed)} differ")
    return "; ".join(said)
