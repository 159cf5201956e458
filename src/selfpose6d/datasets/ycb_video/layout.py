"""YCB-Video as a layout: `data/NNNN/NNNNNN-{color,depth,label}.png`, `-meta.mat`, `image_sets/`, `models/<name>/`."""

from pathlib import Path

from selfpose6d.datasets.layout import Layout
from selfpose6d.datasets.ycb_video.dataset import YcbVideoDataset
from selfpose6d.datasets.ycb_video.files import find_ycb_models
from selfpose6d.datasets.ycb_video.true_poses import true_poses


def _has_frames(root: Path) -> bool:
    data = root / "data"
    return data.is_dir() and ((root / "image_sets").is_dir() or any(data.glob("*/*-meta.mat")))


YCB_VIDEO = Layout(
    YcbVideoDataset.layout,
    "YCB-Video's layout (data/NNNN/NNNNNN-meta.mat, image_sets/)",
    matches=_has_frames,
    open=YcbVideoDataset,
    models=find_ycb_models,
    true_poses=true_poses,
)
