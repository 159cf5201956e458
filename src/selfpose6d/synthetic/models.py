"""The models of a synthetic data set: built-in objects or a folder's meshes, written as BOP has them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.datasets.model_files import find_model_files, read_models_info, require_models
from selfpose6d.files import write_json
from selfpose6d.geometry.symmetry import SymmetryGroup
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import BOX_ID, CATALOGUE
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.synthetic.options import SynthOptions


def write_models(folder: Path, options: SynthOptions) -> None:
    """Write `obj_NNNNNN.ply` and `models_info.json` into a new folder.

    Raises:
        UsageError: no models in `--models`, or their unit is not known.
        DataError: an object of `--objects` has no model.
        MeshError: a model is unreadable or implausibly large or small.
    """
    if options.models is not None:
        require_models(find_model_files(options.models, options.model_unit))
    folder.mkdir(parents=True)
    infos = {}
    for obj_id, mesh, extra in _chosen(options, folder):
        save_mesh_ply(mesh, folder / f"obj_{obj_id:06d}.ply")
        infos[str(obj_id)] = {**describe_mesh(mesh), **extra}
    write_json(folder / "models_info.json", infos)


def describe_mesh(mesh: Mesh) -> dict[str, Any]:
    """Diameter and bounding box in millimetres, as `models_info.json` has them."""
    low_mm = mesh.vertices_m.min(axis=0).astype(float) * MM_PER_M
    size_mm = np.ptp(mesh.vertices_m, axis=0).astype(float) * MM_PER_M
    boxes = {f"min_{axis}": round(float(low), 6) for axis, low in zip("xyz", low_mm, strict=True)}
    boxes |= {f"size_{axis}": round(float(size), 6) for axis, size in zip("xyz", size_mm, strict=True)}
    return {"diameter": round(mesh.diameter_m * MM_PER_M, 6), **boxes}


def symmetries_entry(symmetry: SymmetryGroup) -> dict[str, Any]:
    """`symmetries_discrete` and `symmetries_continuous` in BOP's form; empty for an object without any."""
    to_mm = np.ones((4, 4))
    to_mm[:3, 3] = MM_PER_M
    discrete = [(T * to_mm).ravel().tolist() for T in symmetry.discrete]
    continuous = [
        {"axis": axis.axis.tolist(), "offset": (axis.offset_m * MM_PER_M).tolist()}
        for axis in symmetry.continuous
    ]
    entry = {"symmetries_discrete": discrete, "symmetries_continuous": continuous}
    return {key: value for key, value in entry.items() if value}


def _chosen(options: SynthOptions, folder: Path) -> Iterator[tuple[int, Mesh, dict[str, Any]]]:
    """Object id, mesh, and what else `models_info.json` says about it."""
    if options.models is not None:
        yield from _from_folder(options, options.models, folder)
        return
    single = options.preset == "single-upright"
    for obj_id in (BOX_ID,) if single else options.objects or CATALOGUE:
        builtin = CATALOGUE[obj_id]
        mesh = builtin.mesh(options.seed) if single else builtin.mesh()
        yield obj_id, mesh, {"name": builtin.name, **symmetries_entry(builtin.symmetry)}


def _from_folder(
    options: SynthOptions, source: Path, folder: Path
) -> Iterator[tuple[int, Mesh, dict[str, Any]]]:
    """A folder's meshes, with the names, symmetries and model points that it declares."""
    models = find_model_files(source, options.model_unit)
    declared = read_models_info(source)
    for obj_id in options.objects or models.object_ids:
        file = models.find(obj_id)
        entry = declared.get(obj_id, {})
        kept = {key: value for key, value in entry.items() if key == "name" or key.startswith("symmetries_")}
        points = file.path.with_suffix(".xyz")
        if points.is_file():
            shutil.copyfile(points, folder / f"obj_{obj_id:06d}.xyz")
        yield obj_id, models.load(obj_id), {"name": file.name, **kept}
