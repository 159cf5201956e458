"""Kernels of `residuals.rendered_system`: one pass over the pixels of each candidate, candidates in parallel."""

import numba
import numpy as np

from selfpose6d.labeling.score_numba import covered_around


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def accumulate_systems(
    mask, crop_depth_m, in_image, K, inner, observed, distance_px, face_normals,
    face_id, covered, depth_m, detail, T, centre, corner, scales, H, g,
):  # fmt: skip  # pragma: no cover - compiled
    height, width = mask.shape
    area = max(mask.sum(), 1)
    fx, skew, cx, fy, cy = K[0, 0], K[0, 1], K[0, 2], K[1, 1], K[1, 2]
    depth_scale = 1.0 / (area * scales.geometry_m**2)
    space_scale = 1.0 / (area * scales.silhouette_px**2)
    colour_scale = 1.0 / (area * scales.colour_lab**2)
    for pose in numba.prange(len(T)):
        J, along_u, along_v = np.zeros(6), np.zeros(6), np.zeros(6)
        sum_H, sum_g = np.zeros((6, 6)), np.zeros(6)
        with_colour = corner[pose, 0] >= 0
        inside = covered_around(covered[pose], 2) if with_colour else covered[pose]
        for row in range(height):
            for column in range(width):
                if not covered[pose, row, column]:
                    continue
                z = float(depth_m[pose, row, column])
                known, in_mask = crop_depth_m[row, column] > 0, mask[row, column]
                gap = crop_depth_m[row, column] - z
                hides = (not in_mask) and known and in_image[row, column] and gap > scales.free_space_m
                coloured = with_colour and inner[row, column] and inside[row, column]
                y = (row - cy) / fy * z
                x = ((column - cx) * z - skew * y) / fx
                px, py, pz = x - centre[pose, 0], y - centre[pose, 1], z - centre[pose, 2]
                if in_mask and known:
                    n = face_normals[face_id[pose, row, column]]
                    for k in range(3):
                        J[k] = T[pose, k, 0] * n[0] + T[pose, k, 1] * n[1] + T[pose, k, 2] * n[2]
                    J[3], J[4], J[5] = py * J[2] - pz * J[1], pz * J[0] - px * J[2], px * J[1] - py * J[0]
                    r = (J[0] * x + J[1] * y + J[2] * z) / max(z, 1e-3) * gap
                    w = depth_scale / (1.0 + (gap / scales.robust_m) ** 2) ** 2
                    for i in range(6):
                        weighted = w * J[i]
                        sum_g[i] += weighted * r
                        for j in range(i, 6):
                            sum_H[i, j] += weighted * J[j]
                if not (hides or coloured):
                    continue
                inverse_z = 1.0 / max(z, 1e-3)
                a, b = fx * inverse_z, fy * inverse_z
                c, d = -a * x * inverse_z, -b * y * inverse_z
                along_u[0], along_u[2] = a, c
                along_u[3], along_u[4], along_u[5] = py * c, pz * a - px * c, -py * a
                along_v[1], along_v[2] = b, d
                along_v[3], along_v[4], along_v[5] = py * d - pz * b, -px * d, px * b
                uu, uv, vv, u, v = 0.0, 0.0, 0.0, 0.0, 0.0
                if hides:
                    far, du, dv = (
                        distance_px[0, row, column],
                        distance_px[1, row, column],
                        distance_px[2, row, column],
                    )
                    uu, uv, vv = space_scale * du * du, space_scale * du * dv, space_scale * dv * dv
                    u, v = -space_scale * du * far, -space_scale * dv * far
                if coloured:
                    uu, uv, vv, u, v = _colour_terms(
                        detail[pose], observed, row, column, corner[pose, 0], corner[pose, 1],
                        colour_scale, 3 * scales.colour_lab,
                    )  # fmt: skip
                for i in range(6):
                    sum_g[i] += along_u[i] * u + along_v[i] * v
                    left, right = uu * along_u[i] + uv * along_v[i], uv * along_u[i] + vv * along_v[i]
                    for j in range(i, 6):
                        sum_H[i, j] += left * along_u[j] + right * along_v[j]
        for i in range(6):
            g[pose, i] = sum_g[i]
            for j in range(6):
                H[pose, i, j] = sum_H[min(i, j), max(i, j)]


@numba.njit(cache=True, error_model="numpy")
def _colour_terms(
    detail, observed, row, column, down, right, scale, robust_lab
):  # pragma: no cover - compiled
    """Entries uu, uv, vv, u, v of `residuals.colour_terms` at a pixel that has all its neighbours."""
    uu, uv, vv, u, v, squared = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    i, j = row + down, column + right
    for k in range(3):
        r = detail[k, row, column] - observed[k, i, j]
        du = 0.25 * (
            detail[k, row, column + 1]
            - detail[k, row, column - 1]
            + observed[k, i, j + 1]
            - observed[k, i, j - 1]
        )
        dv = 0.25 * (
            detail[k, row + 1, column]
            - detail[k, row - 1, column]
            + observed[k, i + 1, j]
            - observed[k, i - 1, j]
        )
        squared += r * r
        uu, uv, vv, u, v = uu + du * du, uv + du * dv, vv + dv * dv, u + du * r, v + dv * r
    w = scale / (1.0 + squared / robust_lab**2)
    return w * uu, w * uv, w * vv, w * u, w * v
