"""An append-only file with one line a frame, so that a long command can go on after a kill."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from selfpose6d.errors import DataError
from selfpose6d.files import naming
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


class FrameLines(Generic[Record]):
    """The file only grows; in memory are the frames' ids and where their lines begin.

    A last line that a kill tore is dropped; a frame that is added again replaces its earlier record.
    """

    def __init__(self, path: Path, parse: Callable[[dict[str, Any]], Record]) -> None:
        """Open or create the file; drops a torn last line.

        Raises:
            DataError: a line before the last is broken.
        """
        self.path = path
        self._parse = parse
        self._offsets: dict[FrameId, int] = {}
        self._failed: set[FrameId] = set()
        path.touch()
        offset = 0
        with path.open("r+b") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(offset)
                    break
                self._note(self._read(line), offset)
                offset += len(line)

    def __contains__(self, frame_id: FrameId) -> bool:
        """Whether the frame is finished; one that could not be worked on is not."""
        return frame_id in self._offsets and frame_id not in self._failed

    def __len__(self) -> int:
        return len(self._offsets) - len(self._failed)

    def append(self, record: Record) -> None:
        """Add a frame; once this returns, a kill does not lose it."""
        line = to_line(record.to_json()).encode()
        with naming(self.path), self.path.open("ab") as file:
            offset = file.tell()
            file.write(line)
        self._note(record, offset)

    def records(self) -> Iterator[Record]:
        """The last record of every frame, sorted by frame, one in memory at a time."""
        with self.path.open("rb") as file:
            for frame_id in sorted(self._offsets):
                file.seek(self._offsets[frame_id])
                yield self._read(file.readline())

    def _note(self, record: Record, offset: int) -> None:
        self._offsets[record.frame_id] = offset
        (self._failed.add if record.error else self._failed.discard)(record.frame_id)

    def _read(self, line: bytes) -> Record:
        try:
            return self._parse(json.loads(line))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{self.path}: broken line ({error!r}). Remove that line; its frame is done again."
            ) from None
