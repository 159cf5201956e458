"""Points of a mesh's surface as cameras see it: as dense as it shows, none inside slits and hollows.

Scans have folds and inner walls that no camera ever measures; symmetries are judged by what can be seen.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import transform_points
from selfpose6d.geometry.viewpoints import fibonacci_sphere, look_from
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import SurfaceSamples, sample_surface
from selfpose6d.renderer.packed import pack_meshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize

VIEWS, SIZE_PX = 64, 96
"""Directions, 26 degrees apart, and pixels of a rendering: a slit of a hundredth of the diameter is a pixel wide."""
DISTANCE_RADII = 20
"""Of the views: nearly parallel rays."""
CANDIDATES = 6
"""Points drawn for each that is kept: enough that the kept ones differ where a third of the surface is hidden."""
SAME_SURFACE = 0.012
"""Of the diameter; a point this near behind the rendered surface is on it. About a pixel on a slanted face."""


def exposed_samples(mesh: Mesh, count: int, generator: np.random.Generator) -> SurfaceSamples:
    """Points drawn with a density that grows with the directions from which they are seen.

    Raises:
        MeshError: the mesh has no area.
    """
    samples = sample_surface(mesh, CANDIDATES * count, generator)
    exposure = _exposure(mesh, torch.from_numpy(samples.points_m))
    if not exposure.any():
        exposure = np.ones_like(exposure)
    steps = (np.arange(count) + 0.5) / count
    cumulative = np.cumsum(exposure) / exposure.sum()
    chosen = np.minimum(np.searchsorted(cumulative, steps), len(exposure) - 1)
    rgb = None if samples.rgb is None else samples.rgb[chosen]
    return replace(samples, points_m=samples.points_m[chosen], normals=samples.normals[chosen], rgb=rgb)


def _exposure(mesh: Mesh, points_m: Float[Tensor, "points 3"]) -> Float[np.ndarray, " points"]:
    """Fraction of the views that see each point."""
    centre = torch.from_numpy(np.asarray(mesh.centre_m, np.float32))
    distance_m = DISTANCE_RADII * mesh.radius_m
    T_cam_obj = look_from(fibonacci_sphere(VIEWS), centre, distance_m)
    focal, middle = 0.48 * SIZE_PX * DISTANCE_RADII, (SIZE_PX - 1) / 2
    K = torch.tensor([[focal, 0, middle], [0, focal, middle], [0, 0, 1.0]])
    raster = rasterize(PosedMeshes.of_one(pack_meshes([mesh]), 0, T_cam_obj, K, (SIZE_PX, SIZE_PX)))
    seen = transform_points(T_cam_obj, points_m.expand(VIEWS, -1, -1))
    pixel = (seen[..., :2] / seen[..., 2:] * focal + middle).round().long().clamp(0, SIZE_PX - 1)
    surface_m = raster.depth_m.flatten(1).gather(1, pixel[..., 1] * SIZE_PX + pixel[..., 0])
    shown = (surface_m > 0) & (seen[..., 2] < surface_m + SAME_SURFACE * mesh.diameter_m)
    return shown.double().mean(0).numpy()


def parameters() -> tuple[object, ...]:
    """All that the points depend on beside the mesh, for the key of a cache."""
    return VIEWS, SIZE_PX, DISTANCE_RADII, CANDIDATES, SAME_SURFACE
