"""Kernels of `compete`: correlation of two images block by block, each block where it fits best, blocks in parallel."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def window_sums(image, side):  # pragma: no cover - compiled
    """Of every window of `image` (3, h, w) with `side` pixels: the three channels' sums, and that of all squares."""
    channels, height, width = image.shape
    across = np.zeros((channels + 1, height, width - side + 1), np.float32)
    sums = np.zeros((channels + 1, height - side + 1, width - side + 1), np.float32)
    for k in range(channels):
        for row in range(height):
            for step in range(side):
                for column in range(across.shape[2]):
                    value = image[k, row, column + step]
                    across[k, row, column] += value
                    across[channels, row, column] += value * value
    for k in range(channels + 1):
        for row in range(sums.shape[1]):
            for step in range(side):
                for column in range(sums.shape[2]):
                    sums[k, row, column] += across[k, row + step, column]
    return sums


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy", fastmath=True)
def correlate_blocks(
    image, region, other, sums, row, column, reach, block, stride, floor, least, correlation, energy, count
):  # pragma: no cover - compiled
    """Of `image` (3, h, w) within `region` with `other`, which is padded so that `row`, `column` is no shift by
    -`reach`, and whose windows have `sums`; writes per block the best correlation over the shifts, the image's energy
    and the pixels. Blocks of no more than `least` pixels are left out.
    """
    rows, columns = correlation.shape
    for index in numba.prange(rows * columns):
        top, left = index // columns * stride, index % columns * stride
        inside = np.zeros((block, block), np.float32)
        n, sa, saa = np.float32(0), np.zeros(3, np.float32), np.float32(0)
        for i in range(block):
            for j in range(block):
                if region[top + i, left + j]:
                    inside[i, j] = 1
                    n += 1
                    for k in range(3):
                        a = image[k, top + i, left + j]
                        sa[k] += a
                        saa += a * a
        count[index // columns, index % columns] = n
        if n <= least:
            continue
        va = max(saa - (sa[0] ** 2 + sa[1] ** 2 + sa[2] ** 2) / n, np.float32(0))
        energy[index // columns, index % columns] = va
        best, whole = np.float32(-1), n == block * block
        for y in range(row + top, row + top + 2 * reach + 1):
            for x in range(column + left, column + left + 2 * reach + 1):
                sb2, sbb, sab, means = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                if whole:
                    sbb = sums[3, y, x]
                for k in range(3):
                    sb = np.float32(0)
                    if whole:
                        sb = sums[k, y, x]
                        for i in range(block):
                            for j in range(block):
                                sab += other[k, y + i, x + j] * image[k, top + i, left + j]
                    else:
                        for i in range(block):
                            for j in range(block):
                                b = inside[i, j] * other[k, y + i, x + j]
                                sb += b
                                sbb += b * b
                                sab += b * image[k, top + i, left + j]
                    sb2 += sb * sb
                    means += sa[k] * sb
                vb = max(sbb - sb2 / n, np.float32(0))
                value = (sab - means / n) / np.sqrt((va + floor * n) * (vb + floor * n))
                best = max(best, value)
        correlation[index // columns, index % columns] = best
