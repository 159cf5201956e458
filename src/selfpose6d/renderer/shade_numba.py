"""Kernels of `shade`: one loop per image, images in parallel."""

import math

import numba


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def shade_images(
    faces, vertex_rgb, corner_uv, texels, start, size, face_id, barycentric, colour
):  # pragma: no cover - compiled
    images, height, width = face_id.shape
    for image in numba.prange(images):
        rows, columns, first = size[image, 0], size[image, 1], start[image]
        for row in range(height):
            for column in range(width):
                face = face_id[image, row, column]
                if face < 0:
                    continue
                w = barycentric[image, row, column]
                out = colour[image, row, column]
                if rows > 0:
                    uv = corner_uv[face]
                    u = uv[0, 0] * w[0] + uv[1, 0] * w[1] + uv[2, 0] * w[2]
                    v = uv[0, 1] * w[0] + uv[1, 1] * w[1] + uv[2, 1] * w[2]
                    _sample(texels, first, rows, columns, u, v, out)
                else:
                    a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
                    for k in range(3):
                        out[k] = vertex_rgb[a, k] * w[0] + vertex_rgb[b, k] * w[1] + vertex_rgb[c, k] * w[2]


@numba.njit(cache=True, error_model="numpy")
def _sample(texels, first, rows, columns, u, v, out):  # pragma: no cover - compiled
    x, y = u * columns - 0.5, (1.0 - v) * rows - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    left, right = _wrap(int(x0), columns), _wrap(int(x0) + 1, columns)
    top, bottom = first + _wrap(int(y0), rows) * columns, first + _wrap(int(y0) + 1, rows) * columns
    for k in range(3):
        above = texels[top + left, k] * (1 - fx) + texels[top + right, k] * fx
        below = texels[bottom + left, k] * (1 - fx) + texels[bottom + right, k] * fx
        out[k] = above * (1 - fy) + below * fy


@numba.njit(cache=True, error_model="numpy")
def _wrap(index, size):  # pragma: no cover - compiled
    """`index % size`; a division is slow, and most need none."""
    return index if 0 <= index < size else index % size
