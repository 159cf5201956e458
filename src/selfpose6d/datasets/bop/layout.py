"""BOP roots as a layout."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from selfpose6d.datasets.bop.checks import check_scene, check_split
from selfpose6d.datasets.bop.dataset import BopDataset, find_scenes
from selfpose6d.datasets.bop.scene import scene_folders
from selfpose6d.datasets.bop.true_poses import bop19_targets, bop_frames, read_visible_fractions
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.datasets.doctor.problems import Problem
from selfpose6d.datasets.ground_truth import GroundTruthPose, Targets
from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.masks import MaskSource
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.selection import Selection


class BopLayout(Layout):
    """`models/obj_NNNNNN.ply`, `<split>/<scene>/{rgb,depth,mask_visib}/` and the scene files."""

    name = "bop"
    description = "a BOP root (models/, <split>/NNNNNN/)"

    def matches(self, root: Path) -> bool:
        """Whether a folder in it has scene folders."""
        return root.is_dir() and any(path.is_dir() and scene_folders(path) for path in root.iterdir())

    def open(
        self, root: Path, split: str, selection: Selection, models: ModelFiles, masks: MaskSource | None
    ) -> Dataset:
        """A split of the root."""
        return BopDataset(root, split, selection, models, masks)

    def true_poses(
        self, root: Path, split: str, selection: Selection, targets: Targets | None
    ) -> Iterator[Sequence[GroundTruthPose]]:
        """`scene_gt.json`, in the frames' order."""
        return bop_frames(root, split, selection, bop19_targets(root, split, targets))

    def targets(self, root: Path, split: str, targets: Targets | None) -> Targets:
        """`bop19` where its file exists and the split is a test split."""
        return "all" if bop19_targets(root, split, targets) is None else "bop19"

    def visible_fractions(self, root: Path, split: str, scene_id: int) -> Mapping[tuple[int, int], float]:
        """`visib_fract` of `scene_gt_info.json`."""
        return read_visible_fractions(find_scenes(root, split)[scene_id])

    def checks(self, dataset: Dataset, scene_id: int | None) -> Iterator[Problem]:
        """Duplicates, orphans and gaps."""
        assert isinstance(dataset, BopDataset)
        if scene_id is None:
            return check_split(dataset.root / dataset.split)
        with_masks = not isinstance(dataset.masks, DetectionMasks)
        return check_scene(dataset.scenes[scene_id], with_masks)
