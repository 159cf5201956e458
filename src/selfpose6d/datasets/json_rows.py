"""Reads a JSON list of objects one by one, by byte offset, so that no file is too large."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from selfpose6d.datasets.images import data_error

CHUNK_BYTES = 1 << 20
"""Read at once: some thousand rows with RLE masks, and little memory."""
_SEPARATORS = " \t\r\n,\xef\xbb\xbf"


class JsonRow(NamedTuple):
    """An object of the list and where its text lies in the file."""

    value: dict[str, Any]
    offset: int
    length: int


def iterate_rows(path: Path) -> Iterator[JsonRow]:
    """The objects of the list, in order; memory is that of the largest one.

    Raises:
        DataError: the file is unreadable, or not a JSON list of objects.
    """
    window = None
    try:
        # Latin-1 has one character a byte, so that positions are offsets; only ASCII fields are used.
        with path.open(encoding="latin-1", newline="") as file:
            window = _Window(file)
            if window.next_character() != "[":
                raise data_error(path, "not a JSON list of objects", "Pass a file of rows, as BOP has it.")
            window.position += 1
            while (character := window.next_character()) != "]":
                if character != "{":
                    raise ValueError(f"expected an object, got {character!r}")
                yield window.take_object()
    except ValueError as error:
        near = window.offset if window else 0
        raise data_error(path, f"broken JSON near byte {near} ({error})", "Export it again.") from None
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error


def first_character(path: Path) -> str:
    """The first character of the file's JSON, "" without any.

    Raises:
        DataError: the file is unreadable.
    """
    try:
        with path.open(encoding="latin-1", newline="") as file:
            return _Window(file).next_character()
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error


def read_row(path: Path, offset: int, length: int) -> dict[str, Any]:
    """One object again, by where it lies."""
    with path.open("rb") as file:
        file.seek(offset)
        return json.loads(file.read(length))


class _Window:
    """The part of the file that is in memory, and the position reached in it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._decoder = json.JSONDecoder()
        self._text, self._start = "", 0
        self.position = 0

    @property
    def offset(self) -> int:
        """The position in the file, bytes."""
        return self._start + self.position

    def next_character(self) -> str:
        """Step onto the next character that is no separator and return it; "" at the end of the file."""
        while self.position < len(self._text) or self._grow():
            if (character := self._text[self.position]) not in _SEPARATORS:
                return character
            self.position += 1
        return ""

    def take_object(self) -> JsonRow:
        """Decode the object at the position and step behind it.

        Raises:
            ValueError: it is broken or cut off.
        """
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self.position)
                break
            except json.JSONDecodeError:
                if not self._grow():
                    raise
        row = JsonRow(value, self.offset, end - self.position)
        self.position = end
        return row

    def _grow(self) -> bool:
        kept = self._text[self.position :]
        more = self._file.read(max(CHUNK_BYTES, len(kept)))
        self._start, self.position, self._text = self.offset, 0, kept + more
        return bool(more)
