"""BOP roots as a layout: `models/obj_NNNNNN.ply`, `<split>/<scene>/{rgb,depth,mask_visib}/` and the scene files."""

from pathlib import Path

from selfpose6d.datasets.bop.checks import check_files
from selfpose6d.datasets.bop.dataset import BopDataset, list_splits
from selfpose6d.datasets.bop.scene import scene_folders
from selfpose6d.datasets.layout import Layout


def _has_scenes(root: Path) -> bool:
    return root.is_dir() and any(path.is_dir() and scene_folders(path) for path in root.iterdir())


def _poses():
    """The module that reads true poses, imported where one is asked for: annotating never loads it."""
    from selfpose6d.datasets.bop import true_poses

    return true_poses


BOP = Layout(
    BopDataset.layout,
    "a BOP root (models/, <split>/NNNNNN/)",
    matches=_has_scenes,
    open=BopDataset,
    has_sensors=True,
    splits=list_splits,
    true_poses=lambda *split: _poses().true_poses(*split),
    targets=lambda *split: _poses().resolve_targets(*split),
    visible_fractions=lambda *scenes: _poses().visible_fractions(*scenes),
    mask_kinds=lambda *scenes: _poses().mask_kinds(*scenes),
    checks=check_files,
)
