"""An append-only file with one line a frame, so that a long command can go on after a kill."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.files import naming, to_disk
from selfpose6d.json_files import parse_json
from selfpose6d.runs.frame_index import FrameIndex, leading_frame
from selfpose6d.runs.json_lines import to_line
from selfpose6d.selection import FrameId


@runtime_checkable
class FrameRecord(Protocol):
    """What is known of a frame; `error` where it could not be worked on."""

    @property
    def frame_id(self) -> FrameId: ...

    @property
    def error(self) -> str: ...

    def to_json(self) -> dict[str, Any]: ...


Record = TypeVar("Record", bound=FrameRecord)
_MAY_HAVE_FAILED = re.compile(rb'"error": *[^" ]|"error": *"[^"]')
"""In a line: only then it is parsed to know. Inside of texts the quotes are escaped."""


class FrameLines(Generic[Record]):
    """The file only grows; in memory is every `frame_index.BLOCK`-th frame, and which could not be worked on.

    A last line that a kill tore is dropped; a frame that is added again replaces its earlier record.
    """

    def __init__(self, path: Path, parse: Callable[[dict[str, Any]], Record]) -> None:
        """Open or create the file; drops a torn last line. Lines are parsed when their records are asked for.

        Raises:
            DataError: a line before the last is no record.
        """
        self.path = path
        self._parse = parse
        self._index = FrameIndex(path, self._frame_of)
        self._failed: set[FrameId] = set()
        if path.is_symlink() or path.exists():
            if not path.is_file():
                raise DataError(f"{path}: not a file. Remove it, or choose another --out.")
        else:
            path.touch()
        offset = 0
        with path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(offset)
                    break
                self._note(self._frame_of(line), self._says_error(line), offset)
                offset += len(line)

    def __contains__(self, frame_id: FrameId) -> bool:
        """Whether the frame is finished; one that could not be worked on is not."""
        return frame_id not in self._failed and frame_id in self._index

    def __len__(self) -> int:
        return len(self._index) - len(self._failed)

    @property
    def num_seen(self) -> int:
        """Frames that have a line, also those that could not be worked on."""
        return len(self._index)

    def has_seen(self, frame_id: FrameId) -> bool:
        """Whether the frame has a line, finished or not."""
        return frame_id in self._index

    def append(self, record: Record) -> None:
        """Add a frame; once this returns, a kill does not lose it."""
        line = to_line(record.to_json()).encode()
        with naming(self.path), self.path.open("ab") as file:
            offset = file.tell()
            file.write(line)
        self._note(record.frame_id, bool(record.error), offset)

    def take_over(self, lines: Iterable[bytes]) -> int:
        """Add lines of other files as they are, those of frames that are not finished here; gives their number.

        They are on disk when this returns.

        Raises:
            DataError: one is no record.
        """
        added = 0
        with naming(self.path), self.path.open("ab") as file:
            for line in lines:
                frame_id, failed = self._frame_of(line), self._says_error(line)
                if not self._index.is_behind(frame_id):
                    file.flush()  # a look-up reads the file
                    if frame_id in self or (failed and frame_id in self._index):
                        continue
                offset = file.tell()
                file.write(line)
                self._note(frame_id, failed, offset)
                added += 1
            to_disk(file)
        return added

    def records(self) -> Iterator[Record]:
        """The last record of every frame, sorted by frame, one in memory at a time.

        Raises:
            DataError: a line is no record.
        """
        with self.path.open("rb") as file:
            for _, offset in self._index.offsets():
                if file.tell() != offset:  # a seek throws away what was read ahead
                    file.seek(offset)
                yield self._read(file.readline())

    def _note(self, frame_id: FrameId, failed: bool, offset: int) -> None:
        self._index.note(frame_id, offset)
        (self._failed.add if failed else self._failed.discard)(frame_id)

    def _says_error(self, line: bytes) -> bool:
        return _MAY_HAVE_FAILED.search(line) is not None and bool(self._read(line).error)

    def _frame_of(self, line: bytes) -> FrameId:
        return leading_frame(line) or self._read(line).frame_id

    def _read(self, line: bytes) -> Record:
        try:
            return self._parse(parse_json(line))
        except MALFORMED as error:
            raise DataError(
                f"{self.path}: broken line ({error!r}). Remove that line; its frame is done again."
            ) from None
