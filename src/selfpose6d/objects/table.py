"""The objects of a network as a table: what it keeps of them in its checkpoint."""

from collections.abc import Iterable

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.network.estimator import ObjectTable


def object_table(obj_ids: Iterable[int], meshes: Iterable[Mesh]) -> ObjectTable:
    """Ids, diameters and centres as the network keeps them."""
    meshes = list(meshes)
    return ObjectTable(
        tuple(obj_ids),
        tuple(mesh.diameter_m for mesh in meshes),
        tuple((float(x), float(y), float(z)) for x, y, z in (mesh.centre_m for mesh in meshes)),
    )
