"""Kernels of `score`: one pass over the pixels of each candidate, candidates in parallel."""

import numba


@numba.njit(parallel=True, cache=True, error_model="numpy")
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


@numba.njit(parallel=True, cache=True, error_model="numpy")
def pick_covered(covered, detail, pixels, region, picked):  # pragma: no cover - compiled
    width = covered.shape[2]
    for pose in numba.prange(len(covered)):
        for i, pixel in enumerate(pixels):
            row, column = pixel // width, pixel % width
            if covers(covered[pose], row, column, 1):
                region[pose, i] = 1.0
                for k in range(3):
                    picked[k, pose, i] = detail[pose, k, row, column]


@numba.njit(cache=True, error_model="numpy")
def covers(covered, row, column, radius):  # pragma: no cover - compiled
    """Whether the square of side `2 * radius + 1` about the pixel lies in the image and is covered throughout."""
    height, width = covered.shape
    if row < radius or column < radius or row >= height - radius or column >= width - radius:
        return False
    for i in range(row - radius, row + radius + 1):
        for j in range(column - radius, column + radius + 1):
            if not covered[i, j]:
                return False
    return True
