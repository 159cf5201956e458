"""A data set as a recording is: nobody has drawn a mask in it or measured a pose."""

import shutil
from pathlib import Path


def strip_masks_and_poses(root: Path) -> None:
    """Remove every `mask*/` and `scene_gt*.json` of a BOP root's scenes."""
    for path in root.glob("*/[0-9]*/*"):
        if path.name.startswith("mask"):
            path.chmod(0o755)
            shutil.rmtree(path)
        elif path.name.startswith("scene_gt"):
            path.unlink()
