"""What both readers of true poses ask of a pose and of its mask."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.images import data_error, read_labels
from selfpose6d.errors import DataError
from selfpose6d.runs.predictions import MAX_ROTATION_DEFECT, rotation_defect


def count_or_one(path: Path, value: int | None) -> int:
    """Pixels of a label, or of any label; 1 for a file that cannot be read: its instance is a miss."""
    try:
        labels = read_labels(path)
    except DataError:
        return 1
    return int(np.count_nonzero(labels if value is None else labels == value))


def require_rigid(T_cam_obj: Float[np.ndarray, "4 4"], name: str) -> Float[np.ndarray, "4 4"]:
    """Return the pose, or say that it is none.

    Raises:
        DataError: not finite, or no rotation.
    """
    if not np.isfinite(T_cam_obj).all() or rotation_defect(T_cam_obj[:3, :3]) > MAX_ROTATION_DEFECT:
        raise data_error(name, "the pose is no rigid transform", "Restore it from the data set.")
    return T_cam_obj
