"""Kernels of the resolver: one fused loop per pose, poses in parallel; observed-to-model only."""

import math

import numba
import numpy as np

from selfpose6d.geometry.rigid_fit_numba import rotation_from_covariance


@numba.njit(parallel=True, cache=True, nogil=True, error_model="numpy")
def resolve_poses(
    T, clouds, cloud, index, origin, cell, points, radius, model,
    iterations, scale2, tolerance, inlier, rms, inlier_ratio, used, converged,
):  # fmt: skip  # pragma: no cover - compiled
    for p in numba.prange(len(T)):
        observed, m = clouds[cloud[p]], model[p]
        across, nearest = np.ascontiguousarray(observed.T), np.empty(observed.shape, np.float32)
        for _ in range(iterations):
            _find_nearest(T[p], across, index[m], origin[m], cell[m], points[m], nearest)
            moved = _step(T[p], observed, nearest, radius[m], scale2)
            used[p] += 1
            if moved < tolerance:
                converged[p] = True
                break
        _find_nearest(T[p], across, index[m], origin[m], cell[m], points[m], nearest)
        rms[p], inlier_ratio[p] = _residual(T[p], observed, nearest, inlier)


@numba.njit(cache=True, error_model="numpy")
def _find_nearest(T, across, index, origin, cell, points, nearest):  # pragma: no cover - compiled
    """The sample nearest to each camera point (columns of `across`), looked up in the object frame.

    Two loops: the first runs on vectors, and the second waits for many cells of the grid at a time.
    """
    cells, last = index.shape[0], float(index.shape[0] - 1)
    where = np.empty(across.shape[1], np.int32)
    for n in range(len(where)):
        x, y, z = across[0, n] - T[0, 3], across[1, n] - T[1, 3], across[2, n] - T[2, 3]
        i = np.rint((T[0, 0] * x + T[1, 0] * y + T[2, 0] * z - origin[0]) / cell)
        j = np.rint((T[0, 1] * x + T[1, 1] * y + T[2, 1] * z - origin[1]) / cell)
        k = np.rint((T[0, 2] * x + T[1, 2] * y + T[2, 2] * z - origin[2]) / cell)
        i, j, k = min(max(i, 0.0), last), min(max(j, 0.0), last), min(max(k, 0.0), last)
        where[n] = np.int32((i * cells + j) * cells + k)
    flat = index.reshape(-1)
    for n in range(len(where)):
        sample = flat[where[n]]
        for a in range(3):
            nearest[n, a] = points[sample, a]


@numba.njit(cache=True, error_model="numpy")
def _step(T, observed, nearest, radius, scale2):  # pragma: no cover - compiled
    """One ICP iteration in place; returns a bound on how far a model point moved (metres)."""
    total, q0, q1, q2, x0, x1, x2 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    s00, s01, s02, s10, s11, s12, s20, s21, s22 = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(observed.shape[0]):
        w = 1.0
        if scale2 > 0.0:
            w = (scale2 / (scale2 + _squared_distance(T, nearest[n], observed[n]))) ** 2
        a, b, c = w * nearest[n, 0], w * nearest[n, 1], w * nearest[n, 2]
        x, y, z = observed[n, 0], observed[n, 1], observed[n, 2]
        total, q0, q1, q2 = total + w, q0 + a, q1 + b, q2 + c
        x0, x1, x2 = x0 + w * x, x1 + w * y, x2 + w * z
        s00, s01, s02 = s00 + a * x, s01 + a * y, s02 + a * z
        s10, s11, s12 = s10 + b * x, s11 + b * y, s12 + b * z
        s20, s21, s22 = s20 + c * x, s21 + c * y, s22 + c * z
    if total <= 0.0:
        return 0.0
    sq, sx = np.array([q0, q1, q2]), np.array([x0, x1, x2])
    S = np.array([[s00, s01, s02], [s10, s11, s12], [s20, s21, s22]])
    for a in range(3):
        for b in range(3):
            S[a, b] -= sq[a] * sx[b] / total
    R = rotation_from_covariance(S)
    moved_t, moved_R = 0.0, 0.0
    for a in range(3):
        t = sx[a] / total
        for b in range(3):
            t -= R[a, b] * sq[b] / total
            moved_R += (R[a, b] - T[a, b]) ** 2
            T[a, b] = R[a, b]
        moved_t += (t - T[a, 3]) ** 2
        T[a, 3] = t
    return math.sqrt(moved_t) + radius * math.sqrt(moved_R)


@numba.njit(cache=True, error_model="numpy")
def _squared_distance(T, q, x):  # pragma: no cover - compiled
    """Of a model point at the pose from a camera point."""
    squared = 0.0
    for a in range(3):
        d = T[a, 0] * q[0] + T[a, 1] * q[1] + T[a, 2] * q[2] + T[a, 3] - x[a]
        squared += d * d
    return squared


@numba.njit(cache=True, error_model="numpy")
def _residual(T, observed, nearest, inlier):  # pragma: no cover - compiled
    """(rms distance, ratio of points nearer than `inlier`) at the pose."""
    total, inliers = 0.0, 0
    for n in range(observed.shape[0]):
        squared = _squared_distance(T, nearest[n], observed[n])
        total += squared
        if squared < inlier * inlier:
            inliers += 1
    return math.sqrt(total / observed.shape[0]), inliers / observed.shape[0]
