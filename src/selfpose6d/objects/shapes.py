"""What losses, targets and refinement need of each object's shape, in the order of the channels."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.nearest import (
    DEFAULT_CELLS,
    DEFAULT_MARGIN,
    NearestGrid,
    build_nearest_grid,
    stack_nearest_grids,
)
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_surface
from selfpose6d.objects.mesh_cache import cached_arrays, default_cache_dir

NUM_POINTS = 500
"""Of each object, that losses compare: as in DenseFusion."""
GRID_SAMPLES = 8_000
"""Of the nearest-point grid: half of the annotator's, for many objects at once."""
GRID_CELLS = DEFAULT_CELLS
"""Along each edge of the grid's cube."""


@dataclass(frozen=True)
class ObjectShapes:
    """Surface points of every object, and the grid that finds the nearest of many more."""

    points_m: Float[Tensor, "objects points 3"]
    grid: NearestGrid

    def to(self, device: torch.device | str) -> "ObjectShapes":
        """The same shapes on another device."""
        return ObjectShapes(self.points_m.to(device), self.grid.to(device))


def build_object_shapes(meshes: Iterable[Mesh]) -> ObjectShapes:
    """Sample and index the meshes; the same meshes give the same shapes. What is slow is kept in the cache."""
    grids = []
    for mesh in meshes:
        what = f"grid {GRID_SAMPLES, GRID_CELLS, DEFAULT_MARGIN}"
        arrays = cached_arrays(
            mesh, what, NearestGrid._fields, partial(_grid_arrays, mesh), default_cache_dir()
        )
        grids.append(NearestGrid(**arrays))
    grid = stack_nearest_grids(grids)
    return ObjectShapes(grid.points_m[:, :: GRID_SAMPLES // NUM_POINTS][:, :NUM_POINTS].clone(), grid)


def _grid_arrays(mesh: Mesh) -> dict[str, Tensor]:
    samples = sample_surface(mesh, GRID_SAMPLES, np.random.default_rng(0))
    return build_nearest_grid(samples.points_m, samples.normals, GRID_CELLS)._asdict()
