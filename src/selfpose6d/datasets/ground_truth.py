"""A true pose, as a type, and what its readers ask of it: no module that imports this one can read any."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.images import data_error, read_labels, read_object_pixels
from selfpose6d.errors import DataError
from selfpose6d.geometry.nearest_rotation import nearest_rotation
from selfpose6d.types import InstanceKey

Targets = Literal["all", "bop19", "annotated"]
"""Which instances count: all with a visible mask, those of `test_targets_bop19.json`, or every one, and no mask is
read."""


@dataclass(frozen=True)
class GroundTruthPose:
    """The true pose of one annotated instance; `counts` marks those that enter the scores."""

    key: InstanceKey
    T_cam_obj: Float[np.ndarray, "4 4"]
    counts: bool = True


def count_or_one(path: Path, value: int | None = None) -> int:
    """Pixels of a label, or of a mask file's object; 1 for a file that cannot be read: its instance is a miss."""
    try:
        pixels = read_object_pixels(path) if value is None else read_labels(path) == value
    except DataError:
        return 1
    return int(np.count_nonzero(pixels))


def rigid(T_cam_obj: Float[np.ndarray, "4 4"], name: str) -> Float[np.ndarray, "4 4"]:
    """The pose with the rotation nearest to the one that is written.

    Raises:
        DataError: not finite, or no rotation (`nearest_rotation`).
    """
    if not np.isfinite(T_cam_obj).all():
        raise data_error(name, "the pose is no rigid transform: not finite", "Restore it from the data set.")
    nearest = T_cam_obj.copy()
    try:
        nearest[:3, :3] = nearest_rotation(T_cam_obj[:3, :3])
    except ValueError as error:
        raise data_error(
            name, f"the pose is no rigid transform: {error}", "Restore it from the data set."
        ) from None
    return nearest
