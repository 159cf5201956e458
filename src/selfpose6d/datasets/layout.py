"""What a data set layout is: one value that says how data sets of one kind are recognised, opened and checked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.problems import Problem
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles, find_model_files
from selfpose6d.meshes.units import Unit
from selfpose6d.selection import Selection


def _models_of_root(root: Path, folder: Path | None, unit: Unit | None) -> ModelFiles:
    return find_model_files(folder or root / "models", unit)


@dataclass(frozen=True)
class Layout:
    """One way to lay a data set out on disk. A new one is a file that makes one, and a line in `layouts.LAYOUTS`."""

    name: str
    description: str
    """What such a folder is called and holds, for messages."""
    matches: Callable[[Path], bool]
    """Whether a root is laid out this way."""
    open: Callable[[Path, str, Selection, ModelFiles, MaskSource | None], Dataset]
    """A split of a root; masks None takes its own. UsageError without such a split, DataError for unusable files."""
    has_sensors: bool = False
    """Whether a data set may have several sensors, one of which is chosen (`Selection.sensor`)."""
    only_split: str | None = None
    """The split, where there can be one only."""
    splits: Callable[[Path], Sequence[str]] = lambda root: ()
    """The splits of a root, where its folders name them."""
    models: Callable[[Path, Path | None, Unit | None], ModelFiles] = _models_of_root
    """The mesh files of a root: those of the folder, where one is given, else its own."""
    true_poses: (
        Callable[[Path, str, Selection, Targets | None], Iterator[Sequence[GroundTruthPose]]] | None
    ) = None
    """Every annotated instance of each selected frame, see `true_poses.iterate_ground_truth`; None: it has none."""
    targets: Callable[[Path, str, Targets | None], Targets] = lambda root, split, targets: targets or "all"
    """Which instances of a split count, where the options leave it open."""
    visible_fractions: Callable[
        [Path, str, Iterable[int], str | None], Mapping[tuple[int, int, int], float]
    ] = lambda root, split, scene_ids, sensor: {}
    """Visible part of each silhouette of these scenes by (scene, image, index in the file), where it is said; of
    several sensors that of one."""
    mask_kinds: Callable[[Path, str, Iterable[int], str | None], Mapping[tuple[int, int, int], str]] = (
        lambda root, split, scene_ids, sensor: {}
    )
    """What a synthetic data set did to these scenes' masks by (scene, image, index in the file), where it is said."""
    checks: Callable[[Dataset, int | None], Iterator[Problem]] = lambda dataset, scene_id: iter(())
    """What can be wrong with the files of a scene beyond single frames; with None, of the split."""
