"""Symmetries as BOP's `models_info.json` declares them: read into metres, written in millimetres."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.datasets.model_files import read_models_info
from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.geometry.nearest_rotation import nearest_rotation
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.json_stream import write_json
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.units import METRES_PER_MM

KEYS = ("symmetries_discrete", "symmetries_continuous")

MAX_OFFSET_MM = 1e6
"""Of an axis or a motion: what is farther from a mesh's origin is no object's, and its square may be no number."""


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
        DataError: the entry is not of BOP's form, or a matrix is no rigid motion; `name` says which.
    """
    try:
        discrete = np.array(entry.get("symmetries_discrete") or [], np.float64).reshape(-1, 4, 4)
        discrete[:, :3, 3] *= METRES_PER_MM
        continuous = tuple(_continuous(axis) for axis in entry.get("symmetries_continuous") or [])
    except MALFORMED as error:
        raise DataError(
            f"{name}: expected symmetries_discrete of 16 numbers each, symmetries_continuous with axis and "
            f"offset of 3 numbers each ({error}). Correct the entry."
        ) from None
    for index, T in enumerate(discrete):
        discrete[index] = _rigid(T, f"{name}: symmetries_discrete[{index}]")
    return SymmetryGroup(discrete, continuous)


def symmetries_entry(symmetry: SymmetryGroup) -> dict[str, Any]:
    """`symmetries_discrete` and `symmetries_continuous` in BOP's form (mm); empty for an object without any."""
    to_mm = np.ones((4, 4))
    to_mm[:3, 3] = 1 / METRES_PER_MM
    discrete = [(T * to_mm).ravel().tolist() for T in symmetry.discrete]
    continuous = [
        {"axis": axis.axis.tolist(), "offset": (axis.offset_m / METRES_PER_MM).tolist()}
        for axis in symmetry.continuous
    ]
    entry = dict(zip(KEYS, (discrete, continuous), strict=True))
    return {key: value for key, value in entry.items() if value}


def describe_mesh(mesh: Mesh) -> dict[str, Any]:
    """Diameter and bounding box in millimetres, as `models_info.json` has them."""
    low_mm = mesh.vertices_m.min(axis=0).astype(float) / METRES_PER_MM
    size_mm = np.ptp(mesh.vertices_m, axis=0).astype(float) / METRES_PER_MM
    boxes = {f"min_{axis}": round(float(low), 6) for axis, low in zip("xyz", low_mm, strict=True)}
    boxes |= {f"size_{axis}": round(float(size), 6) for axis, size in zip("xyz", size_mm, strict=True)}
    return {"diameter": round(mesh.diameter_m / METRES_PER_MM, 6), **boxes}


def write_symmetries(
    models_folder: Path, found: Mapping[int, SymmetryGroup], described: Mapping[int, dict[str, Any]]
) -> None:
    """Set the symmetries of these objects in `models_info.json`; everything else in it stays as it is.

    `described` has what an entry that is not there yet begins with (BOP's diameter and box). A group without any
    motion takes the object's symmetries away. The file appears whole or not at all.

    Raises:
        DataError: the file that is there is not BOP's.
        UsageError: the folder cannot be written.
    """
    info = read_models_info(models_folder)
    for obj_id, group in found.items():
        entry = {key: value for key, value in info.get(obj_id, described[obj_id]).items() if key not in KEYS}
        info[obj_id] = {**entry, **_rounded(symmetries_entry(group))}
    path = models_folder / "models_info.json"
    try:
        write_json(path, {str(obj_id): info[obj_id] for obj_id in sorted(info)})
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written ({os.strerror(error.errno or 0)}). Make {models_folder} writable, or copy the "
            "models and pass the copy."
        ) from None


def _rounded(value: Any) -> Any:
    """Nine decimals: a nanometre's thousandth, and no -0.0."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else round(value, 9) + 0.0


def _rigid(T: np.ndarray, name: str) -> np.ndarray:
    """The motion with the rotation nearest to the one that is written."""
    try:
        if not (np.abs(T).max() < MAX_OFFSET_MM and np.array_equal(T[3], (0, 0, 0, 1))):
            raise ValueError
        return np.block([[nearest_rotation(T[:3, :3]), T[:3, 3:]], [T[3:]]])
    except ValueError:
        shown = np.array2string(T, precision=3, suppress_small=True).replace("\n", "")
        raise DataError(
            f"{name}: expected a rigid motion (a rotation, its determinant 1, a translation in mm, last row 0 0 0 1), "
            f"got {shown}. Correct the entry; mirror images are no symmetries of a pose."
        ) from None


def _continuous(entry: dict) -> ContinuousSymmetry:
    axis = np.array(entry["axis"], np.float64).reshape(3)
    if not 0 < np.linalg.norm(axis) < np.inf:
        raise ValueError("the axis has no length")
    offset = np.array(entry.get("offset", (0, 0, 0)), np.float64).reshape(3)
    if not np.abs(offset).max() < MAX_OFFSET_MM:
        raise ValueError("the offset is not finite, or more than a kilometre")
    return ContinuousSymmetry(axis / np.linalg.norm(axis), offset * METRES_PER_MM)
