"""What a data set layout is: one object that recognises, opens and checks data sets of one kind."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.problems import Problem
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles, Unit, find_model_files
from selfpose6d.errors import UsageError
from selfpose6d.selection import Selection


class Layout(ABC):
    """One way to lay a data set out on disk. A new one is a file with a subclass, and a line in `layouts.LAYOUTS`."""

    name: str
    description: str
    """What such a folder is called and holds, for messages."""
    only_split: str | None = None
    """The split, where there can be one only."""

    @abstractmethod
    def matches(self, root: Path) -> bool:
        """Whether the folder is laid out this way."""

    @abstractmethod
    def open(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> Dataset:
        """The data set; `masks` None takes its own.

        Raises:
            UsageError: no such split.
            DataError: no frames, no masks, or a file that all frames need is missing or broken.
        """

    def models(self, root: Path, folder: Path | None, unit: Unit | None) -> ModelFiles:
        """The mesh files: those of `folder`, else the data set's own."""
        return find_model_files(folder or root / "models", unit)

    def true_poses(
        self, root: Path, split: str, selection: Selection, targets: Targets | None
    ) -> Iterator[Sequence[GroundTruthPose]]:
        """Every annotated instance of each selected frame; see `true_poses.iterate_ground_truth`.

        Raises:
            UsageError: the layout has none, or not the targets that are asked for.
        """
        raise UsageError(f"{root}: layout {self.name} has no true poses. Pass a BOP or YCB-Video root.")

    def targets(self, root: Path, split: str, targets: Targets | None) -> Targets:
        """Which instances count, where `targets` leaves it open."""
        return targets or "all"

    def visible_fractions(self, root: Path, split: str, scene_id: int) -> Mapping[tuple[int, int], float]:
        """Visible part of each instance's silhouette by (`im_id`, index in the file), where the data set says it."""
        return {}

    def checks(self, dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
        """What can be wrong with the files of a scene beyond single frames; with None, of the split."""
        yield from ()
