"""Reads the objects of a JSON list, or of lines of JSON, one by one, by byte offset, so that no file is too large."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from selfpose6d.datasets.images import data_error
from selfpose6d.errors import MALFORMED
from selfpose6d.files import open_file
from selfpose6d.json_files import GZIP, once, parse_json

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
        with _open(path) as file:
            window = _Window(file)
            closing = {"[": "]", "{": ""}.get(window.next_character())
            if closing is None:
                raise data_error(path, _other_kind(path), "Pass a file of rows, as BOP has it.")
            window.position += bool(closing)
            while (character := window.next_character()) != closing:
                if character != "{":
                    raise ValueError(f"expected an object, got {character!r}")
                yield window.take_object()
    except (ValueError, RecursionError) as error:
        near = window.offset if window else 0
        raise data_error(path, f"broken JSON near byte {near} ({error})", "Export it again.") from None
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error


def is_one_object(path: Path) -> bool:
    """Whether the file's JSON is one object: neither a list nor rows that follow each other, one a line.

    Raises:
        DataError: the file is unreadable.
    """
    try:
        with _open(path) as file:
            window = _Window(file)
            if window.next_character() != "{":
                return False
            line = window.rest_of_line()
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error

    try:
        return "image_id" not in parse_json(line)  # a whole row, which no COCO file is
    except ValueError:
        return True


def is_utf8(path: Path) -> bool:
    """Whether the file's text has one byte a character where it is ASCII, as rows that are read one by one must have.

    Raises:
        DataError: the file is unreadable.
    """
    try:
        with open_file(path) as file:
            return json.detect_encoding(file.read(4)).startswith("utf-8")
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error


def read_row(path: Path, offset: int, length: int) -> dict[str, Any]:
    """One object again, by where it lies.

    Raises:
        DataError: the file has changed since.
    """
    try:
        with open_file(path) as file:
            file.seek(offset)
            return dict(parse_json(file.read(length)))
    except (OSError, *MALFORMED) as error:
        raise data_error(path, f"it changed while it was read ({error})", "Start again.") from None


def _open(path: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_file(path), encoding="latin-1", newline="")


def _other_kind(path: Path) -> str:
    with open_file(path) as file:
        head = file.read(CHUNK_BYTES)
    if head.startswith(GZIP):
        return "compressed (gzip); it is read unpacked only"
    return "not a JSON list of objects" if head.strip() else "it is empty"


class _Window:
    """The part of the file that is in memory, and the position reached in it."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self._file = file
        self._decoder = json.JSONDecoder(object_pairs_hook=once)
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

    def rest_of_line(self) -> str:
        """From the position to the end of its line, or as much of it as one read gives."""
        return self._text[self.position :].partition("\n")[0]

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
