"""Kernel of `colour`: rows of every image in parallel, a row's pixels side by side."""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, error_model="numpy")
def find_nearest_colours(first, second, window, step, found):  # pragma: no cover - compiled
    """For each pixel of `first` (n, 2, h, w) the raster index of the nearest colour of `second`, at most `window` px
    away; of equal ones the first in the order of the shifts, which run in the direction `step` (1 or -1).
    """
    images, _, height, width = first.shape
    side = 2 * window + 1
    for image_row in numba.prange(images * height):
        i, row = image_row // height, image_row % height
        least = np.full(width, np.inf, np.float32)
        # the shift's number, first no shift; a float as the distances are, so that the loop is one of selections
        best = np.full(width, side * side // 2, np.float32)
        a, b = first[i, 0, row], first[i, 1, row]
        for down in range(-window, window + 1):
            y = row + step * down
            if y < 0 or y >= height:
                continue
            other_a, other_b = second[i, 0, y], second[i, 1, y]
            for right in range(-window, window + 1):
                move = step * right
                first_x, last_x = max(0, -move), width - max(0, move)
                shift = np.float32((down + window) * side + right + window)
                _keep_nearer(
                    a[first_x:last_x], b[first_x:last_x],
                    other_a[first_x + move : last_x + move], other_b[first_x + move : last_x + move],
                    shift, least[first_x:last_x], best[first_x:last_x],
                )  # fmt: skip
        for x in range(width):
            down, right = divmod(int(best[x]), side)
            found[i, row, x] = (row + step * (down - window)) * width + x + step * (right - window)


@numba.njit(cache=True, error_model="numpy")
def _keep_nearer(a, b, other_a, other_b, shift, least, best):  # pragma: no cover - compiled
    for x in range(len(a)):
        da, db = a[x] - other_a[x], b[x] - other_b[x]
        squared = da * da + db * db
        nearer = squared < least[x]
        least[x] = squared if nearer else least[x]
        best[x] = shift if nearer else best[x]
