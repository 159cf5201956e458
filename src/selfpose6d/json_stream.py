"""JSON files, one entry of the outermost list or object a line; written entry by entry, memory stays flat."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TextIO

from selfpose6d.files import replacing


class JsonEntries:
    """The entries of a list or object that is being written."""

    def __init__(self, file: TextIO, separator: str = ",\n") -> None:
        self._file, self._separator = file, separator
        self.count = 0

    def add(self, value: Any) -> None:
        """One more entry of a list."""
        self._write(json.dumps(value))

    def put(self, key: str, value: Any) -> None:
        """One more entry of an object."""
        self._write(f"{json.dumps(key)}: {json.dumps(value)}")

    def _write(self, text: str) -> None:
        self._file.write(self._separator + text if self.count else text)
        self.count += 1


def write_json(path: Path, content: dict[str, Any] | list[Any]) -> None:
    """Replace a JSON file by a list or an object that is at hand."""
    if isinstance(content, dict):
        with json_object(path) as entries:
            for key, value in content.items():
                entries.put(key, value)
    else:
        with json_list(path) as entries:
            for value in content:
                entries.add(value)


@contextmanager
def json_list(path: Path) -> Iterator[JsonEntries]:
    """A file with a list, which replaces `path` when the block ends well."""
    with _entries(path, "[]") as entries:
        yield entries


@contextmanager
def json_object(path: Path) -> Iterator[JsonEntries]:
    """A file with an object, which replaces `path` when the block ends well."""
    with _entries(path, "{}") as entries:
        yield entries


@contextmanager
def two_lists(
    path: Path, head: dict[str, Any], names: tuple[str, str]
) -> Iterator[tuple[JsonEntries, JsonEntries]]:
    """An object with the entries of `head` and two lists, which are written side by side; replaces `path` at the end.

    The second list waits in a temporary file.
    """
    with (
        replacing(path) as file,
        TemporaryFile("w+", encoding="utf-8", newline="\n", dir=path.parent) as later,
    ):
        file.writelines(
            ["{\n", *(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())]
        )
        file.write(f"{json.dumps(names[0])}: [")
        yield JsonEntries(file, ", "), JsonEntries(later, ", ")
        file.write(f"],\n{json.dumps(names[1])}: [")
        later.seek(0)
        shutil.copyfileobj(later, file)
        file.write("]\n}\n")


@contextmanager
def _entries(path: Path, brackets: str) -> Iterator[JsonEntries]:
    with replacing(path) as file:
        file.write(f"{brackets[0]}\n")
        yield JsonEntries(file)
        file.write(f"\n{brackets[1]}\n")
