"""CPU back end of `pose_gradient`: one loop per image row, rows in parallel."""

import math

import numba
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.checks import require_equal_lengths
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.pose_gradient import EDGE_ON, GAP_PX, MAX_RIM_PX, ImageGradient, RenderedPixels


def pose_gradient_numba(
    meshes: PackedMeshes, pixels: RenderedPixels, gradient: ImageGradient
) -> Float[Tensor, "images 4 4"]:
    """See `pose_gradient_torch`.

    Raises:
        UsageError: lengths differ.
    """
    require_equal_lengths(pixels=pixels.face_id, mesh_index=pixels.mesh_index, gradient=gradient.rgb)
    images, height = pixels.face_id.shape[:2]
    rows = np.zeros((images, height, 3, 4))
    _add_rows(
        meshes.vertices_m.numpy(),
        meshes.faces.numpy(),
        pixels.T_cam_obj.double().numpy(),
        pixels.K.double().numpy(),
        pixels.face_id.numpy(),
        pixels.rgb.numpy(),
        pixels.depth_m.numpy(),
        gradient.rgb.contiguous().numpy(),
        gradient.mask.contiguous().numpy(),
        gradient.depth_m.contiguous().numpy(),
        rows,
    )
    total = torch.zeros_like(pixels.T_cam_obj)
    total[:, :3] = torch.from_numpy(rows.sum(1)).to(total)
    return total


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _add_rows(
    vertices, faces, T, K, face_id, rgb, depth_m, g_rgb, g_mask, g_depth, out
):  # fmt: skip  # pragma: no cover - compiled
    images, height, width = face_id.shape
    for place in numba.prange(images * height):
        i, row = place // height, place % height
        scene = (vertices, faces, T[i], K[i], face_id[i], depth_m[i])
        values = (rgb[i], g_rgb[i], g_mask[i], g_depth[i])
        for column in range(width):
            if face_id[i, row, column] >= 0 and g_depth[i, row, column] != 0:
                x, y = _ray(K[i], column, row)
                z = depth_m[i, row, column]
                _add_force(out[i, row], T[i], x * z, y * z, z, 0.0, 0.0, g_depth[i, row, column])
            if column + 1 < width:
                _add_trade(scene, values, row, column, row, column + 1, 0, out[i, row])
            if row + 1 < height:
                _add_trade(scene, values, row, column, row + 1, column, 1, out[i, row])


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
def _add_force(out, T, X, Y, Z, fx, fy, fz):  # pragma: no cover - compiled
    x, y, z = X - T[0, 3], Y - T[1, 3], Z - T[2, 3]
    for j in range(3):
        p = T[0, j] * x + T[1, j] * y + T[2, j] * z
        out[0, j] += fx * p
        out[1, j] += fy * p
        out[2, j] += fz * p
    out[0, 3] += fx
    out[1, 3] += fy
    out[2, 3] += fz


@numba.njit(cache=True, error_model="numpy")
def _add_trade(scene, values, row_a, column_a, row_b, column_b, axis, out):  # pragma: no cover - compiled
    vertices, faces, T, K, face_id, depth_m = scene
    a, b = face_id[row_a, column_a], face_id[row_b, column_b]
    if a < 0 and b < 0:
        return
    za, zb = depth_m[row_a, column_a], depth_m[row_b, column_b]
    rgb, g_rgb, g_mask, g_depth = values
    trade = (g_depth[row_a, column_a] + g_depth[row_b, column_b]) * (za - zb)
    trade += (g_mask[row_a, column_a] + g_mask[row_b, column_b]) * float((a >= 0) - (b >= 0))
    for k in range(3):
        trade += (g_rgb[row_a, column_a, k] + g_rgb[row_b, column_b, k]) * (
            rgb[row_a, column_a, k] - rgb[row_b, column_b, k]
        )
    if trade == 0:
        return
    trade *= 0.5
    if a >= 0 and b >= 0 and (a == b or not _hides(scene, row_a, column_a, row_b, column_b)):
        xa, ya = _ray(K, column_a, row_a)
        xb, yb = _ray(K, column_b, row_b)
        X, Y, Z = 0.5 * (xa * za + xb * zb), 0.5 * (ya * za + yb * zb), 0.5 * (za + zb)
    elif a >= 0 and (b < 0 or za <= zb):
        X, Y, Z = _rim_point(vertices, faces, T, K, row_a, column_a, a, za, axis, 1.0)
    else:
        X, Y, Z = _rim_point(vertices, faces, T, K, row_b, column_b, b, zb, axis, -1.0)
    if axis == 0:
        px, py, pz = K[0, 0] / Z, K[0, 1] / Z, -(K[0, 0] * X + K[0, 1] * Y) / Z**2
    else:
        px, py, pz = 0.0, K[1, 1] / Z, -K[1, 1] * Y / Z**2
    _add_force(out, T, X, Y, Z, trade * px, trade * py, trade * pz)


@numba.njit(cache=True, error_model="numpy")
def _rim_point(vertices, faces, T, K, row, column, face, z, axis, step):  # pragma: no cover - compiled
    rx, ry = _ray(K, column, row)
    n0, n1, n2 = _normal(vertices, faces, T, face, rx, ry)
    focal = K[axis, axis]
    half = 0.5 * z / focal
    away = (n0 if axis == 0 else n1) * step
    towards = -(n0 * rx + n1 * ry + n2) / math.sqrt(rx * rx + ry * ry + 1)
    length = max(math.sqrt(away * away + towards * towards), 1e-6)
    deeper = half * (towards / length) / max(1 - away / length, 1e-3)
    z += min(deeper, MAX_RIM_PX * 2 * half)
    if axis == 0:
        rx += 0.5 * step / focal
    else:
        ry += 0.5 * step / focal
    return rx * z, ry * z, z


@numba.njit(cache=True, error_model="numpy")
def _hides(scene, row_a, column_a, row_b, column_b):  # pragma: no cover - compiled
    """Whether one of two covered pixels' surfaces hides the other: they neither continue nor touch each other."""
    vertices, faces, _, K, face_id, depth_m = scene
    a, b = face_id[row_a, column_a], face_id[row_b, column_b]
    gap = min(
        _plane_gap(scene, row_a, column_a, row_b, column_b),
        _plane_gap(scene, row_b, column_b, row_a, column_a),
    )
    if not gap > GAP_PX * depth_m[row_a, column_a] / K[0, 0]:
        return False
    for i in range(3):
        for j in range(3):
            p, q = vertices[faces[a, i]], vertices[faces[b, j]]
            if p[0] == q[0] and p[1] == q[1] and p[2] == q[2]:
                return False
    return True


@numba.njit(cache=True, error_model="numpy")
def _plane_gap(scene, row, column, other_row, other_column):  # pragma: no cover - compiled
    vertices, faces, T, K, face_id, depth_m = scene
    rx, ry = _ray(K, column, row)
    qx, qy = _ray(K, other_column, other_row)
    n0, n1, n2 = _normal(vertices, faces, T, face_id[row, column], rx, ry)
    facing = n0 * qx + n1 * qy + n2
    z = depth_m[row, column]
    continued = (n0 * rx + n1 * ry + n2) * z / facing if abs(facing) > EDGE_ON else 0.0
    return abs(depth_m[other_row, other_column] - continued)
