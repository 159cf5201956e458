"""JSON files that any program can read: no NaN, errors with line numbers."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfpose6d.errors import DataError


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


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name for messages (`FILE, line N`) and object of every line that is not blank.

    Raises:
        DataError: the file is missing, or a line is not a JSON object.
    """
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    name = f"{path}, line {number}"
                    yield name, _parse(line, name)
    except FileNotFoundError:
        raise DataError(f"{path}: missing file. Run the command that writes it first.") from None


def _parse(line: str, name: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DataError(f"{name}: broken JSON ({error}). Remove or restore the line.") from None
    if not isinstance(row, dict):
        raise DataError(f"{name}: expected an object, got {row!r}. Remove or restore the line.")
    return row
