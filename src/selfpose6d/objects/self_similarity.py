"""In which poses an object is like itself: found once per mesh by registering it to itself.

Geometry alone cannot tell such poses apart, so the annotator tries them all and lets colour choose (a can's axis, a
box's four ways round); where colour agrees too, they are the object's symmetries.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.geometry.nearest import NearestGrid, nearest_index
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.geometry.so3 import pairwise_angle_rad, super_fibonacci
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
COLOUR_QUANTILE = 0.9
"""Fraction of the points whose colours count: the others may match across an edge of the print."""
SAME_COLOUR_LAB = 25.0
"""Difference that nine tenths of the points stay under where colour is the same: set on overlays of the real sample and
one rendered set."""
SAME_SHAPE_M = 0.0025
"""Residual of a symmetry; more is a dent that a camera can see."""


@dataclass(frozen=True)
class SelfSimilarity:
    """Transforms that lay the object onto itself by shape, the identity first.

    `shape_rms_m` is the residual distance, `colour_distance` the LAB distance that nine tenths of the matched points
    stay under (0 where the mesh has no colour).
    """

    T_obj_obj: Float[Tensor, "elements 4 4"]
    shape_rms_m: Float[Tensor, "elements"]
    colour_distance: Float[Tensor, "elements"]

    def to(self, device: torch.device | str) -> "SelfSimilarity":
        """The same on another device."""
        return SelfSimilarity(*(value.to(device) for value in vars(self).values()))

    def symmetries(self) -> Float[Tensor, "symmetries 4 4"]:
        """The elements under which colour agrees as well: the object's own symmetries."""
        same = (self.colour_distance < SAME_COLOUR_LAB) & (self.shape_rms_m < SAME_SHAPE_M)
        same[0] = True
        return self.T_obj_obj[same]


def parameters() -> tuple[object, ...]:
    """All that `find_self_similarity` depends on beside the mesh, for the key of a cache."""
    return STARTS, REGISTRATION, NUM_POINTS, MAX_SHAPE_RMS, SPACING_RAD, MAX_ELEMENTS, COLOUR_QUANTILE


def find_self_similarity(
    grid: NearestGrid, rgb: Float[np.ndarray, "samples 3"] | None, diameter_m: float
) -> SelfSimilarity:
    """Register the object to itself from evenly spread rotations; keep the different poses that fit."""
    points = grid.points_m[0]
    device = points.device
    chosen = torch.linspace(0, len(points) - 1, NUM_POINTS, device=device).long()
    cloud, centre = points[chosen], 0.5 * (points.amin(0) + points.amax(0))
    R = torch.cat([torch.eye(3, device=device)[None], super_fibonacci(STARTS).to(device)])
    T = make_transform(R, centre - R @ centre)
    zero = torch.zeros(len(T), dtype=torch.long, device=device)
    result = resolve(T, cloud[None], zero, grid, zero, REGISTRATION)
    back = resolve(T[:1], cloud[None], zero[:1], grid, zero[:1], ResolverOptions(iterations=0))
    allowed_m = back.rms_m[0] + MAX_SHAPE_RMS * diameter_m
    order = result.rms_m.argsort()
    order = torch.cat([zero[:1], order[(result.rms_m[order] < allowed_m) & (order > 0)]])
    T = _spread(result.T_cam_obj[order], SPACING_RAD)
    T[0] = torch.eye(4, device=device)
    zero = zero[: len(T)]
    shape_rms_m = (
        resolve(T, cloud[None], zero, grid, zero, ResolverOptions(iterations=0)).rms_m - back.rms_m[0]
    )
    return SelfSimilarity(T, shape_rms_m.clamp_min(0), _colour_distance(T, cloud, chosen, grid, rgb))


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


def _colour_distance(
    T: Float[Tensor, "n 4 4"],
    cloud: Float[Tensor, "points 3"],
    chosen: Tensor,
    grid: NearestGrid,
    rgb: Float[np.ndarray, "samples 3"] | None,
) -> Float[Tensor, "n"]:
    if rgb is None:
        return T.new_zeros(len(T))
    lab = rgb_to_lab(torch.from_numpy(rgb).to(T.device))
    moved = transform_points(inverse(T), cloud.expand(len(T), -1, -1))
    matched = nearest_index(grid, torch.zeros(len(T), dtype=torch.long, device=T.device), moved)
    return (lab[matched] - lab[chosen]).norm(dim=-1).quantile(COLOUR_QUANTILE, -1)
