"""Kernel of the coordinate estimator's two images: colours with and without the light, points near the object."""

import math

import numba
import numpy as np

SURFACE_GAIN = 3.0
"""Points in diameters have a deviation of about a third: enlarged, they are of like size as colours."""
FARTHEST = 1.0
"""Diameters from the points' middle; what lies farther is of something else and is not shown to the network."""


@numba.njit(cache=True, error_model="numpy", nogil=True)
def prepare_images(
    rgb, mask, surface, diameter_m, rgb_mean, rgb_deviation, min_contrast, max_contrast, colours_out, surface_out
):  # pragma: no cover - compiled  # fmt: skip
    """Colours by fixed statistics and about the mask's mean in its deviations; points in diameters.

    `rgb` and both outputs have their channels last.
    """
    instances, size = mask.shape[:2]
    light, scale, offset = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    for c in range(3):
        scale[c], offset[c] = 1 / rgb_deviation[c], -rgb_mean[c] / rgb_deviation[c]
    for b in range(instances):
        deviation = _light_of(rgb[b], mask[b], light)
        contrast = np.float32(1 / (deviation + min_contrast))
        farthest, gain = (FARTHEST * diameter_m[b]) ** 2, np.float32(SURFACE_GAIN / diameter_m[b])
        limit = np.float32(max_contrast)
        for row in range(size):
            for column in range(size):
                given, colours, points = (
                    rgb[b, row, column],
                    colours_out[b, row, column],
                    surface_out[b, row, column],
                )
                for c in range(3):
                    colours[c] = given[c] * scale[c] + offset[c]
                    colours[3 + c] = min(max((given[c] - light[c]) * contrast, -limit), limit)
                x, y, z = surface[b, 0, row, column], surface[b, 1, row, column], surface[b, 2, row, column]
                if x * x + y * y + z * z < farthest:
                    points[0], points[1], points[2] = gain * x, gain * y, gain * z
                    points[3], points[4] = surface[b, 3, row, column], surface[b, 4, row, column]
                else:
                    points[:] = 0


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _light_of(rgb, mask, mean_out):  # pragma: no cover - compiled
    """Deviation of the mask's colours about their mean, of all channels; writes the mean. 0 of an empty mask."""
    size, count = len(mask), 0
    red, green, blue, squared = 0.0, 0.0, 0.0, 0.0
    for row in range(size):
        for column in range(size):
            if mask[row, column]:
                count += 1
                r, g, b = rgb[row, column, 0], rgb[row, column, 1], rgb[row, column, 2]
                red, green, blue = red + r, green + g, blue + b
    known = max(count, 1)
    mean_out[0], mean_out[1], mean_out[2] = red / known, green / known, blue / known
    for row in range(size):
        for column in range(size):
            if mask[row, column]:
                for c in range(3):
                    squared += (rgb[row, column, c] - mean_out[c]) ** 2
    return math.sqrt(squared / 3 / known)
