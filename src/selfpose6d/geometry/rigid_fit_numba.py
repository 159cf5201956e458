"""Kernels of rigid fits: of weighted pairs, and the best rotation of their covariance."""

import math

import numba
import numpy as np

SUMS = {"reassoc", "contract", "nsz"}
"""Sums in any order, several lanes at once; what is not finite stays so."""


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=SUMS)
def fit_weighted(source, target, weight, T):  # pragma: no cover - compiled
    """One weighted fit; the identity where nothing has any weight."""
    total, source_sum, target_sum, S = 0.0, np.zeros(3), np.zeros(3), np.zeros((3, 3))
    for n in range(len(weight)):
        w = weight[n]
        total += w
        for a in range(3):
            source_sum[a] += w * source[n, a]
            target_sum[a] += w * target[n, a]
            for b in range(3):
                S[a, b] += w * source[n, a] * target[n, b]
    total = total if total > 0 else 1.0
    for a in range(3):
        for b in range(3):
            S[a, b] = (S[a, b] - source_sum[a] * target_sum[b] / total) / total
    R = rotation_from_covariance(S)
    for a in range(3):
        shift = target_sum[a]
        for b in range(3):
            T[a, b] = R[a, b]
            shift -= R[a, b] * source_sum[b]
        T[a, 3] = shift / total
        T[3, a] = 0.0
    T[3, 3] = 1.0


@numba.njit(cache=True, error_model="numpy")
def rotation_from_covariance(S):  # pragma: no cover - compiled
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
