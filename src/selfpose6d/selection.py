"""Which part of a data set a command works on: `--scenes --frames --objects --limit --sensor`."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

from selfpose6d.errors import UsageError
from selfpose6d.options import Several, Unset


class FrameId(NamedTuple):
    """What identifies an image within a split; sorts by scene, then image."""

    scene_id: int
    im_id: int


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
