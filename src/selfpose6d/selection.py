"""Which part of a data set a command works on: `--scenes --frames --objects --limit --sensor`."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import NamedTuple, TypeVar, overload

from selfpose6d.errors import UsageError
from selfpose6d.options import Several, Unset


class FrameId(NamedTuple):
    """What identifies an image within a split; sorts by scene, then image."""

    scene_id: int
    im_id: int


class FrameIds(Sequence[FrameId]):
    """Frames sorted by scene and image: 8 bytes each in memory, none where a scene's images are numbered without gaps.

    Equal to any sequence of the same frames.
    """

    def __init__(self, frame_ids: Iterable[FrameId]) -> None:
        """`frame_ids` come sorted; they are read once."""
        self._scene_ids: list[int] = []
        self._images: list[Sequence[int]] = []
        self._starts = [0]
        for scene_id, frames in groupby(frame_ids, key=lambda frame_id: frame_id.scene_id):
            images = _compact(array("q", (frame_id.im_id for frame_id in frames)))
            self._scene_ids.append(scene_id)
            self._images.append(images)
            self._starts.append(self._starts[-1] + len(images))

    def __len__(self) -> int:
        return self._starts[-1]

    def __iter__(self) -> Iterator[FrameId]:
        for scene_id, images in self.by_scene():
            for im_id in images:
                yield FrameId(scene_id, im_id)

    @overload
    def __getitem__(self, index: int) -> FrameId: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[FrameId]: ...
    def __getitem__(self, index: int | slice) -> FrameId | Sequence[FrameId]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        scene = bisect_right(self._starts, position) - 1
        return FrameId(self._scene_ids[scene], self._images[scene][position - self._starts[scene]])

    def __contains__(self, frame_id: object) -> bool:
        if not (isinstance(frame_id, tuple) and len(frame_id) == 2):
            return False
        scene = bisect_left(self._scene_ids, frame_id[0])
        if scene == len(self._scene_ids) or self._scene_ids[scene] != frame_id[0]:
            return False
        images = self._images[scene]
        place = bisect_left(images, frame_id[1])
        return place < len(images) and images[place] == frame_id[1]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __repr__(self) -> str:
        return f"FrameIds({len(self)} frames in {len(self._scene_ids)} scenes)"

    def by_scene(self) -> Iterator[tuple[int, Sequence[int]]]:
        """Each scene with its images."""
        return zip(self._scene_ids, self._images, strict=True)


def _compact(images: "array[int]") -> Sequence[int]:
    """The same numbers, as a range where they have no gap."""
    numbers = range(images[0], images[0] + len(images))
    return numbers if images[-1] == numbers[-1] and all(map(int.__eq__, images, numbers)) else images


@dataclass(frozen=True)
class Selection:
    """A part of a data set; nothing given keeps everything. Misses count over the selected frames only."""

    scenes: Several[int] = ()
    """Scene ids to work on; all when left out."""
    frames: Several[int] = ()
    """Image ids to work on, in every selected scene; all when left out."""
    objects: Several[int] = ()
    """Object ids to work on; all when left out."""
    limit: Unset[int] = None
    """At most this many frames, the first ones in scene and image order."""
    sensor: Unset[str] = None
    """Whose images are taken where a BOP data set has several sensors (rgb_cam1/ and scene_camera_cam1.json: cam1)."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise UsageError(
                f"--limit must be at least 1 frame, got {self.limit}. Leave it out for all frames."
            )

    def keeps_scene(self, scene_id: int) -> bool:
        """Whether frames of this scene are worked on."""
        return not self.scenes or scene_id in self.scenes

    def keeps_object(self, obj_id: int) -> bool:
        """Whether instances of this object are worked on."""
        return not self.objects or obj_id in self.objects

    def select(self, frame_ids: Iterable[FrameId]) -> Iterator[FrameId]:
        """The selected ones of `frame_ids`, in their order; stops reading them at the limit."""
        kept = (
            frame_id
            for frame_id in frame_ids
            if self.keeps_scene(frame_id.scene_id) and (not self.frames or frame_id.im_id in self.frames)
        )
        return islice(kept, self.limit)

    def describe(self) -> str:
        """The options in use, as they are typed; empty when everything is kept."""
        lists = {"--scenes": self.scenes, "--frames": self.frames, "--objects": self.objects}
        parts = [f"{flag} {' '.join(map(str, ids))}" for flag, ids in lists.items() if ids]
        parts += [f"--limit {self.limit}"] if self.limit is not None else []
        return " ".join(parts + ([f"--sensor {self.sensor}"] if self.sensor is not None else []))


Item = TypeVar("Item")


def spread_evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most `count` of the items, spread evenly, in their order."""
    import numpy as np  # every command's --help imports this module

    if count <= 0 or not items:
        return []
    chosen = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)).tolist()
    return [items[index] for index in chosen]
