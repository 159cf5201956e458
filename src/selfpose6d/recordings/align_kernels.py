"""Kernels of `align`: a depth image as a surface of small triangles, and its loose pixels, into another camera."""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, error_model="numpy")
def project_pixels(depth_m, rays, T_colour_depth, K, uvz):  # pragma: no cover - compiled
    """Each depth pixel's place (u, v) and depth in the colour image; z 0 where it has none."""
    R, t = T_colour_depth[:3, :3], T_colour_depth[:3, 3]
    for i in range(depth_m.shape[0]):
        for j in range(depth_m.shape[1]):
            uvz[i, j, 2] = 0
            d = depth_m[i, j]
            if d <= 0:
                continue
            x, y = rays[i, j, 0] * d, rays[i, j, 1] * d
            z = R[2, 0] * x + R[2, 1] * y + R[2, 2] * d + t[2]
            if z <= 0.01:
                continue
            cx = (R[0, 0] * x + R[0, 1] * y + R[0, 2] * d + t[0]) / z
            cy = (R[1, 0] * x + R[1, 1] * y + R[1, 2] * d + t[1]) / z
            uvz[i, j, 0] = K[0, 0] * cx + K[0, 1] * cy + K[0, 2]
            uvz[i, j, 1] = K[1, 1] * cy + K[1, 2]
            uvz[i, j, 2] = z


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_triangle(a, b, c, step, aligned_m):  # pragma: no cover - compiled
    """Fill one triangle, nearest first; False where it spans an edge of the depth or a hole."""
    near, far = min(a[2], b[2], c[2]), max(a[2], b[2], c[2])
    if near <= 0 or far - near > step * near:
        return False
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area == 0:
        return True
    height, width = aligned_m.shape
    left = max(0, int(np.ceil(min(a[0], b[0], c[0]) - 1e-4)))
    right = min(width - 1, int(np.floor(max(a[0], b[0], c[0]) + 1e-4)))
    top = max(0, int(np.ceil(min(a[1], b[1], c[1]) - 1e-4)))
    bottom = min(height - 1, int(np.floor(max(a[1], b[1], c[1]) + 1e-4)))
    for v in range(top, bottom + 1):
        for u in range(left, right + 1):
            wb = ((u - a[0]) * (c[1] - a[1]) - (v - a[1]) * (c[0] - a[0])) / area
            wc = ((b[0] - a[0]) * (v - a[1]) - (b[1] - a[1]) * (u - a[0])) / area
            wa = 1 - wb - wc
            if wa < -1e-4 or wb < -1e-4 or wc < -1e-4:
                continue
            # of a plane, 1 / z is linear in the image
            z = 1 / (wa / a[2] + wb / b[2] + wc / c[2])
            if aligned_m[v, u] == 0 or z < aligned_m[v, u]:
                aligned_m[v, u] = z
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_surface(uvz, step, loose, aligned_m):  # pragma: no cover - compiled
    """Fill the squares between neighbouring pixels whose depths are within `step` of each other (a ratio); pixels with
    a square around them that could not be filled are `loose`.
    """
    loose[:] = uvz[..., 2] > 0
    rows, columns = loose.shape
    whole = np.zeros((rows - 1, columns - 1), np.bool_)
    for i in range(rows - 1):
        for j in range(columns - 1):
            a, b, c, d = uvz[i, j], uvz[i, j + 1], uvz[i + 1, j + 1], uvz[i + 1, j]
            if abs(a[2] - c[2]) <= abs(b[2] - d[2]):
                one = _fill_triangle(a, b, c, step, aligned_m)
                two = _fill_triangle(a, c, d, step, aligned_m)
            else:
                one = _fill_triangle(a, b, d, step, aligned_m)
                two = _fill_triangle(b, c, d, step, aligned_m)
            whole[i, j] = one and two
    for i in range(1, rows - 1):
        for j in range(1, columns - 1):
            if whole[i - 1, j - 1] and whole[i - 1, j] and whole[i, j - 1] and whole[i, j]:
                loose[i, j] = False


@numba.njit(cache=True, nogil=True, error_model="numpy")
def fill_loose_pixels(uvz, loose, half_u, half_v, step, aligned_m):  # pragma: no cover - compiled
    """Fill the area that each loose pixel covers, where nothing is or what is there lies clearly behind it."""
    height, width = aligned_m.shape
    for i in range(loose.shape[0]):
        for j in range(loose.shape[1]):
            if not loose[i, j]:
                continue
            u0, v0, z = uvz[i, j, 0], uvz[i, j, 1], uvz[i, j, 2]
            left, right = max(0, int(np.ceil(u0 - half_u))), min(width - 1, int(np.floor(u0 + half_u)))
            top, bottom = max(0, int(np.ceil(v0 - half_v))), min(height - 1, int(np.floor(v0 + half_v)))
            for v in range(top, bottom + 1):
                for u in range(left, right + 1):
                    there = aligned_m[v, u]
                    if there == 0 or z < there * (1 - step):
                        aligned_m[v, u] = z
