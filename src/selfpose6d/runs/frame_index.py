"""Where each frame's line begins in a file of one line a frame; memory stays flat however long the file grows."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from heapq import merge
from pathlib import Path
from typing import BinaryIO

from selfpose6d.selection import FrameId

BLOCK = 256
"""Frames between two that are remembered: a look-up reads that many lines, a million frames take a megabyte."""
_FRAME = re.compile(rb'\{"frame(?:_id)?": \[(-?\d+), (-?\d+)\]')
"""What a line begins with, as we write it; with other spaces the whole line is parsed."""

FrameOf = Callable[[bytes], FrameId]


def leading_frame(line: bytes) -> FrameId | None:
    """The frame that a line begins with, without parsing the rest; None where it begins otherwise."""
    match = _FRAME.match(line)
    return FrameId(int(match[1]), int(match[2])) if match else None


class FrameIndex:
    """The last line of each frame.

    Commands work through frames in order, so the file is one ascending sequence: of it every `BLOCK`-th frame is
    remembered. Lines of earlier frames (tried again, or from other workers) stand between; each is remembered.
    """

    def __init__(self, path: Path, frame_of: FrameOf) -> None:
        """`frame_of` reads a line's frame."""
        self._path, self._frame_of = path, frame_of
        self._firsts: list[FrameId] = []
        self._begins = array("q")
        self._ascending = 0
        self._last: FrameId | None = None
        self._others: dict[FrameId, int] = {}
        self._replaced = 0
        self._block: tuple[int, int, dict[FrameId, int]] = (-1, 0, {})

    def __len__(self) -> int:
        return self._ascending + len(self._others) - self._replaced

    def __contains__(self, frame_id: FrameId) -> bool:
        return frame_id in self._others or self._in_sequence(frame_id)

    def is_behind(self, frame_id: FrameId) -> bool:
        """Whether the frame comes after all that were noted, and so is not among them."""
        return self._last is None or frame_id > self._last

    def note(self, frame_id: FrameId, offset: int) -> None:
        """A line of the frame begins there, behind all lines noted before."""
        if self.is_behind(frame_id):
            if self._ascending % BLOCK == 0:
                self._firsts.append(frame_id)
                self._begins.append(offset)
            self._ascending += 1
            self._last = frame_id
            return
        if frame_id not in self._others:
            self._replaced += self._in_sequence(frame_id)
        self._others[frame_id] = offset

    def offsets(self) -> Iterator[tuple[FrameId, int]]:
        """Each frame with where its last line begins, sorted by frame."""
        others = iter(sorted(self._others.items()))
        for frame_id, offset in merge(self._sequence(), others):
            if frame_id not in self._others or self._others[frame_id] == offset:
                yield frame_id, offset

    def _sequence(self) -> Iterator[tuple[FrameId, int]]:
        for number in range(len(self._firsts)):
            yield from self._lines_of(number).items()

    def _in_sequence(self, frame_id: FrameId) -> bool:
        number = bisect_right(self._firsts, frame_id) - 1
        return number >= 0 and not self.is_behind(frame_id) and frame_id in self._lines_of(number)

    def _lines_of(self, number: int) -> dict[FrameId, int]:
        """Frames of a block and their offsets; the block that was read last is kept."""
        size = min(BLOCK, self._ascending - number * BLOCK)
        if self._block[:2] != (number, size):
            with self._path.open("rb") as file:
                self._block = (number, size, self._read(file, number, size))
        return self._block[2]

    def _read(self, file: BinaryIO, number: int, size: int) -> dict[FrameId, int]:
        offset, last, found = self._begins[number], None, {}
        file.seek(offset)
        for line in file:
            frame_id = self._frame_of(line)
            if last is None or frame_id > last:
                found[frame_id] = offset
                last = frame_id
            if len(found) == size:
                break
            offset += len(line)
        return found
