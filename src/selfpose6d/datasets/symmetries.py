"""Symmetries as BOP's `models_info.json` declares them, in metres."""

from pathlib import Path

import numpy as np

from selfpose6d.datasets.model_files import read_models_info
from selfpose6d.errors import DataError
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.meshes.units import METRES_PER_MM


def read_symmetries(models_folder: Path) -> dict[int, SymmetryGroup]:
    """The declared symmetries of every object of `models_info.json`; empty where there is no such file.

    Raises:
        DataError: an entry is not of BOP's form.
    """
    path = models_folder / "models_info.json"
    return {
        obj_id: symmetries_of(entry, f"{path}: object {obj_id}")
        for obj_id, entry in read_models_info(models_folder).items()
    }


def symmetries_of(entry: dict, name: str) -> SymmetryGroup:
    """One entry's `symmetries_discrete` (4x4 row-major, mm) and `symmetries_continuous` (axis, offset in mm).

    Raises:
        DataError: the entry is not of BOP's form; `name` says which.
    """
    try:
        discrete = np.array(entry.get("symmetries_discrete") or [], np.float64).reshape(-1, 4, 4)
        discrete[:, :3, 3] *= METRES_PER_MM
        continuous = tuple(_continuous(axis) for axis in entry.get("symmetries_continuous") or [])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"{name}: expected symmetries_discrete of 16 numbers each, symmetries_continuous with axis and "
            f"offset of 3 numbers each ({error}). Correct the entry."
        ) from None
    return SymmetryGroup(discrete, continuous)


def _continuous(entry: dict) -> ContinuousSymmetry:
    axis = np.array(entry["axis"], np.float64).reshape(3)
    if not np.linalg.norm(axis) > 0:
        raise ValueError("the axis has no length")
    offset = np.array(entry.get("offset", (0, 0, 0)), np.float64).reshape(3)
    return ContinuousSymmetry(axis / np.linalg.norm(axis), offset * METRES_PER_MM)
