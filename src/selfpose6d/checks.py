"""Sanity checks at the door: units and shapes, with a remedy in every message."""

import math
from collections.abc import Sized
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from selfpose6d.errors import DataError, MeshError, UsageError

MAX_DEPTH_MEDIAN_M = 20.0
"""Beyond any RGB-D camera's range; millimetres read as metres are hundreds."""
MIN_OBJECT_M, MAX_OBJECT_M = 1e-3, 5.0
"""Outside, the unit is wrong by a factor of 1,000 rather than the object that small or large."""


def require_depth_in_metres(depth_m: np.ndarray, name: str = "depth_m") -> None:
    """Refuse a depth image whose median is beyond any RGB-D camera's range.

    Raises:
        DataError: the median of the known depths is over 20 m.
    """
    measured = depth_m[depth_m > 0]
    if measured.size and (median := float(np.median(measured))) > MAX_DEPTH_MEDIAN_M:
        raise DataError(
            f"{name} must be in metres: median {median:.1f} > {MAX_DEPTH_MEDIAN_M:.0f}. "
            "Divide a millimetre image by 1000, or correct depth_scale in the camera file."
        )


def require_plausible_object_size(extent_m: float, source: str) -> None:
    """Refuse an object of less than 1 mm or more than 5 m, the sign of a wrong unit.

    Raises:
        MeshError: the largest extent is not plausible.
    """
    if not math.isfinite(extent_m) or not MIN_OBJECT_M <= extent_m <= MAX_OBJECT_M:
        raise MeshError(
            f"{source}: the object would be {extent_m:.4g} m large, expected {MIN_OBJECT_M:g} to {MAX_OBJECT_M:g} m. "
            "Pass --model-unit mm for millimetre models, --model-unit m for metre models."
        )


def require_intrinsics(K: np.ndarray, name: str = "K") -> None:
    """Refuse a camera matrix that cannot be one.

    Raises:
        DataError: wrong shape, non-finite entries or a focal length that is not positive.
    """
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise DataError(
            f"{name} must be a finite 3x3 matrix with positive focal lengths, got {K.tolist()}. "
            "Correct the camera file."
        )


def require_indices(index: Int[Tensor, "n"], count: int, name: str) -> None:
    """Refuse an index that compiled code would follow out of its array.

    Raises:
        UsageError: an entry is negative or not below `count`.
    """
    if not len(index):
        return
    # one wait for the device, not one for each end
    low, high = torch.stack(index.aminmax()).tolist()
    if low < 0 or high >= count:
        raise UsageError(
            f"{name} must be from 0 to {count - 1}, got {low} to {high}. "
            "Pass positions in what was given along with it."
        )


def require_equal_lengths(**entries: Sized) -> None:
    """Refuse batches of different length, which compiled code would read past their end.

    Raises:
        UsageError: the lengths differ.
    """
    lengths = {name: len(entry) for name, entry in entries.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(
            f"{', '.join(lengths)} must have the same length, got {got}. Expand the shorter ones."
        )


def require_existing(path: Path, what: str, remedy: str) -> Path:
    """Return `path`, or say that it is missing.

    Raises:
        UsageError: there is nothing at `path`.
    """
    if not path.exists():
        raise UsageError(f"{what} not found: {path} does not exist. {remedy}")
    return path
