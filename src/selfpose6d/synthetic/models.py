"""The models of a synthetic data set: built-in objects or a folder's meshes, written as BOP has them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfpose6d.datasets.model_files import find_model_files, read_models_info, require_models
from selfpose6d.datasets.symmetries import describe_mesh, symmetries_entry
from selfpose6d.json_stream import write_json
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.catalogue import BOX_ID, CATALOGUE
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
