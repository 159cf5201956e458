"""Kernels of `pose_gradient`: one loop per image row, rows in parallel."""

import math

import numba
import numpy as np

EDGE_ON = 1e-4
"""A face whose plane is closer than this (cosine) to the line of sight is not continued beyond its pixel."""
GAP_PX = 2.0
"""Neighbouring points are on different surfaces if neither they nor the faces' planes come within this in depth."""
MAX_CONTOUR_PX = 8.0
"""Most that an occluding contour is taken to lie behind the pixel beside it, in pixels' widths."""


@numba.njit(parallel=True, cache=True, error_model="numpy")
def add_row_gradients(
    vertices, faces, T, K, face_id, rgb, depth_m, g_rgb, g_mask, g_depth, size, out
):  # pragma: no cover - compiled
    """Images of samples, `size` x `size` a pixel; gradients of pixels. What moves within a surface acts on the mean
    point of the pixel's samples; a contour on its own.
    """
    images, height = g_mask.shape[:2]
    for image_row in numba.prange(images * height):
        i, row = image_row // height, image_row % height
        total = np.zeros((3, 4))
        _add_row(
            vertices, faces, T[i], K[i], face_id[i], rgb[i], depth_m[i], g_rgb[i], g_mask[i], g_depth[i],
            size, row, total,
        )  # fmt: skip
        _to_object_frame(total, T[i], out[i, row])


@numba.njit(cache=True, error_model="numpy")
def _add_row(
    vertices, faces, T, K, face_id, rgb, depth_m, g_rgb, g_mask, g_depth, size, row, total
):  # pragma: no cover - compiled
    """Forces of a row of pixels: of each sample with its neighbours to the right and below.

    Written out: with the flux as a function of its own the loop takes three times as long (25 and 72 ms for 16 images).
    """
    samples_height, samples_width = face_id.shape
    weight, gap = 1.0 / size**2, GAP_PX / K[0, 0]
    for column in range(g_mask.shape[1]):
        along_u, along_v, count, u, v, z = 0.0, 0.0, 0, 0.0, 0.0, 0.0
        for y in range(row * size, (row + 1) * size):
            for x in range(column * size, (column + 1) * size):
                face, za = face_id[y, x], depth_m[y, x]
                if face >= 0:
                    count += 1
                    u += x
                    v += y
                    z += za
                for axis in range(2):
                    other_y, other_x = y + axis, x + 1 - axis
                    if other_y == samples_height or other_x == samples_width:
                        continue
                    other = face_id[other_y, other_x]
                    if face < 0 and other < 0:
                        continue
                    other_row, other_column = row, column
                    if axis == 0 and x == (column + 1) * size - 1:
                        other_column += 1
                    elif axis == 1 and y == (row + 1) * size - 1:
                        other_row += 1
                    zb = depth_m[other_y, other_x]
                    flux = (g_depth[row, column] + g_depth[other_row, other_column]) * (za - zb)
                    if (face >= 0) != (other >= 0):
                        g = g_mask[row, column] + g_mask[other_row, other_column]
                        flux += g if face >= 0 else -g
                    for k in range(3):
                        flux += (g_rgb[row, column, k] + g_rgb[other_row, other_column, k]) * (
                            rgb[y, x, k] - rgb[other_y, other_x, k]
                        )
                    if flux == 0:
                        continue
                    flux *= 0.5 * weight
                    one = face >= 0 and other >= 0 and (face == other or not abs(za - zb) > gap * za)
                    if one and size > 1:
                        along_u += flux * (1 - axis)
                        along_v += flux * axis
                        continue
                    X, Y, Z = _point(vertices, faces, T, K, face_id, depth_m, y, x, other_y, other_x, axis)
                    _add_flux(total, K, X, Y, Z, flux * (1 - axis), flux * axis)
        if count > 0:
            rx, ry = _ray(K, u / count, v / count)
            z /= count
            _add_flux(total, K, rx * z, ry * z, z, along_u, along_v)
            _add_force(total, rx * z, ry * z, z, 0.0, 0.0, g_depth[row, column] * weight * count)


@numba.njit(cache=True, error_model="numpy")
def _add_flux(total, K, X, Y, Z, along_u, along_v):  # pragma: no cover - compiled
    """Add the force of a flux per pixel of motion along u and v at a point."""
    per_z = 1.0 / Z
    a = K[0, 0] * along_u * per_z
    b = (K[0, 1] * along_u + K[1, 1] * along_v) * per_z
    _add_force(total, X, Y, Z, a, b, -(a * X + b * Y) * per_z)


@numba.njit(cache=True, error_model="numpy")
def _add_force(total, X, Y, Z, fx, fy, fz):  # pragma: no cover - compiled
    """Add F X^T and F."""
    force = (fx, fy, fz)
    for k in range(3):
        total[k, 0] += force[k] * X
        total[k, 1] += force[k] * Y
        total[k, 2] += force[k] * Z
        total[k, 3] += force[k]


@numba.njit(cache=True, error_model="numpy")
def _to_object_frame(total, T, out):  # pragma: no cover - compiled
    """From the sums of F X^T and F to those of F x^T and F, x = R^T (X - t)."""
    for k in range(3):
        for j in range(3):
            for m in range(3):
                out[k, j] += (total[k, m] - total[k, 3] * T[m, 3]) * T[m, j]
        out[k, 3] += total[k, 3]


@numba.njit(cache=True, error_model="numpy")
def _ray(K, u, v):  # pragma: no cover - compiled
    y = (v - K[1, 2]) / K[1, 1]
    return (u - K[0, 2] - K[0, 1] * y) / K[0, 0], y


@numba.njit(cache=True, error_model="numpy")
def _normal(vertices, faces, T, face, rx, ry):  # pragma: no cover - compiled
    """Unit normal of a face, camera frame, towards the camera; zeros for a degenerate face."""
    a, b, c = vertices[faces[face, 0]], vertices[faces[face, 1]], vertices[faces[face, 2]]
    e0, e1, e2 = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    f0, f1, f2 = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    n0, n1, n2 = e1 * f2 - e2 * f1, e2 * f0 - e0 * f2, e0 * f1 - e1 * f0
    length = math.sqrt(n0 * n0 + n1 * n1 + n2 * n2)
    if length < 1e-20:
        return 0.0, 0.0, 0.0
    x = (T[0, 0] * n0 + T[0, 1] * n1 + T[0, 2] * n2) / length
    y = (T[1, 0] * n0 + T[1, 1] * n1 + T[1, 2] * n2) / length
    z = (T[2, 0] * n0 + T[2, 1] * n1 + T[2, 2] * n2) / length
    if x * rx + y * ry + z > 0:
        return -x, -y, -z
    return x, y, z


@numba.njit(cache=True, error_model="numpy")
def _continues(
    vertices, faces, T, K, face_id, depth_m, row_a, column_a, row_b, column_b
):  # pragma: no cover - compiled
    """Whether two neighbours are of one surface."""
    a, b = face_id[row_a, column_a], face_id[row_b, column_b]
    if a < 0 or b < 0:
        return False
    za, zb = depth_m[row_a, column_a], depth_m[row_b, column_b]
    if a == b or not abs(za - zb) > GAP_PX * za / K[0, 0]:
        return True
    return not _hides(vertices, faces, T, K, face_id, depth_m, row_a, column_a, row_b, column_b)


@numba.njit(cache=True, error_model="numpy")
def _point(
    vertices, faces, T, K, face_id, depth_m, row_a, column_a, row_b, column_b, axis
):  # pragma: no cover - compiled
    """The surface point between two neighbours, or the occluding contour of the one that hides the other."""
    a, b = face_id[row_a, column_a], face_id[row_b, column_b]
    za, zb = depth_m[row_a, column_a], depth_m[row_b, column_b]
    if _continues(vertices, faces, T, K, face_id, depth_m, row_a, column_a, row_b, column_b):
        xa, ya = _ray(K, column_a, row_a)
        xb, yb = _ray(K, column_b, row_b)
        return 0.5 * (xa * za + xb * zb), 0.5 * (ya * za + yb * zb), 0.5 * (za + zb)
    if a >= 0 and (b < 0 or za <= zb):
        return _contour_point(vertices, faces, T, K, row_a, column_a, a, za, axis, 1.0)
    return _contour_point(vertices, faces, T, K, row_b, column_b, b, zb, axis, -1.0)


@numba.njit(cache=True, error_model="numpy")
def _contour_point(vertices, faces, T, K, row, column, face, z, axis, step):  # pragma: no cover - compiled
    rx, ry = _ray(K, column, row)
    n0, n1, n2 = _normal(vertices, faces, T, face, rx, ry)
    focal = K[axis, axis]
    half = 0.5 * z / focal
    away = (n0 if axis == 0 else n1) * step
    towards = -(n0 * rx + n1 * ry + n2) / math.sqrt(rx * rx + ry * ry + 1)
    length = max(math.sqrt(away * away + towards * towards), 1e-6)
    deeper = half * (towards / length) / max(1 - away / length, 1e-3)
    z += min(deeper, MAX_CONTOUR_PX * 2 * half)
    if axis == 0:
        rx += 0.5 * step / focal
    else:
        ry += 0.5 * step / focal
    return rx * z, ry * z, z


@numba.njit(cache=True, error_model="numpy")
def _hides(
    vertices, faces, T, K, face_id, depth_m, row_a, column_a, row_b, column_b
):  # pragma: no cover - compiled
    """Whether two covered pixels' surfaces neither continue nor touch each other."""
    a, b = face_id[row_a, column_a], face_id[row_b, column_b]
    za, zb = depth_m[row_a, column_a], depth_m[row_b, column_b]
    least = GAP_PX * za / K[0, 0]
    xa, ya = _ray(K, column_a, row_a)
    xb, yb = _ray(K, column_b, row_b)
    if not _plane_gap(vertices, faces, T, a, za, zb, xa, ya, xb, yb) > least:
        return False
    if not _plane_gap(vertices, faces, T, b, zb, za, xb, yb, xa, ya) > least:
        return False
    for i in range(3):
        for j in range(3):
            p, q = faces[a, i], faces[b, j]
            if (
                vertices[p, 0] == vertices[q, 0]
                and vertices[p, 1] == vertices[q, 1]
                and vertices[p, 2] == vertices[q, 2]
            ):
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def _plane_gap(vertices, faces, T, face, z, other_z, x, y, other_x, other_y):  # pragma: no cover - compiled
    """Depth between the other pixel's point and this face's plane, continued to the other pixel."""
    n0, n1, n2 = _normal(vertices, faces, T, face, x, y)
    facing = n0 * other_x + n1 * other_y + n2
    continued = (n0 * x + n1 * y + n2) * z / facing if abs(facing) > EDGE_ON else 0.0
    return abs(other_z - continued)
