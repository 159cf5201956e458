"""JSON files that any program can read: no NaN, errors with line numbers."""

import json
import math
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfpose6d.errors import DataError
from selfpose6d.files import naming, open_file, to_disk
from selfpose6d.json_files import parse_json


def to_line(row: dict[str, Any]) -> str:
    """One line of strict JSON with its line end; NaN and infinities become null."""
    return json.dumps(without_nan(row), allow_nan=False, separators=(", ", ": ")) + "\n"


def without_nan(value: Any) -> Any:
    """The same JSON value with null for every number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return value


def read_lines(path: Path, may_be_torn: bool = False) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name for messages (`FILE, line N`) and object of every line that is not blank.

    Args:
        path: the file.
        may_be_torn: it only grows, and a kill may have torn its last line: this one is then left out with a warning.

    Raises:
        DataError: the file is missing, or a line is not a JSON object.
    """
    try:
        with open_file(path) as file:
            for number, encoded in enumerate(file, start=1):
                if encoded.strip():
                    name = f"{path}, line {number}"
                    line = _text_of(encoded, name)
                    if may_be_torn and _is_torn(line):
                        warnings.warn(f"{name}: was not written whole and is left out.", stacklevel=2)
                        return
                    yield name, _parse(line, name)
    except FileNotFoundError:
        raise DataError(f"{path}: missing file. Run the command that writes it first.") from None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}. Check the path and its permissions.") from None


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add a line to a file that only grows; on disk when this returns.

    A torn last line is cut off first; a whole one that only lacks its line end, as editors leave it, gets it.
    """
    line = to_line(row).encode()
    path.touch()
    with naming(path), path.open("r+b") as file:
        content = file.read()
        end = content.rfind(b"\n") + 1
        if tail := content[end:]:
            file.seek(end)
            if tail.isspace() or _is_torn(tail.decode(errors="replace")):
                file.truncate()
            else:
                file.seek(0, os.SEEK_END)
                line = b"\n" + line
        file.write(line)
        to_disk(file)


def drop_last_line(path: Path) -> dict[str, Any] | None:
    """Cut the last object off a file that only grows and return it; None where there is none.

    Raises:
        DataError: a line is not a JSON object.
    """
    with path.open("r+b") as file:
        offset, start, row = 0, 0, None
        for number, line in enumerate(file, start=1):
            text = line.decode(errors="replace")
            if text.strip() and not _is_torn(text):
                start, row = offset, _parse(text, f"{path}, line {number}")
            offset += len(line)
        if row is not None:
            file.truncate(start)
            to_disk(file)
    return row


def _is_torn(line: str) -> bool:
    """Whether a kill cut it: no line end, and no whole JSON, which no proper beginning of an object is."""
    if line.endswith("\n"):
        return False
    try:
        parse_json(line)
    except ValueError:
        return True
    return False


def _text_of(encoded: bytes, name: str) -> str:
    try:
        return encoded.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: no UTF-8 text ({error}). Remove or restore the line.") from None


def _parse(line: str, name: str) -> dict[str, Any]:
    try:
        row = parse_json(line)
    except ValueError as error:
        raise DataError(f"{name}: broken JSON ({error}). Remove or restore the line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{name}: expected an object, got {str(row)[:60]}. Remove or restore the line.")
    return row
