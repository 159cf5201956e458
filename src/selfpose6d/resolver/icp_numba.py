"""Kernels of the resolver: one fused loop per pose, poses in parallel; observed-to-model only."""

import math

import numba
import numpy as np


@numba.njit(parallel=True, cache=True, error_model="numpy")
def resolve_poses(
    T, clouds, cloud, index, origin, cell, points, radius, model,
    iterations, scale2, tolerance, inlier, rms, inlier_ratio, used, converged,
):  # fmt: skip  # pragma: no cover - compiled
    for p in numba.prange(len(T)):
        observed, m = clouds[cloud[p]], model[p]
        for _ in range(iterations):
            moved = _step(T[p], observed, index[m], origin[m], cell[m], points[m], radius[m], scale2)
            used[p] += 1
            if moved < tolerance:
                converged[p] = True
                break
        rms[p], inlier_ratio[p] = _residual(T[p], observed, index[m], origin[m], cell[m], points[m], inlier)


@numba.njit(cache=True, error_model="numpy")
def _nearest(T, x, y, z, index, origin, cell):  # pragma: no cover - compiled
    """Sample index nearest to the camera point, looked up in the object frame."""
    x, y, z = x - T[0, 3], y - T[1, 3], z - T[2, 3]
    last = index.shape[0] - 1
    i = round((T[0, 0] * x + T[1, 0] * y + T[2, 0] * z - origin[0]) / cell)
    j = round((T[0, 1] * x + T[1, 1] * y + T[2, 1] * z - origin[1]) / cell)
    k = round((T[0, 2] * x + T[1, 2] * y + T[2, 2] * z - origin[2]) / cell)
    return index[min(max(i, 0), last), min(max(j, 0), last), min(max(k, 0), last)]


@numba.njit(cache=True, error_model="numpy")
def _step(T, observed, index, origin, cell, points, radius, scale2):  # pragma: no cover - compiled
    """One ICP iteration in place; returns a bound on how far a model point moved (metres)."""
    total, sq, sx, S = 0.0, np.zeros(3), np.zeros(3), np.zeros((3, 3))
    for n in range(observed.shape[0]):
        x = observed[n]
        q = points[_nearest(T, x[0], x[1], x[2], index, origin, cell)]
        w = 1.0
        if scale2 > 0.0:
            squared = 0.0
            for a in range(3):
                d = T[a, 0] * q[0] + T[a, 1] * q[1] + T[a, 2] * q[2] + T[a, 3] - x[a]
                squared += d * d
            w = (scale2 / (scale2 + squared)) ** 2
        total += w
        for a in range(3):
            sq[a] += w * q[a]
            sx[a] += w * x[a]
            for b in range(3):
                S[a, b] += w * q[a] * x[b]
    if total <= 0.0:
        return 0.0
    for a in range(3):
        for b in range(3):
            S[a, b] -= sq[a] * sx[b] / total
    R = _rotation_from_covariance(S)
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
def _rotation_from_covariance(S):  # pragma: no cover - compiled
    """Rotation that maximises trace(R S), S = sum of source x target^T: Horn's quaternion, always proper.

    Reference: Horn, Closed-form solution of absolute orientation using unit quaternions, 1987.
    """
    N = np.empty((4, 4))
    N[0, 0] = S[0, 0] + S[1, 1] + S[2, 2]
    N[1, 1] = S[0, 0] - S[1, 1] - S[2, 2]
    N[2, 2] = -S[0, 0] + S[1, 1] - S[2, 2]
    N[3, 3] = -S[0, 0] - S[1, 1] + S[2, 2]
    N[0, 1] = N[1, 0] = S[1, 2] - S[2, 1]
    N[0, 2] = N[2, 0] = S[2, 0] - S[0, 2]
    N[0, 3] = N[3, 0] = S[0, 1] - S[1, 0]
    N[1, 2] = N[2, 1] = S[0, 1] + S[1, 0]
    N[1, 3] = N[3, 1] = S[2, 0] + S[0, 2]
    N[2, 3] = N[3, 2] = S[1, 2] + S[2, 1]
    w, x, y, z = _largest_eigenvector(N)
    R = np.empty((3, 3))
    R[0, 0], R[0, 1], R[0, 2] = 1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)
    R[1, 0], R[1, 1], R[1, 2] = 2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)
    R[2, 0], R[2, 1], R[2, 2] = 2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)
    return R


@numba.njit(cache=True, error_model="numpy")
def _largest_eigenvector(N):  # pragma: no cover - compiled
    """Unit eigenvector of the largest eigenvalue of a symmetric 4x4 matrix, by cyclic Jacobi rotations (in place)."""
    V = np.eye(4)
    for _ in range(12):
        off = 0.0
        for p in range(3):
            for q in range(p + 1, 4):
                off += N[p, q] * N[p, q]
        scale = N[0, 0] ** 2 + N[1, 1] ** 2 + N[2, 2] ** 2 + N[3, 3] ** 2
        if off <= 1e-22 * scale or off == 0.0:
            break
        for p in range(3):
            for q in range(p + 1, 4):
                if N[p, q] == 0.0:
                    continue
                theta = (N[q, q] - N[p, p]) / (2.0 * N[p, q])
                t = math.copysign(1.0, theta) / (abs(theta) + math.sqrt(theta * theta + 1.0))
                c = 1.0 / math.sqrt(t * t + 1.0)
                s = t * c
                for k in range(4):
                    a, b = N[k, p], N[k, q]
                    N[k, p], N[k, q] = c * a - s * b, s * a + c * b
                for k in range(4):
                    a, b = N[p, k], N[q, k]
                    N[p, k], N[q, k] = c * a - s * b, s * a + c * b
                    a, b = V[k, p], V[k, q]
                    V[k, p], V[k, q] = c * a - s * b, s * a + c * b
    best = 0
    for k in range(1, 4):
        if N[k, k] > N[best, best]:
            best = k
    return V[0, best], V[1, best], V[2, best], V[3, best]


@numba.njit(cache=True, error_model="numpy")
def _residual(T, observed, index, origin, cell, points, inlier):  # pragma: no cover - compiled
    """(rms distance, ratio of points nearer than `inlier`) at the pose."""
    total, inliers = 0.0, 0
    for n in range(observed.shape[0]):
        x = observed[n]
        q = points[_nearest(T, x[0], x[1], x[2], index, origin, cell)]
        squared = 0.0
        for a in range(3):
            d = T[a, 0] * q[0] + T[a, 1] * q[1] + T[a, 2] * q[2] + T[a, 3] - x[a]
            squared += d * d
        total += squared
        if squared < inlier * inlier:
            inliers += 1
    return math.sqrt(total / observed.shape[0]), inliers / observed.shape[0]
