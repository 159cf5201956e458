"""Kernel of `corrected`: small motions about the objects' centres, one pass over all poses."""

import math

import numba

MIN_LENGTH = 1e-8
"""Of a quaternion: a shorter one has no direction."""


@numba.njit(cache=True, error_model="numpy", nogil=True)
def correct_poses(T, change, centre_m, diameter_m, out):  # pragma: no cover - compiled
    """Each instance's poses by its object's centre and diameter."""
    for instance in range(T.shape[0]):
        centre, scale = centre_m[instance], diameter_m[instance]
        for pose in range(T.shape[1]):
            t, moved, by = T[instance, pose], out[instance, pose], change[instance, pose]
            w, x, y, z = 1.0 + by[0], by[1], by[2], by[3]
            length = math.sqrt(w * w + x * x + y * y + z * z)
            if length < MIN_LENGTH:  # NaN stays
                length = MIN_LENGTH
            w, x, y, z = w / length, x / length, y / length, z / length
            rows = (
                (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
                (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
                (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
            )
            for a in range(3):
                turn = rows[a]
                moved[a, 3] = t[a, 3] + by[4 + a] * scale
                for b in range(3):
                    moved[a, b] = turn[0] * t[0, b] + turn[1] * t[1, b] + turn[2] * t[2, b]
                    moved[a, 3] += (t[a, b] - moved[a, b]) * centre[b]
                moved[3, a] = 0.0
            moved[3, 3] = 1.0
