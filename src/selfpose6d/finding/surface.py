"""The frame's depth as a surface, at a resolution that objects need: points, normals, where it tears and folds."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import distance_transform_edt

from selfpose6d.finding.surface_kernels import fit_normals, mark_edges
from selfpose6d.labeling.observation import ObservedFrame

MAX_WIDTH_PX = 320
"""Of the grid of pixels that are looked at: objects that are worth finding have some hundred of them."""
NORMAL_RADIUS_PX = 4
"""Of the window a normal is fitted in, grid pixels: 9 x 9 average a depth camera's noise to some degrees."""
FOLD_DISTANCE_PX = 4
"""Normals on either side of a fold are taken this far from it, out of each other's windows."""
REACH_SIGMA, JUMP_SIGMA = 4.0, 5.0
"""Deviations of the noise by which depth may differ within a window, and from the neighbour's plane on one surface."""
MAX_SLOPE = 3.0
"""Depth a unit of width, within a window: surfaces seen more flatly than 72 degrees have no normal worth using."""
MIN_JUMP_RATIO = 0.004
"""Of the distance: steps below 4 mm at a metre are relief, not another object."""
NOISE_STEPS = 16
"""Distances at which the noise is looked up; between them it is interpolated."""


@dataclass(frozen=True)
class Surface:
    """What the depth of a frame shows, one pixel of `step_px` x `step_px` of the image. Depth 0 is unknown."""

    step_px: int
    points_cam_m: Float[np.ndarray, "rows columns 3"]
    """z 0 where unknown."""
    noise_m: Float[np.ndarray, "rows columns"]
    """Standard deviation of the depth."""
    normal: Float[np.ndarray, "rows columns 3"]
    """Towards the camera; 0 where there is none."""
    torn: Bool[np.ndarray, "rows columns"]
    """Depth steps."""
    fold_rad: Float[np.ndarray, "rows columns"]
    """By which the surface folds towards the camera, as it does where things touch."""
    rays: Float[np.ndarray, "rows columns 3"]
    """Of each pixel, at z = 1."""
    image_shape: tuple[int, int]

    @classmethod
    def of(cls, seen: ObservedFrame) -> "Surface":
        """Of one frame."""
        height, width = seen.depth_m.shape
        step = max(1, -(-width // MAX_WIDTH_PX))
        rows, columns = np.arange(step // 2, height, step), np.arange(step // 2, width, step)
        z = np.ascontiguousarray(seen.depth_m[np.ix_(rows, columns)], np.float32)
        K = seen.frame.K
        x, y = np.meshgrid((columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1])
        rays = np.stack([x, y, np.ones_like(x)], -1)
        points = (rays * z[..., None]).astype(np.float32)
        noise = noise_of(seen, z)
        normal = np.zeros_like(points)
        reach = (REACH_SIGMA * noise).astype(np.float32)
        fit_normals(points, NORMAL_RADIUS_PX, reach, np.float32(MAX_SLOPE * step / K[0, 0]), normal)
        torn, fold = np.zeros(z.shape, bool), np.zeros(z.shape, np.float32)
        jump = np.maximum(JUMP_SIGMA * noise, MIN_JUMP_RATIO * z).astype(np.float32)
        mark_edges(points, normal, jump, FOLD_DISTANCE_PX, torn, fold)
        return cls(step, points, noise, normal, torn, fold, rays, (height, width))

    @cached_property
    def known(self) -> Bool[np.ndarray, "rows columns"]:
        """Where depth was measured."""
        return self.points_cam_m[..., 2] > 0

    @cached_property
    def filled_cam_m(self) -> Float[np.ndarray, "rows columns 3"]:
        """The points; where depth is unknown, at the depth of the nearest pixel that has one. 0 without any."""
        known = self.known
        if known.all() or not known.any():
            return self.points_cam_m
        row, column = nearest_in(known)
        z = self.points_cam_m[row, column, 2]
        return (self.rays * z[..., None]).astype(np.float32)

    def to_image(self, mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "height width"]:
        """A mask of the grid in the whole image."""
        height, width = self.image_shape
        whole = mask.repeat(self.step_px, 0).repeat(self.step_px, 1)
        # the last grid pixel stands for what is left at the border, too
        missing = max(0, height - whole.shape[0]), max(0, width - whole.shape[1])
        return np.pad(whole, ((0, missing[0]), (0, missing[1])), mode="edge")[:height, :width]

    def from_image(self, mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "rows columns"]:
        """A mask of the image on the grid."""
        return mask[self.step_px // 2 :: self.step_px, self.step_px // 2 :: self.step_px]


def nearest_in(mask: Bool[np.ndarray, "rows columns"]) -> Int[np.ndarray, "2 rows columns"]:
    """Row and column of each pixel's nearest pixel within the mask, which must not be empty."""
    return np.asarray(distance_transform_edt(~mask, return_distances=False, return_indices=True))


def noise_of(seen: ObservedFrame, z: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
    """Standard deviation of the depth at each pixel."""
    known = z[z > 0]
    if not len(known):
        return np.zeros(z.shape, np.float32)
    at_m = np.geomspace(max(float(known.min()), 1e-3), max(float(known.max()), 2e-3), NOISE_STEPS)
    return np.interp(z, at_m, [seen.noise.at(float(m)) for m in at_m]).astype(np.float32)
