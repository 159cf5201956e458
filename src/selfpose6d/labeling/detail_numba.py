"""Kernels of `detail.high_pass`: running sums, images in parallel."""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def high_pass_images(lab, mask, radius, detail):  # pragma: no cover - compiled
    for image in numba.prange(len(lab)):
        blurred = _half_size(lab[image], mask[image])
        for _ in range(4):  # down and across, twice
            blurred = _mean_down_rows(blurred, radius)
        _divide_by_weight(blurred)
        for row in range(lab.shape[1]):
            for column in range(lab.shape[2]):
                if mask[image, row, column]:
                    for k in range(3):
                        detail[image, k, row, column] = (
                            lab[image, row, column, k] - blurred[row // 2, column // 2, k]
                        )


@numba.njit(cache=True, error_model="numpy")
def _half_size(lab, mask):  # pragma: no cover - compiled
    """Means over 2 x 2 pixels of the masked LAB and of the mask, channels last."""
    half = np.zeros((lab.shape[0] // 2, lab.shape[1] // 2, 4), np.float32)
    for row in range(lab.shape[0]):
        for column in range(lab.shape[1]):
            if mask[row, column]:
                sums = half[row // 2, column // 2]
                for k in range(3):
                    sums[k] += np.float32(0.25) * lab[row, column, k]
                sums[3] += np.float32(0.25)
    return half


@numba.njit(cache=True, error_model="numpy")
def _mean_down_rows(image, radius):  # pragma: no cover - compiled
    """Mean over the rows within `radius` (0 beyond the image), transposed: two calls filter both ways."""
    rows, columns, channels = image.shape
    mean = np.empty((columns, rows, channels), np.float32)
    running = np.zeros((columns, channels), np.float32)
    weight = np.float32(1.0 / (2 * radius + 1))
    for row in range(min(radius, rows)):
        running += image[row]
    for row in range(rows):
        if row + radius < rows:
            running += image[row + radius]
        if row - radius > 0:
            running -= image[row - radius - 1]
        for column in range(columns):
            for k in range(channels):
                mean[column, row, k] = running[column, k] * weight
    return mean


@numba.njit(cache=True, error_model="numpy")
def _divide_by_weight(image):  # pragma: no cover - compiled
    """Sums over the mask become means, in place."""
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            weight = np.float32(1.0) / max(image[row, column, 3], np.float32(1e-3))
            for k in range(3):
                image[row, column, k] *= weight
