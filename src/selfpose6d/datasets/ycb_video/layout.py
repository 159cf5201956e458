"""YCB-Video's original layout."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles, Unit
from selfpose6d.datasets.ycb_video.dataset import YcbVideoDataset
from selfpose6d.datasets.ycb_video.files import YcbVideoFrames, find_ycb_models
from selfpose6d.datasets.ycb_video.true_poses import ycb_frames
from selfpose6d.errors import UsageError
from selfpose6d.selection import Selection


class YcbVideoLayout(Layout):
    """`data/NNNN/NNNNNN-{color,depth,label}.png` and `-meta.mat`, `image_sets/`, `models/<name>/`."""

    name = "ycb-video"
    description = "YCB-Video's layout (data/NNNN/NNNNNN-meta.mat, image_sets/)"

    def matches(self, root: Path) -> bool:
        """Whether `data/` has its files or an image set beside it."""
        data = root / "data"
        return data.is_dir() and ((root / "image_sets").is_dir() or any(data.glob("*/*-meta.mat")))

    def open(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> Dataset:
        """A split: frames of `image_sets/`, or `data_syn`, or `all` that is there."""
        return YcbVideoDataset(root, split, selection, models, masks)

    def models(self, root: Path, folder: Path | None, unit: Unit | None) -> ModelFiles:
        """Ids in the order of `image_sets/classes.txt`."""
        return find_ycb_models(root, folder, unit)

    def true_poses(
        self, root: Path, split: str, selection: Selection, targets: Targets | None
    ) -> Iterator[Sequence[GroundTruthPose]]:
        """The frames' `-meta.mat`."""
        if targets == "bop19":
            raise UsageError(f"{root}: layout {self.name} has no bop19 targets. Use --targets all.")
        return ycb_frames(YcbVideoFrames(root, split), split, selection)
