"""Kernel of `contrast`: correlation of two images block by block, each block where it fits best, blocks in parallel."""

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, error_model="numpy", fastmath=True)
def correlate_blocks(
    image, region, other, row, column, reach, block, stride, floor, correlation, energy, count
):  # pragma: no cover - compiled
    """Of `image` (3, h, w) within `region` with `other`, which is padded so that `row`, `column` is no shift by
    -`reach`; writes per block the best correlation over the shifts, the image's energy and the pixels.
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
        if n == 0:
            continue
        va = max(saa - (sa[0] ** 2 + sa[1] ** 2 + sa[2] ** 2) / n, np.float32(0))
        energy[index // columns, index % columns] = va
        best = np.float32(-1)
        for y in range(2 * reach + 1):
            for x in range(2 * reach + 1):
                sb2, sbb, sab, means = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
                for k in range(3):
                    sb = np.float32(0)
                    for i in range(block):
                        for j in range(block):
                            b = inside[i, j] * other[k, row + top + i + y, column + left + j + x]
                            sb += b
                            sbb += b * b
                            sab += b * image[k, top + i, left + j]
                    sb2 += sb * sb
                    means += sa[k] * sb
                vb = max(sbb - sb2 / n, np.float32(0))
                value = (sab - means / n) / np.sqrt((va + floor * n) * (vb + floor * n))
                best = max(best, value)
        correlation[index // columns, index % columns] = best
