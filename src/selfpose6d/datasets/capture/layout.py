"""Capture folders as a layout."""

from collections.abc import Iterator
from pathlib import Path

from selfpose6d.datasets.capture.dataset import SPLIT, CaptureDataset
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.doctor.problems import Problem, check_duplicates
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.selection import Selection


class CaptureLayout(Layout):
    """`rgb/`, `depth/`, `masks/` and `camera.json`: what a camera and a segmenter leave behind."""

    name = "capture"
    description = "a capture folder (rgb/, depth/, masks/, camera.json)"
    only_split = SPLIT

    def matches(self, root: Path) -> bool:
        """Whether there are colour images right in it."""
        return (root / "rgb").is_dir()

    def open(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> Dataset:
        """The folder's one split."""
        return CaptureDataset(root, split, selection, models, masks)

    def checks(self, dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
        """Images of one name."""
        for name in ("rgb", "depth") if scene_id is None else ():
            yield from check_duplicates(dataset.root / name)
