"""Kernels of `score`: one pass over the pixels of each candidate, candidates in parallel."""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def count_shapes(
    mask, crop_depth_m, in_image, covered, depth_m, cap_m, free_space_m, counts
):  # pragma: no cover - compiled
    for pose in numba.prange(len(covered)):
        seen, measured, error_m, hiding = 0, 0, 0.0, 0
        for row in range(mask.shape[0]):
            for column in range(mask.shape[1]):
                if not covered[pose, row, column]:
                    continue
                known = crop_depth_m[row, column] > 0
                gap_m = crop_depth_m[row, column] - depth_m[pose, row, column]
                if mask[row, column]:
                    seen += 1
                    if known:
                        measured += 1
                        error_m += min(abs(gap_m), cap_m)
                elif known and in_image[row, column] and gap_m > free_space_m:
                    hiding += 1
        counts[0, pose], counts[1, pose], counts[2, pose], counts[3, pose] = seen, measured, error_m, hiding


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def pick_covered(covered, detail, pixels, region, picked):  # pragma: no cover - compiled
    width = covered.shape[2]
    for pose in numba.prange(len(covered)):
        inside = covered_around(covered[pose], 1)
        for i, pixel in enumerate(pixels):
            row, column = pixel // width, pixel % width
            if inside[row, column]:
                region[pose, i] = 1.0
                for k in range(3):
                    picked[k, pose, i] = detail[pose, k, row, column]


@numba.njit(cache=True, error_model="numpy")
def covered_around(covered, radius):  # pragma: no cover - compiled
    """Of which pixels the square of side `2 * radius + 1` about them lies in the image and is covered throughout."""
    height, width = covered.shape
    across, inside = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)
    across[:, radius : width - radius] = True
    inside[radius : height - radius] = True
    for row in range(height):
        for step in range(2 * radius + 1):
            for column in range(radius, width - radius):
                across[row, column] &= covered[row, column - radius + step]
    for row in range(radius, height - radius):
        for step in range(2 * radius + 1):
            for column in range(width):
                inside[row, column] &= across[row - radius + step, column]
    return inside
