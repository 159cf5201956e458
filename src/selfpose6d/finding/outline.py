"""Whether the surface ends where the object does: beyond an outline that is right there is something else."""

import numpy as np
from jaxtyping import Bool
from scipy.ndimage import distance_transform_edt

from selfpose6d.finding.surface import Surface, nearest_in

INNER_PX, OUTER_PX = 2, 4
"""Grid pixels on either side of the outline that are compared: in between depth is mixed, and poses a little off."""
SAME_PLANE_SIGMA, SAME_PLANE_RATIO = 3.0, 0.004
"""How far one of them may lie off the other's plane: deviations of the noise, and 4 mm at a metre."""
SAME_NORMAL = 0.94
"""Least cosine of their normals: 20 degrees."""
LEAST_COMPARED = 20
"""Pixels of an outline, below which nothing is said."""


def continues_beyond(surface: Surface, on_grid: Bool[np.ndarray, "rows columns"]) -> float:
    """Fraction of an object's outline beyond which the surface goes on as if there was no outline; 0 where too little
    of it can be seen.

    What lies in front of the object hides where it ends, and does not count.
    """
    if not on_grid.any():
        return 0.0
    window = _about(on_grid)
    on_grid, z = on_grid[window], surface.points_cam_m[window]
    known = (z[..., 2] > 0) & (surface.normal[window] != 0).any(-1)
    inside = (np.asarray(distance_transform_edt(on_grid)) >= INNER_PX) & known
    if not inside.any():
        return 0.0
    beyond_px = np.asarray(distance_transform_edt(~on_grid))
    ring = (beyond_px > OUTER_PX - 1) & (beyond_px <= OUTER_PX)
    row, column = np.nonzero(ring & known)
    near_row, near_column = nearest_in(inside)[:, row, column]
    here, there = z[row, column], z[near_row, near_column]
    normals = surface.normal[window]
    normal, other = normals[row, column], normals[near_row, near_column]
    tolerance_m = SAME_PLANE_SIGMA * surface.noise_m[window][row, column] + SAME_PLANE_RATIO * here[:, 2]
    off_m = np.maximum(np.abs(((here - there) * normal).sum(-1)), np.abs(((here - there) * other).sum(-1)))
    goes_on = (off_m < tolerance_m) & ((normal * other).sum(-1) > SAME_NORMAL)
    hides = here[:, 2] < there[:, 2] - 3 * tolerance_m
    counted = ~hides | goes_on
    return float(goes_on.sum() / counted.sum()) if counted.sum() >= LEAST_COMPARED else 0.0


def _about(mask: Bool[np.ndarray, "rows columns"]) -> tuple[slice, slice]:
    """The mask's box and its surroundings, as far as they are looked at."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    margin = OUTER_PX + 1
    return (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
