"""BOP roots as a layout: `models/obj_NNNNNN.ply`, `<split>/<scene>/{rgb,depth,mask_visib}/` and the scene files."""

from pathlib import Path

from selfpose6d.datasets.bop.checks import check_files
from selfpose6d.datasets.bop.dataset import BopDataset
from selfpose6d.datasets.bop.scene import scene_folders
from selfpose6d.datasets.bop.true_poses import resolve_targets, true_poses, visible_fractions
from selfpose6d.datasets.layout import Layout


def _has_scenes(root: Path) -> bool:
    return root.is_dir() and any(path.is_dir() and scene_folders(path) for path in root.iterdir())


BOP = Layout(
    BopDataset.layout,
    "a BOP root (models/, <split>/NNNNNN/)",
    matches=_has_scenes,
    open=BopDataset,
    true_poses=true_poses,
    targets=resolve_targets,
    visible_fractions=visible_fractions,
    checks=check_files,
)
