"""Support planes: tables, floors, walls, the bottom of a bin. What lies on one of them is no object."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.finding.surface import Surface

MAX_PLANES = 5
"""A table, its floor, two walls and one more."""
SAMPLES, POINTS = 300, 3000
"""Pixels whose normals are tried as a plane, and pixels that vote: a plane with a thirtieth of them is missed once in
10,000 frames."""
MIN_SHARE = 0.03
"""Of the known pixels that make a plane worth looking at."""
MIN_EXTENT = 1.3
"""Of the largest object's diameter: flat faces of objects are smaller."""
BRIDGE_PX = 31
"""Of the grid: patches of a plane not farther apart are one, seen around something."""
REFITS = 3
"""Of a plane to the pixels near it."""
PARALLEL = 0.95
"""Least cosine between the normals of parallel planes."""
SAME_NORMAL = 0.9
"""Least cosine between a pixel's normal and its plane's."""
TOLERANCE_SIGMA, TOLERANCE_RATIO = 3.0, 0.003
"""Of the height above a plane that is still the plane: noise, and a camera's slow distortion (3 mm at a metre)."""


@dataclass(frozen=True)
class Plane:
    """n . X = d in the camera's frame, n towards the camera; and the grid's pixels on it."""

    normal: Float[np.ndarray, "3"]
    offset_m: float
    on_it: Bool[np.ndarray, "rows columns"]

    def height_m(self, points_cam_m: Float[np.ndarray, "*shape 3"]) -> Float[np.ndarray, "*shape"]:
        """Above the plane, towards the camera's side."""
        return points_cam_m @ self.normal - self.offset_m


def find_planes(surface: Surface, largest_m: float) -> list[Plane]:
    """The planes larger than any object (`largest_m`: the greatest diameter), the one with most pixels first."""
    generator = np.random.default_rng(0)
    tolerance = TOLERANCE_SIGMA * surface.noise_m + TOLERANCE_RATIO * surface.points_cam_m[..., 2]
    free = surface.known & (surface.normal[..., 2] < 0)
    least = MIN_SHARE * max(int(surface.known.sum()), 1)
    whole, patched = [], []
    for _ in range(2 * MAX_PLANES):
        if free.sum() < least or len(whole) + len(patched) == MAX_PLANES:
            break
        plane = _strongest(surface, free, tolerance, generator)
        if plane is None or (plane.on_it & free).sum() < least:
            break
        if _extent_m(surface, plane, free, BRIDGE_PX) > MIN_EXTENT * largest_m:
            alone = _extent_m(surface, plane, free, 1) > MIN_EXTENT * largest_m
            (whole if alone else patched).append(plane)
        free &= ~plane.on_it
    # boxes of one height have their tops in one plane: patches just above another plane are what stands on it
    return whole + [
        one for one in patched if not any(_on_top(one, other, largest_m) for other in whole + patched)
    ]


def _on_top(plane: Plane, other: Plane, largest_m: float) -> bool:
    """Whether it is parallel to the other and above it, by less than an object's size."""
    if plane is other or plane.normal @ other.normal < PARALLEL:
        return False
    return 0 < plane.offset_m - other.offset_m < largest_m


def _strongest(
    surface: Surface,
    free: Bool[np.ndarray, "rows columns"],
    tolerance: Float[np.ndarray, "rows columns"],
    generator: np.random.Generator,
) -> Plane | None:
    points, normals = surface.points_cam_m[free].astype(np.float64), surface.normal[free].astype(np.float64)
    near = tolerance[free]
    thin = generator.choice(len(points), min(len(points), POINTS), replace=False)
    points, normals, near = points[thin], normals[thin], near[thin]
    # one pixel with its normal is a plane: of random ones more hit it than of random triples
    seeds = generator.integers(0, len(points), SAMPLES)
    n, d = normals[seeds], (normals[seeds] * points[seeds]).sum(1)
    fits = (np.abs(points @ n.T - d) < 2 * near[:, None]) & (normals @ n.T > SAME_NORMAL)
    best, normal, offset = fits[:, fits.sum(0).argmax()], np.zeros(3), 0.0
    for _ in range(REFITS):
        if best.sum() < 3:
            return None
        centre = points[best].mean(0)
        normal = np.linalg.svd(points[best] - centre, full_matrices=False)[2][2]
        normal = -np.sign(normal @ centre) * normal
        offset = float(normal @ centre)
        best = (np.abs(points @ normal - offset) < near) & (normals @ normal > SAME_NORMAL)
    height = surface.points_cam_m @ normal - offset
    facing = (surface.normal @ normal > SAME_NORMAL) | (surface.normal[..., 2] == 0)
    on_it = surface.known & (np.abs(height) < tolerance) & facing
    return Plane(normal, offset, on_it)


def _extent_m(
    surface: Surface, plane: Plane, free: Bool[np.ndarray, "rows columns"], bridge_px: int
) -> float:
    """Of the plane's largest patch; gaps of `bridge_px` do not part it."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (bridge_px, bridge_px))
    on_it = plane.on_it & free
    patch = cv2.dilate(on_it.astype(np.uint8), kernel)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(patch)
    if len(statistics) < 2:
        return 0.0
    largest = labels == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax()
    return extent_m(surface.points_cam_m[largest & on_it])


def extent_m(points_m: Float[np.ndarray, "points 3"]) -> float:
    """Length of a surface along its longest axis, the outermost hundredths left out."""
    if len(points_m) < 3:
        return 0.0
    centred = points_m - points_m.mean(0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, 2]
    low, high = np.quantile(centred @ axis, [0.01, 0.99])
    return float(high - low)
