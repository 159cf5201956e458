"""Kernels of `rasterize`: one z-buffer loop per image, images in parallel.

Of a closed surface half the faces are hidden by the other half. So the faces of the nearer winding are drawn first,
and behind them a pixel is passed over where all of a face lies farther than what is drawn there.
"""

import numba
import numpy as np

NEAR_M = 1e-3
"""Nearer than any camera sees; keeps 1 / z finite."""
ROUNDING = 1e-9
"""Relative; depths of 64 bits are off by far less, so a face that is passed over could not have won."""


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def rasterize_images(
    vertices, faces, vertex_start, face_start, mesh_index, T_cam_obj, K, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    height, width = face_id.shape[1:]
    for image in numba.prange(len(mesh_index)):
        mesh = mesh_index[image]
        first, begin = vertex_start[mesh], face_start[mesh]
        points, corners = vertices[first : vertex_start[mesh + 1]], faces[begin : face_start[mesh + 1]]
        projected = _project_vertices(points, T_cam_obj[image], K[image])
        boxes, winding = _pixel_boxes(projected, corners, first, height, width)
        nearest = np.full((height, width), np.inf)
        for kept in _nearer_first(projected, corners, first, winding):
            _draw_faces(
                projected, boxes, corners, first, kept, begin, nearest,
                face_id[image], barycentric[image], depth_m[image],
            )  # fmt: skip


@numba.njit(cache=True, error_model="numpy")
def _project_vertices(vertices, T, K):  # pragma: no cover - compiled
    """Rows u px, v px, 1 / z in float64; u is NaN where a vertex cannot be projected."""
    projected = np.empty((3, len(vertices)))
    for i in range(len(vertices)):
        x, y, z = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        cx = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
        cy = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
        cz = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
        inverse_z = 1.0 / cz
        u = (K[0, 0] * cx + K[0, 1] * cy) * inverse_z + K[0, 2]
        v = K[1, 1] * cy * inverse_z + K[1, 2]
        visible = (cz > NEAR_M) & (abs(u) < np.inf) & (abs(v) < np.inf)
        projected[0, i], projected[1, i], projected[2, i] = (u if visible else np.nan), v, inverse_z
    return projected


@numba.njit(cache=True, error_model="numpy")
def _pixel_boxes(projected, faces, first, height, width):  # pragma: no cover - compiled
    """First and last column, first and last row whose centre each face's bounding box holds; and the face's winding in
    the image, 1 or 2, or 0 where it has no pixel, no area or a corner that cannot be projected (its area is NaN).
    """
    boxes, winding = np.empty((len(faces), 4), np.int32), np.empty(len(faces), np.int8)
    u, v, offset = projected[0], projected[1], np.uint64(first)
    for face in range(len(faces)):
        a = np.uint64(faces[face, 0]) - offset
        b = np.uint64(faces[face, 1]) - offset
        c = np.uint64(faces[face, 2]) - offset
        ua, ub, uc, va, vb, vc = u[a], u[b], u[c], v[a], v[b], v[c]
        left, right = _within(_least(ua, ub, uc), _most(ua, ub, uc), width)
        top, bottom = _within(_least(va, vb, vc), _most(va, vb, vc), height)
        boxes[face, 0], boxes[face, 1], boxes[face, 2], boxes[face, 3] = left, right, top, bottom
        area = (ub - ua) * (vc - va) - (vb - va) * (uc - ua)
        drawn = (left <= right) & (top <= bottom)
        winding[face] = (drawn & (area > 0)) + 2 * (drawn & (area < 0))
    return boxes, winding


@numba.njit(cache=True, error_model="numpy")
def _least(a, b, c):  # pragma: no cover - compiled
    least = a if a < b else b
    return least if least < c else c


@numba.njit(cache=True, error_model="numpy")
def _most(a, b, c):  # pragma: no cover - compiled
    most = a if a > b else b
    return most if most > c else c


@numba.njit(cache=True, error_model="numpy")
def _within(low, high, size):  # pragma: no cover - compiled
    """First and last whole number from `low` to `high`, limited to the image; anything for NaN."""
    low, high = (low if low > 0.0 else 0.0), (high if high < size - 1.0 else size - 1.0)
    low, high = (low if low < size else float(size)), (high if high > -1.0 else -1.0)
    return np.int32(np.ceil(low)), np.int32(np.floor(high))


@numba.njit(cache=True, error_model="numpy")
def _nearer_first(projected, faces, first, winding):  # pragma: no cover - compiled
    """Faces of either winding, those first that are nearer on average. Free of branches: faces come in any order."""
    one, other = np.empty(len(faces), np.int32), np.empty(len(faces), np.int32)
    ones, others, near_one, near_other = 0, 0, 0.0, 0.0
    for face in range(len(faces)):
        one[ones], other[others] = face, face
        ones += winding[face] & 1
        others += winding[face] >> 1
    for face in one[:ones]:
        near_one += projected[2, faces[face, 0] - first]
    for face in other[:others]:
        near_other += projected[2, faces[face, 0] - first]
    if near_one * others < near_other * ones:
        return other[:others], one[:ones]
    return one[:ones], other[:others]


@numba.njit(cache=True, error_model="numpy")
def _draw_faces(
    projected, boxes, faces, first, kept, begin, nearest, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    u, v, inverse_z = projected[0], projected[1], projected[2]
    for face in kept:
        a, b, c = faces[face, 0] - first, faces[face, 1] - first, faces[face, 2] - first
        left, right, top, bottom = boxes[face]
        ua, ub, uc, va, vb, vc = u[a], u[b], u[c], v[a], v[b], v[c]
        za, zb, zc = inverse_z[a], inverse_z[b], inverse_z[c]
        index, front_m = begin + face, (1.0 - ROUNDING) / _most(za, zb, zc)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                if nearest[row, column] < front_m:
                    continue
                ea = (ub - column) * (vc - row) - (vb - row) * (uc - column)
                eb = (uc - column) * (va - row) - (vc - row) * (ua - column)
                ec = (ua - column) * (vb - row) - (va - row) * (ub - column)
                if ((ea < 0) | (eb < 0) | (ec < 0)) & ((ea > 0) | (eb > 0) | (ec > 0)):
                    continue
                wa, wb, wc = ea * za, eb * zb, ec * zc
                total = wa + wb + wc  # weights add up to 1 for slivers too, where rounding spoils the area
                z = (ea + eb + ec) / total
                before = nearest[row, column]
                if (z < before) | ((z == before) & (index < face_id[row, column])):
                    nearest[row, column] = z
                    depth_m[row, column] = z
                    face_id[row, column] = index
                    barycentric[row, column, 0] = wa / total
                    barycentric[row, column, 1] = wb / total
                    barycentric[row, column, 2] = wc / total
