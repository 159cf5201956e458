"""Where the instance masks of a frame come from, behind one interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool

from selfpose6d.datasets.file_cache import FileCache
from selfpose6d.datasets.images import read_labels, require_shape
from selfpose6d.datasets.inputs import FrameInput, InputFile, image_path
from selfpose6d.selection import FrameId

REMEDY_NO_INSTANCE = "Correct the masks, their names and object ids, or the options that select objects."


def no_instance(num_frames: int) -> str:
    """What is said of frames in which not one instance can be used."""
    return f"not one usable instance in {num_frames} frame{'' if num_frames == 1 else 's'}"


class MaskEntry(NamedTuple):
    """An instance that a mask source lists, before its mask is read."""

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

    @abstractmethod
    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """All that a frame's masks and ids are read from, but for what is in `content_key`; see `Dataset.frame_inputs`.

        Opens no image, raises nothing: where the entries cannot be read, the reason is a value.
        """

    def is_region(self, frame_id: FrameId, entry: MaskEntry) -> bool:
        """Whether the mask is a region that holds the object, not its outline."""
        return False

    def content_key(self) -> str:
        """What the ids depend on beside the image files, for fingerprints."""
        return ""


class NoMasks(MaskSource):
    """Frames without instances, whatever masks the data set has: objects are to be found in them."""

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """None."""
        return ()

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """There is none to load."""
        raise LookupError(f"{frame_id}: no instances, so no {entry}")

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """None."""
        return ()


class LabelImageMasks(MaskSource):
    """Label images: the value of an instance is its object id, and the `inst_id` as well; 0 is background."""

    def __init__(
        self,
        image_of: Callable[[FrameId], InputFile],
        ids_of: Callable[[FrameId], Iterable[int]] | None = None,
    ) -> None:
        """`image_of` names a frame's image; `ids_of` lists its instances by files that the data set names among its
        `image_inputs`, None: by the values of the image.
        """
        self._image_of, self._ids_of = image_of, ids_of
        self._labels = FileCache(read_labels)

    def entries(self, frame_id: FrameId) -> Sequence[MaskEntry]:
        """One entry for every label of the frame."""
        ids = self._ids_of(frame_id) if self._ids_of else np.unique(self._labels.get(self._path(frame_id)))
        return [MaskEntry(int(value), int(value)) for value in ids if value > 0]

    def load(self, frame_id: FrameId, entry: MaskEntry, shape: tuple[int, int]) -> Bool[np.ndarray, "h w"]:
        """The pixels of the instance's label."""
        path = self._path(frame_id)
        return require_shape(self._labels.get(path), shape, path) == entry.inst_id

    def inputs(self, frame_id: FrameId) -> Iterable[FrameInput]:
        """The label image."""
        return (self._image_of(frame_id),)

    def _path(self, frame_id: FrameId) -> Path:
        return image_path(self._image_of(frame_id))
