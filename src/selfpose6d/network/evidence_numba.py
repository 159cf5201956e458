"""Kernel of the comparison's look-ups: one pass over all poses and points, which torch takes forty calls for."""

import math

import numba
import numpy as np

RESIDUAL_GAIN = 10.0
"""Distances to the surface are small beside positions, both in diameters: enlarged, they are of like size."""
MAX_RESIDUAL = 0.2
"""Diameters; what is farther off counts as this far: it is of something else, or the pose is plainly wrong."""
POSITION_GAIN = 2.0
"""Positions about the centre reach half a diameter."""
MEASURED_CHANNELS, EXPECTED_CHANNELS = 22, 20
MIN_DEPTH_M = 1e-3
"""Points nearer to the camera, or behind it, are projected from there."""
# NaN must stay NaN: a network that is not finite is reported where its loss is checked
_OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True, "fastmath": {"contract"}}


@numba.njit(**_OPTIONS)
def look_up_measured(
    T, instance, model, points_m, seen, pattern, nearest, origin_m, cell_m, samples_m, normals, rgb, coloured,
    diameter_m, centre_m, min_contrast, max_contrast, out, light_out,
):  # pragma: no cover - compiled  # fmt: skip
    """Every measured point on the mesh where the pose puts it; and the light of the mesh's colours there.

    `T` holds poses in one list, `instance` whose each is; `model` names each instance's object.
    """
    count, cells = points_m.shape[1], nearest.shape[1]
    gain, last = np.float32(POSITION_GAIN), np.float32(cells - 1)
    for pose in range(len(T)):
        b = instance[pose]
        m, t = model[b], T[pose]
        scale, cell, shown = np.float32(1) / diameter_m[m], cell_m[m], np.float32(coloured[m])
        cx, cy, cz = _transformed(t, centre_m[m, 0], centre_m[m, 1], centre_m[m, 2])
        x0, y0, z0 = origin_m[m, 0], origin_m[m, 1], origin_m[m, 2]
        red, green, blue = 0.0, 0.0, 0.0
        for point in range(count):
            x, y, z = points_m[b, point, 0], points_m[b, point, 1], points_m[b, point, 2]
            dx, dy, dz = x - t[0, 3], y - t[1, 3], z - t[2, 3]
            px = t[0, 0] * dx + t[1, 0] * dy + t[2, 0] * dz
            py = t[0, 1] * dx + t[1, 1] * dy + t[2, 1] * dz
            pz = t[0, 2] * dx + t[1, 2] * dy + t[2, 2] * dz
            i, j, k = (
                _cell((px - x0) / cell, last),
                _cell((py - y0) / cell, last),
                _cell((pz - z0) / cell, last),
            )
            s = nearest[m, i, j, k]
            row, sample, normal, colour = out[pose, point], samples_m[m, s], normals[m, s], rgb[m, s]
            row[0], row[1], row[2] = gain * (x - cx) * scale, gain * (y - cy) * scale, gain * (z - cz) * scale
            row[3], row[4], row[5] = _rotated(
                t,
                _enlarged((sample[0] - px) * scale),
                _enlarged((sample[1] - py) * scale),
                _enlarged((sample[2] - pz) * scale),
            )
            row[6], row[7], row[8] = _rotated(t, normal[0], normal[1], normal[2])
            red, green, blue = red + colour[0], green + colour[1], blue + colour[2]
            for c in range(3):
                row[9 + c] = seen[b, point, c]
                row[12 + c] = (np.float32(2) * colour[c] - np.float32(1)) * shown
                row[15 + c] = pattern[b, point, c]
                row[18 + c] = colour[c]
            row[21] = shown
        light = light_out[pose]
        light[0], light[1], light[2], light[3] = red / count, green / count, blue / count, 0.0
        for c in range(3):
            squared = 0.0
            for point in range(count):
                squared += (out[pose, point, 18 + c] - light[c]) ** 2
            light[3] += math.sqrt(squared / (count - 1)) / 3
        contrast, limit = np.float32(1 / (light[3] + min_contrast)), np.float32(max_contrast)
        for point in range(count):
            for c in range(3):
                relative = (out[pose, point, 18 + c] - light[c]) * contrast
                out[pose, point, 18 + c] = _within(relative, limit) * shown


@numba.njit(**_OPTIONS)
def look_up_expected(
    T, instance, model, points_m, normals, rgb, coloured, diameter_m, centre_m, image, depth_m, mask, K_crop,
    T_cam_crop, seen_light, mesh_light, min_contrast, max_contrast, out,
):  # pragma: no cover - compiled  # fmt: skip
    """Every point of the mesh in the crop where the pose projects it; images have a crop's rows one after another."""
    count, size = points_m.shape[1], mask.shape[1]
    gain, limit = np.float32(POSITION_GAIN), np.float32(max_contrast)
    for pose in range(len(T)):
        b = instance[pose]
        m, t, camera, K = model[b], T[pose], T_cam_crop[b], K_crop[b]
        scale, shown = np.float32(1) / diameter_m[m], np.float32(coloured[m])
        light, seen = mesh_light[pose], seen_light[b]
        contrast, seen_contrast = (
            np.float32(1 / (light[3] + min_contrast)),
            np.float32(1 / (seen[3] + min_contrast)),
        )
        cx, cy, cz = _transformed(t, centre_m[m, 0], centre_m[m, 1], centre_m[m, 2])
        for point in range(count):
            x, y, z = _transformed(t, points_m[b, point, 0], points_m[b, point, 1], points_m[b, point, 2])
            u, v, z_m = _transformed(camera, x, y, z)
            if z_m < MIN_DEPTH_M:
                z_m = np.float32(MIN_DEPTH_M)
            u_px, v_px = u / z_m * K[0, 0] + K[0, 2], v / z_m * K[1, 1] + K[1, 2]
            inside = 0 <= u_px < size and 0 <= v_px < size
            pixel_row, column = _pixel(v_px, size), _pixel(u_px, size)
            row, colour = out[pose, point], image[b, pixel_row * size + column]
            row[0], row[1], row[2] = gain * (x - cx) * scale, gain * (y - cy) * scale, gain * (z - cz) * scale
            row[3], row[4], row[5] = _rotated(
                t, normals[b, point, 0], normals[b, point, 1], normals[b, point, 2]
            )
            for c in range(3):
                row[6 + c] = np.float32(2) * colour[c] - np.float32(1)
                row[9 + c] = _within((colour[c] - seen[c]) * seen_contrast, limit)
                row[12 + c] = _within((rgb[b, point, c] - light[c]) * contrast, limit) * shown
            depth, of_mask = depth_m[b, pixel_row, column], mask[b, pixel_row, column]
            known = depth > 0
            row[15] = _enlarged((depth - z_m) * scale) if known else 0.0 * z_m
            row[16], row[17], row[18], row[19] = known, of_mask, inside, known and of_mask


@numba.njit(inline="always")
def _transformed(t, x, y, z):  # pragma: no cover - compiled
    return (
        t[0, 0] * x + t[0, 1] * y + t[0, 2] * z + t[0, 3],
        t[1, 0] * x + t[1, 1] * y + t[1, 2] * z + t[1, 3],
        t[2, 0] * x + t[2, 1] * y + t[2, 2] * z + t[2, 3],
    )


@numba.njit(inline="always")
def _rotated(t, x, y, z):  # pragma: no cover - compiled
    return (
        t[0, 0] * x + t[0, 1] * y + t[0, 2] * z,
        t[1, 0] * x + t[1, 1] * y + t[1, 2] * z,
        t[2, 0] * x + t[2, 1] * y + t[2, 2] * z,
    )


@numba.njit(inline="always")
def _within(value, limit):  # pragma: no cover - compiled
    """Between minus and plus the limit; NaN stays."""
    if value > limit:
        return limit
    if value < -limit:
        return -limit
    return value


@numba.njit(inline="always")
def _enlarged(distance):  # pragma: no cover - compiled
    """Distances in diameters, of a size that layers can tell apart."""
    return np.float32(RESIDUAL_GAIN) * _within(distance, np.float32(MAX_RESIDUAL))


@numba.njit(inline="always")
def _cell(position, last):  # pragma: no cover - compiled
    """The cell that a position lies in, at the border where it is outside; of NaN the first, as elsewhere."""
    if not position > 0:
        return 0
    return int(np.rint(min(position, last)))


@numba.njit(inline="always")
def _pixel(position, size):  # pragma: no cover - compiled
    """The row or column that a position lies in, at the border where it is outside; of NaN the first."""
    if not position > 0:
        return 0
    return int(min(position, size - 1.0))
