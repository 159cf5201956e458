"""What losses, targets and refinement need to know of each object's shape, in the order of the channels."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.nearest import NearestGrid, build_nearest_grid, stack_nearest_grids
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.network.estimator import ObjectTable

POINTS = 500
GRID_SAMPLES = 8_000


@dataclass(frozen=True)
class ObjectShapes:
    """Surface points of every object, and the grid that finds the nearest of many more."""

    points_m: Float[Tensor, "objects points 3"]
    grid: NearestGrid

    def to(self, device: torch.device | str) -> "ObjectShapes":
        """The same shapes on another device."""
        return ObjectShapes(self.points_m.to(device), self.grid.to(device))


def build_object_shapes(meshes: Iterable[Mesh]) -> ObjectShapes:
    """Sample and index the meshes; the same meshes give the same shapes."""
    points, grids = [], []
    for mesh in meshes:
        samples = sample_surface(mesh, GRID_SAMPLES, np.random.default_rng(0))
        grids.append(build_nearest_grid(samples.points_m, samples.normals))
        points.append(torch.from_numpy(samples.points_m[:: GRID_SAMPLES // POINTS][:POINTS]))
    return ObjectShapes(torch.stack(points), stack_nearest_grids(grids))


def object_table(obj_ids: Iterable[int], meshes: Iterable[Mesh]) -> ObjectTable:
    """Ids, diameters and centres as the network keeps them."""
    meshes = list(meshes)
    return ObjectTable(
        tuple(obj_ids),
        tuple(mesh.diameter_m for mesh in meshes),
        tuple((float(x), float(y), float(z)) for x, y, z in (mesh.centre_m for mesh in meshes)),
    )
