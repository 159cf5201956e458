"""The depth test between an object's window and the image, compiled."""

import numba


@numba.njit(cache=True)
def keep_nearest(
    index, left, top, window_face, window_weights, window_depth, owner, face_id, barycentric, nearest_m
):  # pragma: no cover - compiled
    """Copy the window's pixels that are nearer than what the image holds."""
    height, width = owner.shape
    rows, columns = window_face.shape
    for row in range(max(0, -top), min(rows, height - top)):
        for column in range(max(0, -left), min(columns, width - left)):
            z, v, u = window_depth[row, column], row + top, column + left
            if window_face[row, column] >= 0 and z < nearest_m[v, u]:
                owner[v, u], face_id[v, u], nearest_m[v, u] = index, window_face[row, column], z
                for k in range(3):
                    barycentric[v, u, k] = window_weights[row, column, k]
