"""What a frame is read from, and whether that has changed: files by size and time, values by themselves."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from selfpose6d.datasets.images import SUFFIXES, cased
from selfpose6d.selection import FrameId

DIGITS = (6, 4, 5, 8, 3, 1)
"""Of a number in file names: BOP's first."""


@dataclass(frozen=True)
class ImageNames:
    """The names that an image may have: its stem with every suffix in every case; made when asked for."""

    stem: str
    suffixes: tuple[str, ...] = SUFFIXES

    def __iter__(self) -> Iterator[str]:
        return map(self.stem.__add__, _cased(self.suffixes))


@dataclass(frozen=True)
class NumberedNames:
    """The names that an image may have that goes by its number, or by several (`000001_000000`)."""

    numbers: tuple[int, ...]
    suffixes: tuple[str, ...] = SUFFIXES

    def __iter__(self) -> Iterator[str]:
        for digits in DIGITS:
            stem = "_".join([f"{number:0{digits}d}" for number in self.numbers])
            for suffix in _cased(self.suffixes):
                yield stem + suffix


class InputFile(NamedTuple):
    """A file of a frame: the first of `names` that is in the folder is read."""

    folder: Path
    names: Iterable[str]


FrameInput = InputFile | str
"""A file of the frame's own, or a value that it has from a file of many frames (its camera, an object id)."""


def image_input(folder: Path, stem: str, suffixes: tuple[str, ...] = SUFFIXES) -> InputFile:
    """An image by its name without suffix; a suffix in any case is one."""
    return InputFile(folder, ImageNames(stem, suffixes))


def numbered_input(folder: Path, *numbers: int, suffixes: tuple[str, ...] = SUFFIXES) -> InputFile:
    """An image by its numbers, of six digits as BOP has it, or of other widths."""
    return InputFile(folder, NumberedNames(numbers, suffixes))


@cache
def _cased(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cased(suffixes))


def image_path(image: InputFile) -> Path:
    """The file that is read; the first of the names where there is none."""
    paths = (image.folder / name for name in image.names)
    return next((path for path in paths if _is_file(path)), image.folder / next(iter(image.names)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered: opening the file says so
        return False


def frame_stamps(root: Path, inputs: Iterable[tuple[FrameId, Iterable[FrameInput]]]) -> Iterator[str]:
    """A line for each frame, another one as soon as anything that it is read from changes; frames come scene by scene.

    Files count by folder (as seen from the data set's root), name, size and modification time, so a file that is
    replaced by one of the same size *and* time goes unseen, as it does for `rsync` and `make`. Every folder is
    listed once, every file looked at once (`os.stat`); no image is opened.
    """
    for _, frames in groupby(inputs, key=lambda frame: frame[0].scene_id):
        folders = _Folders(root)  # a scene's alone: the listings of all would take much memory
        for frame_id, of_frame in frames:
            yield f"{tuple(frame_id)} {' '.join(folders.stamps(of_frame))}"


class _Folders:
    """Listed folders, by path: their files by name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[Path, tuple[str, dict[str, os.DirEntry[str]]]] = {}

    def stamps(self, inputs: Iterable[FrameInput]) -> Iterator[str]:
        """One word for each input."""
        return (part if isinstance(part, str) else self._stamp(part) for part in inputs)

    def _stamp(self, file: InputFile) -> str:
        if file.folder not in self._listed:
            self._listed[file.folder] = self._name(file.folder), _list_files(file.folder)
        folder, entries = self._listed[file.folder]
        for name in file.names:
            # `is_file` costs a look at a link only, and what it saw serves `stat`
            if (entry := entries.get(name)) is not None and (found := _stat_of_file(entry)) is not None:
                return f"{folder}/{name}:{found.st_size}:{found.st_mtime_ns}"
        return f"{folder}/{next(iter(file.names))}:missing"

    def _name(self, folder: Path) -> str:
        return str(folder.relative_to(self._root) if folder.is_relative_to(self._root) else folder)


def _stat_of_file(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat() if entry.is_file() else None
    except OSError:  # a link that leads to itself
        return None


def _list_files(folder: Path) -> dict[str, os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name: entry for entry in entries}
    except OSError:  # what is missing or forbidden is so for whoever reads it, too
        return {}
