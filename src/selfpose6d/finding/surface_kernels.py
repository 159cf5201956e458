"""Compiled loops over a depth image: the plane under each pixel, and how its neighbours lie to it."""

import numba
import numpy as np

_MIN_FIT = 8
"""Pixels of a window that fix its plane well enough."""


@numba.njit(cache=True)
def fit_normals(points, radius, reach_m, slope, normals):
    """Unit normal towards the camera of the plane through each pixel's window; 0 where there is none.

    Only pixels belong to a window whose depth differs by less than `reach_m` + `slope` times their distance in pixels.
    """
    height, width = points.shape[:2]
    for v in range(height):
        for u in range(width):
            z = points[v, u, 2]
            if z <= 0:
                continue
            count = 0
            sx = sy = sz = 0.0
            sxx = sxy = sxz = syy = syz = szz = 0.0
            for j in range(max(0, v - radius), min(height, v + radius + 1)):
                for i in range(max(0, u - radius), min(width, u + radius + 1)):
                    other = points[j, i, 2]
                    far = max(abs(j - v), abs(i - u))
                    if other <= 0 or abs(other - z) > reach_m[v, u] + slope * z * far:
                        continue
                    x, y, d = points[j, i, 0] - points[v, u, 0], points[j, i, 1] - points[v, u, 1], other - z
                    count += 1
                    sx += x
                    sy += y
                    sz += d
                    sxx += x * x
                    sxy += x * y
                    sxz += x * d
                    syy += y * y
                    syz += y * d
                    szz += d * d
            if count < _MIN_FIT:
                continue
            # depth over the image plane, z = a x + b y + c: its normal is (a, b, -1)
            n = float(count)
            cxx, cxy, cyy = sxx - sx * sx / n, sxy - sx * sy / n, syy - sy * sy / n
            cxz, cyz = sxz - sx * sz / n, syz - sy * sz / n
            det = cxx * cyy - cxy * cxy
            if det < 1e-12 * max(cxx * cyy, 1e-20) or det <= 0:
                continue
            a, b = (cxz * cyy - cyz * cxy) / det, (cyz * cxx - cxz * cxy) / det
            length = np.sqrt(a * a + b * b + 1)
            normals[v, u, 0], normals[v, u, 1], normals[v, u, 2] = a / length, b / length, -1 / length


@numba.njit(cache=True)
def mark_edges(points, normals, jump_m, distance, depth_step, concave_rad):
    """Where the surface is torn, and the largest angle by which it folds towards the camera.

    `depth_step`: a neighbour to the right or below lies off the planes of both by more than `jump_m`. `concave_rad`:
    between the normals of the pixels `distance` to either side, where they lean towards each other.
    """
    height, width = points.shape[:2]
    for v in range(height):
        for u in range(width):
            if points[v, u, 2] <= 0:
                continue
            for dv, du in ((0, 1), (1, 0)):
                j, i = v + dv, u + du
                if j >= height or i >= width or points[j, i, 2] <= 0:
                    continue
                gap = points[j, i, 2] - points[v, u, 2]
                off = abs(gap)
                for k in range(2):
                    n = normals[v, u] if k == 0 else normals[j, i]
                    if n[2] == 0:
                        continue
                    across = n[0] * (points[j, i, 0] - points[v, u, 0]) + n[1] * (
                        points[j, i, 1] - points[v, u, 1]
                    )
                    off = min(off, abs(gap + across / n[2]))
                if off > jump_m[v, u]:
                    depth_step[v, u] = True
                    depth_step[j, i] = True
            for dv, du in ((0, 1), (1, 0), (1, 1), (1, -1)):
                a, b = v - distance * dv, u - distance * du
                c, d = v + distance * dv, u + distance * du
                if min(a, b, c, d) < 0 or max(a, c) >= height or max(b, d) >= width:
                    continue
                first, second = normals[a, b], normals[c, d]
                if first[2] == 0 or second[2] == 0:
                    continue
                lean = 0.0
                dot = 0.0
                for k in range(3):
                    lean += (points[a, b, k] - points[c, d, k]) * (first[k] - second[k])
                    dot += first[k] * second[k]
                if lean < 0:
                    concave_rad[v, u] = max(concave_rad[v, u], np.arccos(min(1.0, max(-1.0, dot))))


@numba.njit(cache=True)
def grow_labels(labels, free, z, reach_m):
    """Labels one pixel further, into what is `free`: to the neighbour whose depth is nearest, and near enough."""
    grown = labels.copy()
    height, width = labels.shape
    for v in range(height):
        for u in range(width):
            if labels[v, u] != 0 or not free[v, u]:
                continue
            gap = np.inf
            for j, i in ((v - 1, u), (v, u - 1), (v, u + 1), (v + 1, u)):
                if 0 <= j < height and 0 <= i < width and labels[j, i] > 0:
                    off = abs(z[j, i] - z[v, u])
                    if off < reach_m[v, u] and off < gap:
                        grown[v, u], gap = labels[j, i], off
    return grown


@numba.njit(cache=True)
def reach_about_median(points, share):
    """Distance from the points' median within which a share of them lies."""
    middle = np.array([np.median(points[:, k]) for k in range(3)])
    squared = np.zeros(len(points))
    for k in range(3):
        squared += (points[:, k] - middle[k]) ** 2
    return np.quantile(np.sqrt(squared), share)
