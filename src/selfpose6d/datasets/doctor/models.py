"""What can be wrong with the meshes of a data set, seen from them alone."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from selfpose6d.datasets.declared_symmetries import doubtful_symmetries, require_declared_symmetries
from selfpose6d.datasets.doctor.problems import Problem, error, shared_ids, warning
from selfpose6d.datasets.model_files import (
    ModelFile,
    ModelFiles,
    list_some,
    numbered_meshes,
    read_models_info,
    stated_diameter_m,
)
from selfpose6d.datasets.symmetries import symmetries_of
from selfpose6d.errors import DataError, SelfPose6DError
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.meshes.mesh import Mesh

MAX_DIAMETER_MISMATCH = 0.05
"""Relative, of the mesh's diameter to the stated one. A choice: wide enough for simplified meshes."""


ObjectWarnings = Callable[[int, Mesh, SymmetryGroup], Sequence[str]]
"""Lines about an object's symmetries, of its id, mesh and declared symmetries; made by what lies above data sets."""


def check_models(
    models: ModelFiles, selected: tuple[int, ...], object_warnings: ObjectWarnings | None = None
) -> tuple[list[Problem], dict[int, float]]:
    """Problems of the model folder and of each selected mesh; and the diameters in metres by object id.

    With `object_warnings` its lines about an object without known colour stand in for the plain one; those with it are
    left to annotation, which studies every mesh (seconds each).
    """
    info, problems = _read_info(models)
    problems = [*_check_folder(models), *problems]
    diameters_m = {}
    for obj_id in selected:
        mesh, found = _load(models, obj_id)
        problems += found
        if mesh is not None:
            diameters_m[obj_id] = mesh.diameter_m
            entry = info.get(obj_id, {})
            problems += _check_mesh(mesh, models.files[obj_id], entry)
            problems += _check_symmetries(mesh, models, obj_id, entry, object_warnings)
    return problems, diameters_m


def _check_folder(models: ModelFiles) -> Iterator[Problem]:
    if not models.files:
        yield error(models.folder, "no mesh file", "Add obj_NNNNNN.ply files, or pass --models DIR.")
    for obj_id, twins in shared_ids((i, path.name) for i, path in numbered_meshes(models.folder)):
        reason = f"duplicate id: {twins} are all object {obj_id}"
        yield error(models.folder, reason, "Keep one of them.")


def _read_info(models: ModelFiles) -> tuple[dict[int, dict[str, Any]], list[Problem]]:
    path = models.folder / "models_info.json"
    if not path.is_file():
        return {}, []
    try:
        entries = read_models_info(models.folder)
    except DataError as fault:
        return {}, [Problem("error", str(fault))]
    problems = []
    if without := sorted(entries.keys() - models.files.keys()):
        reason = f"it names objects without mesh file: {list_some(without)}"
        problems.append(warning(path, reason, "Nothing to do if these objects are not wanted."))
    return entries, problems


def _load(models: ModelFiles, obj_id: int) -> tuple[Mesh | None, list[Problem]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mesh = models.load(obj_id)
        except SelfPose6DError as fault:
            return None, [Problem("error", str(fault))]
    return mesh, [Problem("warning", f"{item.message}.") for item in caught]


def _check_mesh(mesh: Mesh, model: ModelFile, info: dict[str, Any]) -> Iterator[Problem]:
    if (stated_m := stated_diameter_m(info)) is not None:
        ratio = mesh.diameter_m / stated_m
        if abs(ratio - 1) > MAX_DIAMETER_MISMATCH:
            yield error(
                model.path,
                f"its diameter is {mesh.diameter_m * 1e3:.4g} mm, models_info.json says {stated_m * 1e3:.4g} mm",
                "Scale the one that is wrong; BOP's meshes are in millimetres.",
            )
    offset_m = float(np.linalg.norm(mesh.centre_m))
    if offset_m > 2 * mesh.radius_m:
        yield warning(
            model.path,
            f"the origin is {offset_m:.3g} m off the object's centre, more than its size",
            "Check that the model frame is the one that the poses refer to.",
        )


def _check_symmetries(
    mesh: Mesh, models: ModelFiles, obj_id: int, info: dict[str, Any], object_warnings: ObjectWarnings | None
) -> Iterator[Problem]:
    """Declared symmetries against the mesh, and what its colours leave open."""
    path = models.folder / "models_info.json"
    try:
        declared = symmetries_of(info, f"{path}: object {obj_id}")
        require_declared_symmetries(mesh, declared, f"{path}: object {obj_id}")
    except SelfPose6DError as fault:
        yield Problem("error", str(fault))
        return
    remedy = "See whether they are equal to you: `selfpose6d symmetries MODELS` draws what it leaves."
    for text in doubtful_symmetries(mesh, declared):
        yield warning(path, f"object {obj_id}: {text}", remedy)
    if mesh.has_known_colour:
        return
    if object_warnings is not None:
        yield from (Problem("warning", f"{line}.") for line in object_warnings(obj_id, mesh, declared))
    else:
        what = "a default colour only" if mesh.has_colour else "neither texture nor colours"
        yield warning(models.files[obj_id].path, what, "Export it with them: colour decides many poses.")
