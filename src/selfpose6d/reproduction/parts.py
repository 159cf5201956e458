"""Parts of data sets that trainings and tests work on, and how they are thinned to what a budget allows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfpose6d.datasets.bop.targets import read_target_counts
from selfpose6d.datasets.layouts import detect_layout
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.selection import FrameId, Selection

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset

TARGETS_NAME = "test_targets_bop19.json"
COUNTED_FRAMES = 200
"""Whose instances are counted, evenly spread; the others are taken to have as many. Each is one small file."""


@dataclass(frozen=True)
class Part:
    """A split of a data set and what is selected of it."""

    root: Path
    split: str
    selection: Selection
    models: Path | None = None
    model_unit: Unit | None = None

    @property
    def data(self) -> DataOptions:
        """As commands take it."""
        return DataOptions(self.root, self.split, self.selection, self.models, self.model_unit)

    def open(self) -> "Dataset":
        """The data set. Raises what `DataOptions.open` does."""
        return self.data.open(self.split)

    def arguments(self) -> list[str]:
        """What follows a command's name to work on this part."""
        chosen = self.selection.describe().split()
        models = [] if self.models is None else ["--models", str(self.models)]
        unit = [] if self.model_unit is None else ["--model-unit", self.model_unit]
        return [str(self.root), "--split", self.split, *chosen, *models, *unit]

    def thinned(self, most: int) -> "Part":
        """At most about `most` frames, evenly spread over scenes and within them."""
        scenes, frames = spread(self.open().frame_ids(), most)
        chosen = replace(self.selection, scenes=scenes or self.selection.scenes, frames=frames)
        return replace(self, selection=chosen)

    def to_json(self) -> dict[str, Any]:
        """Without paths: the selection alone."""
        return asdict(self.selection)

    def restored(self, stored: dict[str, Any]) -> "Part":
        """With the selection that `to_json` gave."""
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in stored.items()}
        return replace(self, selection=Selection(**values))


def spread(frame_ids: Sequence[FrameId], most: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Scenes and image ids whose frames are at most `most` (but one), evenly spread; empty where all are taken.

    Scenes are thinned where they are more than the images of one, image ids elsewhere, both where that is not enough.
    """
    if len(frame_ids) <= most:
        return (), ()
    scenes = sorted({frame_id.scene_id for frame_id in frame_ids})
    longest = max(Counter(frame_id.scene_id for frame_id in frame_ids).values())
    if len(scenes) > longest and (kept := _thin_scenes(frame_ids, scenes, most)):
        return kept, ()
    im_ids = sorted({frame_id.im_id for frame_id in frame_ids})
    for count in range(min(len(im_ids), most), 0, -1):
        chosen = set(_evenly(im_ids, count))
        if sum(frame_id.im_id in chosen for frame_id in frame_ids) <= most:
            return (), tuple(sorted(chosen))
    middle = im_ids[len(im_ids) // 2]
    with_it = [frame_id for frame_id in frame_ids if frame_id.im_id == middle]
    few = sorted({frame_id.scene_id for frame_id in with_it})
    return tuple(_evenly(few, max(1, min(most, len(few))))), (middle,)


def _thin_scenes(frame_ids: Sequence[FrameId], scenes: Sequence[int], most: int) -> tuple[int, ...]:
    sizes = Counter(frame_id.scene_id for frame_id in frame_ids)
    for count in range(len(scenes), 0, -1):
        chosen = _evenly(scenes, count)
        if sum(sizes[scene_id] for scene_id in chosen) <= most:
            return tuple(chosen)
    return ()


def _evenly(items: Sequence[int], count: int) -> list[int]:
    return [items[(2 * i + 1) * len(items) // (2 * count)] for i in range(count)]


def count_instances(dataset: "Dataset") -> float:
    """Instances of the selected objects a frame, on average over some frames; no image is read."""
    frame_ids = dataset.frame_ids()
    some = [frame_ids[i] for i in _evenly(range(len(frame_ids)), min(COUNTED_FRAMES, len(frame_ids)))]
    counts = [_instances(dataset, frame_id) for frame_id in some]
    return sum(counts) / len(counts)


def _instances(dataset: "Dataset", frame_id: FrameId) -> int:
    try:
        return len(dataset.instance_keys(frame_id))
    except DataError:
        return 0  # commands say of the frame what is wrong


def first_split(part: Part, names: Iterable[str], what: str, remedy: str) -> Part:
    """The part with the first of the splits that the data set has.

    Raises:
        UsageError: it has none of them.
    """
    tried = tuple(names)
    reasons = []
    for name in tried:
        try:
            replace(part, split=name).open()
            return replace(part, split=name)
        except UsageError as error:
            reasons.append(str(error))
    raise UsageError(f"no {what} in {part.root}: tried split {', '.join(tried)} ({reasons[0]}) {remedy}")


def target_frames(part: Part) -> Part:
    """Only the frames that `test_targets_bop19.json` lists, where the data set has one: no other is scored.

    Raises:
        DataError: the file is broken.
    """
    if detect_layout(part.root).targets(part.root, part.split, None) != "bop19":
        return part
    there = set(part.open().frame_ids())
    listed = {FrameId(scene_id, im_id) for scene_id, im_id, _ in read_target_counts(part.root)} & there
    if not listed or listed == there:
        return part
    scenes, frames = (tuple(sorted(set(ids))) for ids in zip(*listed, strict=True))
    return replace(part, selection=replace(part.selection, scenes=scenes, frames=frames))
