"""Nearest model point by a precomputed voxel grid: one gather in place of a search.

The model does not move in its own frame, so the nearest sample of every voxel centre is computed once per mesh.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.errors import MeshError

DEFAULT_CELLS = 128
"""A side: 2 million 16-bit indices, 4 MB an object, and cells of 3 mm on a cracker box with its margins."""
DEFAULT_MARGIN = 0.35
"""Of the longest extent on each side: start poses are off by less; farther points are looked up at the border."""


class NearestGrid(NamedTuple):
    """Nearest-sample lookup for several models at once (first dimension).

    `nearest[m, i, j, k]` names the sample of model m nearest to the voxel's centre, which lies at
    `origin_m[m] + (i, j, k) * cell_m[m]`. Points outside the grid are looked up at its border.
    """

    nearest: Int[Tensor, "models cells cells cells"]
    origin_m: Float[Tensor, "models 3"]
    cell_m: Float[Tensor, " models"]
    points_m: Float[Tensor, "models samples 3"]
    normals: Float[Tensor, "models samples 3"]

    def to(self, device: torch.device | str) -> "NearestGrid":
        """The same grid on another device."""
        return NearestGrid(*(value.to(device) for value in self))


def build_nearest_grid(
    points_m: Float[np.ndarray, "samples 3"],
    normals: Float[np.ndarray, "samples 3"],
    cells: int = DEFAULT_CELLS,
    margin: float = DEFAULT_MARGIN,
) -> NearestGrid:
    """Grid for one model; a cube around the samples, wider by `margin` of the longest extent on each side.

    Raises:
        MeshError: all samples are the same point.
    """
    from scipy.spatial import KDTree

    low, high = points_m.min(axis=0).astype(np.float64), points_m.max(axis=0).astype(np.float64)
    side = float((high - low).max()) * (1 + 2 * margin)
    if not side > 0:
        raise MeshError(
            f"a nearest-point grid needs samples with an extent, got {len(points_m)} times {low.tolist()} m. "
            "Check the mesh's vertices."
        )
    cell = side / cells
    origin = 0.5 * (low + high) - 0.5 * side + 0.5 * cell
    axes = [origin[d] + cell * np.arange(cells) for d in range(3)]
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    _, nearest = KDTree(points_m).query(centres, workers=-1)
    dtype = np.int16 if len(points_m) <= np.iinfo(np.int16).max else np.int32
    return NearestGrid(
        nearest=torch.from_numpy(nearest.astype(dtype).reshape(1, cells, cells, cells)),
        origin_m=torch.tensor(origin, dtype=torch.float32)[None],
        cell_m=torch.tensor([cell], dtype=torch.float32),
        points_m=torch.as_tensor(points_m, dtype=torch.float32)[None],
        normals=torch.as_tensor(normals, dtype=torch.float32)[None],
    )


def stack_nearest_grids(grids: Sequence[NearestGrid]) -> NearestGrid:
    """Several models in one grid object; all must have the same number of cells and samples."""
    return NearestGrid(*map(torch.cat, zip(*grids, strict=True)))


def nearest_index(
    grid: NearestGrid, model: Int[Tensor, " batch"], points_obj_m: Float[Tensor, "batch points 3"]
) -> Int[Tensor, "batch points"]:
    """Sample index nearest to each point (to within a cell), points in their model's frame; of NaN any sample."""
    cells = grid.nearest.shape[-1]
    ijk = (points_obj_m - grid.origin_m[model][:, None]) / grid.cell_m[model][:, None, None]
    i, j, k = ijk.round().nan_to_num(0.0).clamp(0, cells - 1).long().unbind(-1)
    return grid.nearest[model[:, None], i, j, k].long()
