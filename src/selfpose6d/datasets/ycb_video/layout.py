"""YCB-Video as a layout: `data/NNNN/NNNNNN-{color,depth,label}.png`, `-meta.mat`, `image_sets/`, `models/<name>/`."""

from pathlib import Path

from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.ycb_video.dataset import YcbVideoDataset
from selfpose6d.datasets.ycb_video.files import find_ycb_models


def _has_frames(root: Path) -> bool:
    data = root / "data"
    return data.is_dir() and ((root / "image_sets").is_dir() or any(data.glob("*/*-meta.mat")))


def _poses():
    """The module that reads true poses, imported where one is asked for: annotating never loads it."""
    from selfpose6d.datasets.ycb_video import true_poses

    return true_poses


YCB_VIDEO = Layout(
    YcbVideoDataset.layout,
    "YCB-Video's layout (data/NNNN/NNNNNN-meta.mat, image_sets/)",
    matches=_has_frames,
    open=YcbVideoDataset,
    models=find_ycb_models,
    true_poses=lambda *split: _poses().true_poses(*split),
)
