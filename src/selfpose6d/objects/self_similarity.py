"""In which poses an object is like itself: found once per mesh by registering it to itself.

Geometry alone cannot tell such poses apart, so the annotator tries them all and lets colour choose (a can's axis, a
box's four ways round).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.nearest import NearestGrid
from selfpose6d.geometry.se3 import rotation_taking
from selfpose6d.geometry.so3 import pairwise_angle_rad, super_fibonacci
from selfpose6d.meshes.self_comparison import SelfComparison
from selfpose6d.resolver.icp import ResolverOptions, resolve

STARTS = 2_000
"""Rotations about 20 degrees apart, within reach of `REGISTRATION`."""
REGISTRATION = ResolverOptions(iterations=40)
NUM_POINTS = 400
"""Of the surface, that are registered."""
MAX_SHAPE_RMS = 0.025
"""Residual, in diameters, up to which a depth camera cannot tell two poses apart."""
SPACING_RAD = 0.1
"""Elements nearer than this (6 degrees) are one; between them refinement finds its way."""
MAX_ELEMENTS = 256
"""A sphere's would not end."""


@dataclass(frozen=True)
class SelfSimilarity:
    """Transforms that lay the object onto itself by shape, the identity first.

    `shape_rms_m` is the residual distance, `shape_far_m` what 99 % of the surface stays under, `colour_distance` the
    LAB distance that nine tenths of the surface stay under: infinite, the identity apart, where no colour is known, so
    that nothing is proven.
    """

    T_obj_obj: Float[Tensor, "elements 4 4"]
    shape_rms_m: Float[Tensor, " elements"]
    shape_far_m: Float[Tensor, " elements"]
    colour_distance: Float[Tensor, " elements"]

    def to(self, device: torch.device | str) -> "SelfSimilarity":
        """The same on another device."""
        return SelfSimilarity(*(value.to(device) for value in vars(self).values()))


def parameters() -> tuple[object, ...]:
    """All that `find_self_similarity` depends on beside the mesh, for the key of a cache."""
    return STARTS, REGISTRATION, NUM_POINTS, MAX_SHAPE_RMS, SPACING_RAD, MAX_ELEMENTS


def find_self_similarity(grid: NearestGrid, comparison: SelfComparison) -> SelfSimilarity:
    """Register the object to itself from evenly spread rotations; keep the different poses that fit.

    Registration pairs few points through the grid; the residuals of what it finds are exact.
    """
    points, diameter_m = grid.points_m[0], comparison.mesh.diameter_m
    chosen = torch.linspace(0, len(points) - 1, NUM_POINTS, device=points.device).long()
    cloud, centre = points[chosen], 0.5 * (points.amin(0) + points.amax(0))
    R = torch.cat([torch.eye(3, device=points.device)[None], super_fibonacci(STARTS).to(points.device)])
    T = rotation_taking(R, centre, centre)
    zero = torch.zeros(len(T), dtype=torch.long, device=points.device)
    result = resolve(T, cloud[None], zero, grid, zero, REGISTRATION)
    back = resolve(T[:1], cloud[None], zero[:1], grid, zero[:1], ResolverOptions(iterations=0))
    allowed_m = back.rms_m[0] + MAX_SHAPE_RMS * diameter_m
    order = result.rms_m.argsort()
    order = torch.cat([zero[:1], order[(result.rms_m[order] < allowed_m) & (order > 0)]])
    T = _spread(result.T_cam_obj[order], SPACING_RAD)
    T[0] = torch.eye(4, device=points.device)
    residuals = comparison.residuals(T.double().cpu().numpy())
    colour_lab = residuals.colour_lab.copy()
    colour_lab[0] = 0.0
    measured = (residuals.rms_m, residuals.far_m, colour_lab)
    return SelfSimilarity(T, *(torch.from_numpy(values).to(T) for values in measured))


def _spread(T: Float[Tensor, "n 4 4"], spacing_rad: float) -> Float[Tensor, "kept 4 4"]:
    """The first pose, then each next one that differs from all kept ones."""
    near = pairwise_angle_rad(T[:, :3, :3], T[:, :3, :3]) < spacing_rad
    kept: list[int] = []
    free = torch.ones_like(near[0])
    while free.any() and len(kept) < MAX_ELEMENTS:
        first = int(free.to(torch.uint8).argmax())
        kept.append(first)
        free &= ~near[first]
    return T[kept]
