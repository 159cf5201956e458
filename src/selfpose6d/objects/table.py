"""The objects of a network as a table: what it keeps of them, and their meshes, found again and checked by it."""

from collections.abc import Iterable, Mapping

from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.errors import CheckpointError
from selfpose6d.meshes.mesh import Mesh, require_mesh
from selfpose6d.network.interface import ObjectTable

_TOLERANCE = 0.02
"""Relative, of diameters. A choice: another export of a mesh changes less, another object or unit mostly more."""
_REMEDY = "Pass the models it was trained with (--models DIR)."


def object_table(obj_ids: Iterable[int], meshes: Iterable[Mesh]) -> ObjectTable:
    """Ids, diameters and centres as the network keeps them."""
    meshes = list(meshes)
    return ObjectTable(
        tuple(obj_ids),
        tuple(mesh.diameter_m for mesh in meshes),
        tuple((float(x), float(y), float(z)) for x, y, z in (mesh.centre_m for mesh in meshes)),
    )


def load_known_meshes(objects: ObjectTable, models: ModelFiles | Mapping[int, Mesh]) -> dict[int, Mesh]:
    """Those of the network's objects that there are meshes of, in the network's order.

    Raises:
        CheckpointError: it has none of them, or a mesh is not the one that the network was trained on.
        MeshError: a mesh file is unreadable.
        UsageError: a mesh is none.
    """
    if isinstance(models, Mapping):
        present, load = tuple(models), models.__getitem__
    else:
        present, load = models.object_ids, models.load
    wanted = [obj_id for obj_id in objects.obj_ids if obj_id in present]
    meshes = {obj_id: require_mesh(load(obj_id), f"models[{obj_id}]") for obj_id in wanted}
    if not meshes:
        raise CheckpointError(
            f"the model was trained on objects {_list(objects.obj_ids)}, the meshes are of {_list(present)}. "
            f"{_REMEDY}"
        )
    for obj_id, expected_m in zip(objects.obj_ids, objects.diameter_m, strict=True):
        if obj_id in meshes and abs(meshes[obj_id].diameter_m - expected_m) > _TOLERANCE * expected_m:
            raise CheckpointError(
                f"object {obj_id} is {meshes[obj_id].diameter_m:.4g} m across, the model was trained on "
                f"one of {expected_m:.4g} m. {_REMEDY}"
            )
    return meshes


def require_all_meshes(objects: ObjectTable, meshes: Mapping[int, Mesh]) -> list[Mesh]:
    """A mesh for each of the network's objects.

    Raises:
        CheckpointError: there is none for some of them.
    """
    if missing := [obj_id for obj_id in objects.obj_ids if obj_id not in meshes]:
        raise CheckpointError(
            f"the model was trained on objects {_list(objects.obj_ids)}, there is no mesh of "
            f"{_list(missing)}. {_REMEDY}"
        )
    return [meshes[obj_id] for obj_id in objects.obj_ids]


def _list(ids: Iterable[int]) -> str:
    return " ".join(map(str, ids))
