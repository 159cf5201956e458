"""Kernels of `rasterize`: one z-buffer loop per image, images in parallel."""

import math

import numba
import numpy as np

NEAR_M = 1e-3
"""Nearer than any camera sees; keeps 1 / z finite."""


@numba.njit(parallel=True, cache=True, error_model="numpy")
def rasterize_images(
    vertices, faces, vertex_start, face_start, mesh_index, T_cam_obj, K, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    height, width = face_id.shape[1:]
    for image in numba.prange(len(mesh_index)):
        mesh = mesh_index[image]
        first = vertex_start[mesh]
        points = vertices[first : vertex_start[mesh + 1]]
        projected, bounds = _project_vertices(points, T_cam_obj[image], K[image], height, width)
        kept = _faces_on_pixels(bounds, faces, first, face_start[mesh], face_start[mesh + 1], width)
        _draw_faces(projected, bounds, faces, first, kept, face_id[image], barycentric[image], depth_m[image])


@numba.njit(cache=True, error_model="numpy")
def _project_vertices(vertices, T, K, height, width):  # pragma: no cover - compiled
    """Columns u px, v px, 1 / z in float64; and the pixels at or beyond and at or before: ceil u, ceil v,
    floor u, floor v, limited to the image. Beyond the image's width marks a vertex that cannot be projected.
    """
    projected, bounds = np.empty((len(vertices), 3)), np.empty((len(vertices), 4), np.int32)
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        cx = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
        cy = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
        cz = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
        inverse_z = 1.0 / cz
        u = (K[0, 0] * cx + K[0, 1] * cy) * inverse_z + K[0, 2]
        v = K[1, 1] * cy * inverse_z + K[1, 2]
        projected[i, 0], projected[i, 1], projected[i, 2] = u, v, inverse_z
        if cz > NEAR_M and math.isfinite(u) and math.isfinite(v):
            bounds[i, 0] = math.ceil(min(max(u, 0.0), float(width)))
            bounds[i, 1] = math.ceil(min(max(v, 0.0), float(height)))
            bounds[i, 2] = math.floor(max(min(u, width - 1.0), -1.0))
            bounds[i, 3] = math.floor(max(min(v, height - 1.0), -1.0))
        else:
            bounds[i, 0], bounds[i, 1], bounds[i, 2], bounds[i, 3] = 0, 0, width, height
    return projected, bounds


@numba.njit(cache=True, error_model="numpy")
def _pixel_box(bounds, a, b, c):  # pragma: no cover - compiled
    """First and last column, first and last row whose centre the face's bounding box holds."""
    return (
        min(bounds[a, 0], bounds[b, 0], bounds[c, 0]),
        max(bounds[a, 2], bounds[b, 2], bounds[c, 2]),
        min(bounds[a, 1], bounds[b, 1], bounds[c, 1]),
        max(bounds[a, 3], bounds[b, 3], bounds[c, 3]),
    )


@numba.njit(cache=True, error_model="numpy")
def _faces_on_pixels(bounds, faces, first, begin, end, width):  # pragma: no cover - compiled
    """Faces whose bounding box holds a pixel centre. Free of branches: most small faces hold none, at random."""
    kept, count = np.empty(end - begin, np.int32), 0
    for face in range(begin, end):
        left, right, top, bottom = _pixel_box(
            bounds, faces[face, 0] - first, faces[face, 1] - first, faces[face, 2] - first
        )
        kept[count] = face
        count += (left <= right) & (top <= bottom) & (right != width)
    return kept[:count]


@numba.njit(cache=True, error_model="numpy")
def _draw_faces(
    projected, bounds, faces, first, kept, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    nearest = np.full(face_id.shape, np.inf)
    for face in kept:
        a, b, c = faces[face, 0] - first, faces[face, 1] - first, faces[face, 2] - first
        left, right, top, bottom = _pixel_box(bounds, a, b, c)
        ua, ub, uc = projected[a, 0], projected[b, 0], projected[c, 0]
        va, vb, vc = projected[a, 1], projected[b, 1], projected[c, 1]
        if (ub - ua) * (vc - va) - (vb - va) * (uc - ua) == 0.0:
            continue
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                ea = (ub - column) * (vc - row) - (vb - row) * (uc - column)
                eb = (uc - column) * (va - row) - (vc - row) * (ua - column)
                ec = (ua - column) * (vb - row) - (va - row) * (ub - column)
                if ((ea < 0) | (eb < 0) | (ec < 0)) & ((ea > 0) | (eb > 0) | (ec > 0)):
                    continue
                wa, wb, wc = ea * projected[a, 2], eb * projected[b, 2], ec * projected[c, 2]
                total = wa + wb + wc  # weights add up to 1 for slivers too, where rounding spoils the area
                z = (ea + eb + ec) / total
                if z < nearest[row, column]:
                    nearest[row, column] = z
                    depth_m[row, column] = z
                    face_id[row, column] = face
                    barycentric[row, column, 0] = wa / total
                    barycentric[row, column, 1] = wb / total
                    barycentric[row, column, 2] = wc / total
