"""The light on every pixel, compiled.

The kernels keep vectors in scalars and index whole arrays: a view or a small array per pixel costs more than
the light itself.
"""

import math
from typing import Any

import numba
import numpy as np

from selfpose6d.synthetic.backdrop import ROOM_TILE_M, ROOM_TILE_PX, TABLE_TILE_M, TABLE_TILE_PX

# depths of the shadow map are that coarse (times the scene scale): without it, lit surfaces would shade themselves
SHADOW_BIAS_M = 0.003
# the highlight's exponent is 2 to this power
SHININESS_DOUBLINGS = 5
# brightness levels of the tone curve's table: fine enough for 256 output levels near black
TONE_STEPS = 8191
FAST = {"contract", "reassoc", "arcp", "nsz"}
INLINED: dict[str, Any] = {"cache": True, "error_model": "numpy", "fastmath": FAST, "inline": "always"}


@numba.njit(cache=True, error_model="numpy", fastmath=FAST)
def shade_pixels(
    rgb, depth_m, incidence, reflectance, owner, face_id, barycentric, T_world_cam, K, mesh, R_world_obj, level, gloss,
    corner_normals, faces, vertex_rgb, corner_uv, texels, texture_start, texture_size, table_rgb, room_rgb,
    room, lights, softness_px, tone, shadow_m, nearest_m, shadow_K, T_light_world,
):  # fmt: skip  # pragma: no cover - compiled
    height, width = owner.shape
    T, scale_of_scene = T_world_cam, room[5]
    per_scale, bias_m = 1.0 / scale_of_scene, SHADOW_BIAS_M * scale_of_scene
    for row in range(height):
        for column in range(width):
            x, y = (column - K[0, 2]) / K[0, 0], (row - K[1, 2]) / K[1, 1]
            rx = T[0, 0] * x + T[0, 1] * y + T[0, 2]
            ry = T[1, 0] * x + T[1, 1] * y + T[1, 2]
            rz = T[2, 0] * x + T[2, 1] * y + T[2, 2]
            index = owner[row, column]
            if index >= 0:
                m, face, z = mesh[index], face_id[row, column], depth_m[row, column]
                w = barycentric
                wa, wb, wc = w[row, column, 0], w[row, column, 1], w[row, column, 2]
                nx, ny, nz = _object_normal(wa, wb, wc, face, corner_normals, R_world_obj, index)
                red, green, blue = _object_colour(
                    wa, wb, wc, face, faces, vertex_rgb, corner_uv, texels, texture_start[m, level[index]],
                    texture_size[m, level[index], 0], texture_size[m, level[index], 1],
                )  # fmt: skip
                shine = gloss[m]
            else:
                z, axis, on_table = _backdrop_hit(T[0, 3], T[1, 3], T[2, 3], rx, ry, rz, room)
                px, py, pz = T[0, 3] + z * rx, T[1, 3] + z * ry, T[2, 3] + z * rz
                nx, ny, nz = 1.0 * (axis == 0), 1.0 * (axis == 1), 1.0 * (axis == 2)
                shine = room[4] if on_table else 0.0
                if on_table:
                    a, b = px * per_scale / TABLE_TILE_M, py * per_scale / TABLE_TILE_M
                    red, green, blue = _tile_colour(table_rgb, TABLE_TILE_PX, a, b)
                else:
                    a, b = (py if axis == 0 else px), (py if axis == 2 else pz)
                    a, b = a * per_scale / ROOM_TILE_M + 0.3 * axis, b * per_scale / ROOM_TILE_M
                    red, green, blue = _tile_colour(room_rgb, ROOM_TILE_PX, a, b)
                depth_m[row, column] = z
            # most dyes are bright in infrared: what is dark in every channel is dark there too
            brightest = max(red, green, blue)
            reflectance[row, column] = brightest * brightest
            px, py, pz = T[0, 3] + z * rx, T[1, 3] + z * ry, T[2, 3] + z * rz
            along = nx * rx + ny * ry + nz * rz
            length = math.sqrt(rx * rx + ry * ry + rz * rz)
            scale = 1.0 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-9)
            incidence[row, column] = abs(along) * scale / length
            scale = -scale if along > 0 else scale
            nx, ny, nz = nx * scale, ny * scale, nz * scale
            kx, ky, kz = lights[0, 0] - px, lights[0, 1] - py, lights[0, 2] - pz
            away = math.sqrt(kx * kx + ky * ky + kz * kz)
            kx, ky, kz = kx / away, ky / away, kz / away
            key, highlight = nx * kx + ny * ky + nz * kz, 0.0
            if key > 0:
                lit = _lit_ratio(
                    px, py, pz, key, softness_px, bias_m, shadow_m, nearest_m, shadow_K, T_light_world
                )  # fmt: skip
                key *= lit
                if shine > 0 and lit > 0:
                    hx, hy, hz = kx - rx / length, ky - ry / length, kz - rz / length
                    half = (hx * nx + hy * ny + hz * nz) / math.sqrt(hx * hx + hy * hy + hz * hz)
                    half = max(half, 0.0)
                    for _ in range(SHININESS_DOUBLINGS):
                        half *= half
                    highlight = shine * lit * half
            fill = max(0.0, nx * lights[1, 0] + ny * lights[1, 1] + nz * lights[1, 2])
            key, sky = max(key, 0.0), 0.7 + 0.3 * nz
            _tone(rgb, row, column, 0, red, sky, fill, key, highlight, lights, tone)
            _tone(rgb, row, column, 1, green, sky, fill, key, highlight, lights, tone)
            _tone(rgb, row, column, 2, blue, sky, fill, key, highlight, lights, tone)


@numba.njit(**INLINED)
def _tone(
    rgb, row, column, k, colour, sky, fill, key, highlight, lights, tone
):  # pragma: no cover - compiled
    """Write one channel: reflected light, limited to white, through the tone curve."""
    diffuse = sky * lights[4, k] + fill * lights[3, k] + key * lights[2, k]
    light = colour * colour * diffuse + highlight * lights[2, k]
    rgb[row, column, k] = tone[int(min(light, 1.0) * TONE_STEPS)]


@numba.njit(**INLINED)
def _object_normal(wa, wb, wc, face, corner_normals, R, index):  # pragma: no cover - compiled
    """Interpolated normal, rotated into the world frame."""
    x = wa * corner_normals[face, 0, 0] + wb * corner_normals[face, 1, 0] + wc * corner_normals[face, 2, 0]
    y = wa * corner_normals[face, 0, 1] + wb * corner_normals[face, 1, 1] + wc * corner_normals[face, 2, 1]
    z = wa * corner_normals[face, 0, 2] + wb * corner_normals[face, 1, 2] + wc * corner_normals[face, 2, 2]
    return (
        R[index, 0, 0] * x + R[index, 0, 1] * y + R[index, 0, 2] * z,
        R[index, 1, 0] * x + R[index, 1, 1] * y + R[index, 1, 2] * z,
        R[index, 2, 0] * x + R[index, 2, 1] * y + R[index, 2, 2] * z,
    )


@numba.njit(**INLINED)
def _object_colour(
    wa, wb, wc, face, faces, vertex_rgb, corner_uv, texels, start, rows, columns
):  # pragma: no cover - compiled
    """Vertex colour, or the texture's bilinear colour at one mip level; 0-1."""
    if rows == 0:
        i, j, k = faces[face, 0], faces[face, 1], faces[face, 2]
        return (
            wa * vertex_rgb[i, 0] + wb * vertex_rgb[j, 0] + wc * vertex_rgb[k, 0],
            wa * vertex_rgb[i, 1] + wb * vertex_rgb[j, 1] + wc * vertex_rgb[k, 1],
            wa * vertex_rgb[i, 2] + wb * vertex_rgb[j, 2] + wc * vertex_rgb[k, 2],
        )
    u = wa * corner_uv[face, 0, 0] + wb * corner_uv[face, 1, 0] + wc * corner_uv[face, 2, 0]
    v = wa * corner_uv[face, 0, 1] + wb * corner_uv[face, 1, 1] + wc * corner_uv[face, 2, 1]
    x, y = u * columns - 0.5, (1.0 - v) * rows - 0.5
    left, top = math.floor(x), math.floor(y)
    fx, fy = x - left, y - top
    above, below = start + top % rows * columns, start + (top + 1) % rows * columns
    return _bilinear(texels, above, below, left % columns, (left + 1) % columns, fx, fy)


@numba.njit(**INLINED)
def _bilinear(texels, above, below, left, right, fx, fy):  # pragma: no cover - compiled
    """Colour between four texels of a flat texture: `above` and `below` index the first texel of a row."""
    a, b, c, d = above + left, above + right, below + left, below + right
    ga, gb, gc, gd = (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy
    return (
        ga * texels[a, 0] + gb * texels[b, 0] + gc * texels[c, 0] + gd * texels[d, 0],
        ga * texels[a, 1] + gb * texels[b, 1] + gc * texels[c, 1] + gd * texels[d, 1],
        ga * texels[a, 2] + gb * texels[b, 2] + gc * texels[c, 2] + gd * texels[d, 2],
    )


@numba.njit(**INLINED)
def _backdrop_hit(ex, ey, ez, rx, ry, rz, room):  # pragma: no cover - compiled
    """Distance along the ray to the table, else floor or wall; the plane's axis; is it the table."""
    nearest = np.inf
    if rz < -1e-6:
        z = -ez / rz
        if z > 0 and abs(ex + z * rx) <= room[0] and abs(ey + z * ry) <= room[1]:
            return z, 2, True
        nearest = (room[3] - ez) / rz
    axis = 2
    z = (math.copysign(room[2], rx) - ex) / rx if abs(rx) > 1e-6 else np.inf
    if 0.0 < z < nearest:
        nearest, axis = z, 0
    z = (math.copysign(room[2], ry) - ey) / ry if abs(ry) > 1e-6 else np.inf
    if 0.0 < z < nearest:
        nearest, axis = z, 1
    return nearest, axis, False


@numba.njit(**INLINED)
def _tile_colour(tile, size, a, b):  # pragma: no cover - compiled
    """Bilinear colour of a repeating square texture of `size` pixels, 0-1."""
    x, y = (a - math.floor(a)) * size, (b - math.floor(b)) * size
    left, top = min(int(x), size - 1), min(int(y), size - 1)
    right, bottom = (left + 1 if left + 1 < size else 0), (top + 1 if top + 1 < size else 0)
    red, green, blue = _bilinear(tile, top * size, bottom * size, left, right, x - left, y - top)
    return red / 255.0, green / 255.0, blue / 255.0


@numba.njit(**INLINED)
def _lit_ratio(
    px, py, pz, key, softness_px, bias_m, shadow_m, nearest_m, K, T
):  # pragma: no cover - compiled
    """Ratio of 3x3 shadow-map samples around the point that the lamp reaches; 1 outside the map."""
    x = T[0, 0] * px + T[0, 1] * py + T[0, 2] * pz + T[0, 3]
    y = T[1, 0] * px + T[1, 1] * py + T[1, 2] * pz + T[1, 3]
    z = T[2, 0] * px + T[2, 1] * py + T[2, 2] * pz + T[2, 3]
    column, row = K[0, 0] * x / z + K[0, 2] + 0.5, K[1, 1] * y / z + K[1, 2] + 0.5
    size = shadow_m.shape[0]
    if not (softness_px < column < size - softness_px and softness_px < row < size - softness_px):
        return 1.0
    behind = z - bias_m * (1.0 + softness_px * (1.0 - key))
    if nearest_m[int(row), int(column)] > behind:
        return 1.0
    lit = 0
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            lit += shadow_m[int(row + dy * softness_px), int(column + dx * softness_px)] > behind
    return lit / 9.0
