"""Where the instance masks of a frame come from, behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.images import read_labels, require_shape
from selfpose6d.selection import FrameId


class MaskEntry(NamedTuple):
    """An instance that a mask source knows of, before its mask is read."""

    obj_id: int
    inst_id: int


class MaskSource(ABC):
    """Instances of a frame and their visible masks."""

    @abstractmethod
    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """The instances of a frame.

        Raises:
            DataError: the file that lists them is missing or unreadable.
        """

    @abstractmethod
    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The visible mask of one instance, of the image's `shape` (height, width).

        Raises:
            DataError: there is no mask, it is unreadable, or of another size.
        """

    def content_key(self) -> str:
        """What the ids depend on beside the image files, for fingerprints."""
        return ""


class LabelImage:
    """Reads label images; keeps the last one, as all instances of a frame share it. Safe among threads."""

    def __init__(self) -> None:
        self._last: tuple[Path | None, np.ndarray] = (None, np.zeros((0, 0), np.uint8))

    def read(self, path: Path) -> np.ndarray:
        """The label image at `path`.

        Raises:
            DataError: the file is missing or unreadable.
        """
        last_path, labels = self._last
        if path != last_path:
            labels = read_labels(path)
            self._last = path, labels
        return labels

    def mask(self, path: Path, value: int, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The pixels with label `value`.

        Raises:
            DataError: the file is missing, unreadable, or not of `shape`.
        """
        return require_shape(self.read(path), shape, path) == value
