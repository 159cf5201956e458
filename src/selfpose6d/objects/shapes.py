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
from selfpose6d.meshes.sampling import SurfaceSamples, sample_surface
from selfpose6d.network.interface import Surfaces
from selfpose6d.objects.mesh_cache import cached_arrays, default_cache_dir

NUM_POINTS = 500
"""Of each object, that losses compare: as in DenseFusion."""
GRID_SAMPLES = 8_000
"""Of the nearest-point grid: half of the annotator's, for many objects at once."""
GRID_CELLS = DEFAULT_CELLS
"""Along each edge of the grid's cube."""
BLUR_SAMPLES = 8
"""Neighbours that a sample's colour is a mean over. A pixel of a crop sees 3 to 4 mm of a cracker box, about as far as
its samples are apart: single texels would alias."""
_BLUR_NORMAL_M = 0.01
"""Metres that unlike normals count as, so that the two sides of a thin sheet keep their own colours."""
_UNKNOWN_RGB = 0.5
"""Of meshes without colours; no one looks at it."""


@dataclass(frozen=True)
class ObjectShapes:
    """Surface points of every object, and many more with normals, colours and the grid that finds the nearest."""

    points_m: Float[Tensor, "objects points 3"]
    surfaces: Surfaces

    @property
    def grid(self) -> NearestGrid:
        """The grid of nearest points."""
        return self.surfaces.grid

    def to(self, device: torch.device | str) -> "ObjectShapes":
        """The same shapes on another device."""
        return ObjectShapes(self.points_m.to(device), self.surfaces.to(device))


def build_object_shapes(meshes: Iterable[Mesh]) -> ObjectShapes:
    """Sample and index the meshes; the same meshes give the same shapes. What is slow is kept in the cache."""
    meshes = list(meshes)
    grids, colours = [], []
    for mesh in meshes:
        what = f"surface {GRID_SAMPLES, GRID_CELLS, DEFAULT_MARGIN, BLUR_SAMPLES, _BLUR_NORMAL_M}"
        names = (*NearestGrid._fields, "rgb")
        arrays = cached_arrays(mesh, what, names, partial(_arrays, mesh), default_cache_dir())
        colours.append(arrays.pop("rgb"))
        grids.append(NearestGrid(**arrays))
    grid = stack_nearest_grids(grids)
    surfaces = Surfaces(
        grid,
        torch.stack(colours),
        torch.tensor([mesh.has_known_colour for mesh in meshes]),
        torch.tensor([mesh.diameter_m for mesh in meshes]),
        torch.tensor(np.stack([mesh.centre_m for mesh in meshes]), dtype=torch.float32),
    )
    return ObjectShapes(grid.points_m[:, :: GRID_SAMPLES // NUM_POINTS][:, :NUM_POINTS].clone(), surfaces)


def _arrays(mesh: Mesh) -> dict[str, Tensor]:
    samples = sample_surface(mesh, GRID_SAMPLES, np.random.default_rng(0))
    grid = build_nearest_grid(samples.points_m, samples.normals, GRID_CELLS)
    return {**grid._asdict(), "rgb": torch.from_numpy(_blurred_rgb(samples))}


def _blurred_rgb(samples: SurfaceSamples) -> Float[np.ndarray, "samples 3"]:
    from scipy.spatial import KDTree

    if samples.rgb is None:
        return np.full_like(samples.points_m, _UNKNOWN_RGB)
    places = np.concatenate([samples.points_m, _BLUR_NORMAL_M * samples.normals], axis=1)
    _, near = KDTree(places).query(places, k=BLUR_SAMPLES, workers=-1)
    return samples.rgb[near].mean(axis=1).astype(np.float32)
