"""The models of an exported data set: BOP's `obj_NNNNNN.ply` in millimetres and `models_info.json`."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.model_files import ModelFile, read_models_info
from selfpose6d.datasets.symmetries import describe_mesh
from selfpose6d.files import content_hash, copy_whole
from selfpose6d.json_stream import write_json
from selfpose6d.meshes.io import save_mesh_ply

MAX_HEADER_BYTES = 65_536


def model_hashes(dataset: Dataset) -> dict[str, str]:
    """What tells each object's mesh, its model points and what is declared of it from others, by id.

    The ids are text, as JSON has them.

    Raises:
        MeshError: a mesh is unreadable or implausible.
    """
    declared = read_models_info(dataset.models.folder)
    return {
        str(obj_id): _model_hash(dataset, obj_id, declared.get(obj_id))
        for obj_id in dataset.models.object_ids
    }


def _model_hash(dataset: Dataset, obj_id: int, declared: dict | None) -> str:
    mesh, points = dataset.load_mesh(obj_id), dataset.models.find(obj_id).path.with_suffix(".xyz")
    digest = hashlib.sha256(
        json.dumps([dataset.object_names().get(obj_id), declared], sort_keys=True).encode()
    )
    for array in (mesh.vertices_m, mesh.faces, mesh.corner_uv, mesh.texture, mesh.vertex_rgb):
        digest.update(b"-" if array is None else repr(array.shape).encode() + array.tobytes())
    digest.update(content_hash(points).encode() if points.is_file() else b"-")
    return digest.hexdigest()[:16]


def write_bop_models(
    dataset: Dataset, obj_ids: Iterable[int], folder: Path, current: Collection[int] = ()
) -> None:
    """Write these objects, their model points and what `models_info.json` says of them.

    Those in `current` are left as they are where they are there: they are known to be these meshes.

    A PLY file in millimetres is copied with its textures; every other mesh is written as one. Diameter and extents
    are measured where nothing states them.

    Raises:
        MeshError: a mesh is unreadable or implausible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    declared, infos = read_models_info(dataset.models.folder), read_models_info(folder)
    names = dataset.object_names()
    missing = [obj_id for obj_id in obj_ids if obj_id not in infos or obj_id not in current]
    for obj_id in missing:
        file, target = dataset.models.find(obj_id), folder / f"obj_{obj_id:06d}.ply"
        _remove_model(target)
        if not _copy_ply(file, target):
            save_mesh_ply(dataset.load_mesh(obj_id), target)
        points = file.path.with_suffix(".xyz")
        if points.is_file():
            copy_whole(points, target.with_suffix(".xyz"))
        entry = declared.get(obj_id, {})
        if "diameter" not in entry:
            entry = {**describe_mesh(dataset.load_mesh(obj_id)), **entry}
        if obj_id in names:
            entry = {"name": names[obj_id], **entry}
        infos[obj_id] = entry
    if missing:  # written last: a model that it names is complete
        write_json(folder / "models_info.json", {str(obj_id): infos[obj_id] for obj_id in sorted(infos)})


def _remove_model(path: Path) -> None:
    """Remove a written model with its points, and its textures where no other model beside it names them."""
    if path.is_file():
        others = {
            name for other in path.parent.glob("*.ply") if other != path for name in _texture_names(other)
        }
        for name in set(_texture_names(path)) - others:
            if Path(name).name == name:
                (path.parent / name).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    path.with_suffix(".xyz").unlink(missing_ok=True)


def _copy_ply(file: ModelFile, target: Path) -> bool:
    """Copy a PLY file in millimetres and its textures; False, and nothing done, where it is no such file."""
    if file.unit != "mm" or file.path.suffix.lower() != ".ply":
        return False
    textures = {name: file.path.parent / name for name in _texture_names(file.path)}
    if any(Path(name).name != name or not path.is_file() for name, path in textures.items()):
        return False
    places = {path: target.parent / name for name, path in textures.items()}
    if any(place.is_file() and place.read_bytes() != path.read_bytes() for path, place in places.items()):
        return False  # another object's texture has that name
    for path, place in places.items():
        copy_whole(path, place)
    copy_whole(file.path, target)
    return True


def _texture_names(path: Path) -> list[str]:
    """The texture files that a PLY's header names."""
    with path.open("rb") as file:
        header = file.read(MAX_HEADER_BYTES).split(b"end_header", 1)[0].decode("latin-1")
    return re.findall(r"^comment\s+TextureFile\s+(.+?)\s*$", header, re.MULTILINE | re.IGNORECASE)


def write_metre_models(
    dataset: Dataset, obj_ids: Iterable[int], folder: Path, current: Collection[int] = ()
) -> None:
    """Write these meshes as PLY in metres, as FoundationPose and BundleSDF read them.

    Those in `current` are left as they are where they are there: they are known to be these meshes.

    Raises:
        MeshError: a mesh is unreadable or implausible.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for obj_id in obj_ids:
        path = folder / f"obj_{obj_id:06d}.ply"
        if obj_id not in current or not path.is_file():
            _remove_model(path)
            save_mesh_ply(dataset.load_mesh(obj_id), path, "m")
