"""Kernels of crop batches: which pixels are sampled, where they are, and the map of all points."""

import math

import numba
import numpy as np

_OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True}


@numba.njit(**_OPTIONS)
def choose_pixels(
    mask, depth_m, middle_m, reach_m, min_near, within, order, pixel_out
):  # pragma: no cover - compiled
    """One pixel of each stratum of those allowed, in raster order, then as `order` says.

    Allowed are known ones of the mask near the middle depth, or all known ones where `min_near` are not near.
    `within` says where in its stratum each lies, 0-1.
    """
    instances, size = mask.shape[:2]
    count = within.shape[1]
    listed, chosen = np.empty(size * size, np.int64), np.empty(count, np.int64)
    for b in range(instances):
        available = _list_known(mask[b], depth_m[b], middle_m[b], reach_m[b], listed)
        if available < min_near:
            available = _list_known(mask[b], depth_m[b], middle_m[b], np.inf, listed)
        for n in range(count):
            if available == 0:
                chosen[n] = size * size // 2 + size // 2
                continue
            # in single precision, as torch has it
            place = (np.float32(n) + within[b, n]) / np.float32(count) * np.float32(available)
            chosen[n] = listed[min(np.int64(place), available - 1)]
        for n in range(count):
            pixel_out[b, n] = chosen[order[b, n]]


@numba.njit(**_OPTIONS)
def _list_known(mask, depth_m, middle_m, reach_m, listed):  # pragma: no cover - compiled
    found, size = 0, len(mask)
    for row in range(size):
        for column in range(size):
            depth = depth_m[row, column]
            if mask[row, column] and depth > 0 and abs(depth - middle_m) <= reach_m:
                listed[found] = row * size + column
                found += 1
    return found


@numba.njit(**_OPTIONS)
def lift_pixels(pixel, depth_m, box_px, K, points_out, T_out):  # pragma: no cover - compiled
    """The sampled pixels' points in the crop frame, and that frame: at their median, z along the line of sight."""
    instances, count = pixel.shape
    size = depth_m.shape[1]
    points_cam_m = np.empty((count, 3), np.float32)
    centre = np.empty(3)
    for b in range(instances):
        for n in range(count):
            row, column = pixel[b, n] // size, pixel[b, n] % size
            _back_project(row, column, depth_m[b, row, column], box_px[b], size, K[b], points_cam_m[n])
        for axis in range(3):
            centre[axis] = np.sort(points_cam_m[:, axis])[(count - 1) // 2]
        _look_at(centre, T_out[b])
        for n in range(count):
            _into_crop(points_cam_m[n], T_out[b], points_out[b, n])


@numba.njit(**_OPTIONS)
def map_surface(mask, depth_m, box_px, K, T_cam_crop, out):  # pragma: no cover - compiled
    """`out` (zeros) gets x, y, z of each known pixel of the mask, whether it is known, and the mask."""
    instances, size = mask.shape[:2]
    point_cam_m, point_crop_m = np.empty(3, np.float32), np.empty(3, np.float32)
    for b in range(instances):
        for row in range(size):
            for column in range(size):
                if not mask[b, row, column]:
                    continue
                out[b, 4, row, column] = 1.0
                depth = depth_m[b, row, column]
                if depth > 0:
                    out[b, 3, row, column] = 1.0
                    _back_project(row, column, depth, box_px[b], size, K[b], point_cam_m)
                    _into_crop(point_cam_m, T_cam_crop[b], point_crop_m)
                    for axis in range(3):
                        out[b, axis, row, column] = point_crop_m[axis]


@numba.njit(inline="always")
def _back_project(row, column, depth, box_px, size, K, out):  # pragma: no cover - compiled
    """Through the frame pixel that the crop's pixel was taken from."""
    step = box_px[2] / size
    u_px = math.floor(box_px[0] + (column + 0.5) * step)
    v_px = math.floor(box_px[1] + (row + 0.5) * step)
    out[0] = (u_px - K[0, 2]) / K[0, 0] * depth
    out[1] = (v_px - K[1, 2]) / K[1, 1] * depth
    out[2] = depth


@numba.njit(inline="always")
def _into_crop(point, T_cam_crop, out):  # pragma: no cover - compiled
    x, y, z = point[0] - T_cam_crop[0, 3], point[1] - T_cam_crop[1, 3], point[2] - T_cam_crop[2, 3]
    for axis in range(3):
        out[axis] = T_cam_crop[0, axis] * x + T_cam_crop[1, axis] * y + T_cam_crop[2, axis] * z


@numba.njit(**_OPTIONS)
def _look_at(centre, T):  # pragma: no cover - compiled
    """`T_cam_crop`: origin at the centre, z along the line of sight, by the least rotation that does it."""
    length = max(math.sqrt(centre[0] ** 2 + centre[1] ** 2 + centre[2] ** 2), 1e-12)
    x, y, z = centre[0] / length, centre[1] / length, centre[2] / length
    a = 1.0 / max(1.0 + z, 1e-6)
    T[0, 0], T[0, 1], T[0, 2] = 1 - x * x * a, -x * y * a, x
    T[1, 0], T[1, 1], T[1, 2] = -x * y * a, 1 - y * y * a, y
    T[2, 0], T[2, 1], T[2, 2] = -x, -y, z
    for axis in range(3):
        T[axis, 3], T[3, axis] = centre[axis], 0.0
    T[3, 3] = 1.0
