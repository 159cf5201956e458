"""Kernel of `fragment_poses`: draws, fits and rates the hypotheses of one instance after another."""

import math

import numba
import numpy as np

from selfpose6d.geometry.rigid_fit_numba import SUMS, fit_weighted

TOLD = 3
"""Fragments of a pixel that are asked about a pose, the likeliest: its four sides make a box ambiguous, but of one pose
of it they are far apart."""
LEAST_PROBABILITY = 1e-6
"""Added to probabilities and weights that are drawn from or divided by: something is chosen where all are 0."""
SUPPRESSED = 1e6
"""Off the score of a pose that is too near to a better one; above any number of pixels, so that it comes last."""
_FAR = 12.0
"""Of squared errors in squares of `fit_error`: e to the -12th is a hundred-thousandth of a pixel's support."""


@numba.njit(cache=True, error_model="numpy", nogil=True)
def find_poses(
    probability, offset, centre, points, drawn, fit_error, fitted, fit_rounds, apart_cos, T
):  # pragma: no cover - compiled
    """The poses `T` of each instance, the best supported first."""
    count, fragments = probability.shape[1:]
    told = min(TOLD, fragments)
    for instance in range(len(probability)):
        likely, which = np.zeros((count, told)), np.zeros((count, told), np.int64)
        _tell(probability[instance], likely, which)
        hypotheses = np.empty((len(drawn), 4, 4))
        _draw(probability[instance], offset[instance], centre[instance], points[instance], drawn, hypotheses)
        places = np.empty((count, told, 3), np.float32)
        for n in range(count):
            for k in range(told):
                places[n, k] = centre[instance, which[n, k]] + offset[instance, n, which[n, k]]
        score = _scores(hypotheses, points[instance], likely, places, fit_error)
        pairs, weight, poses = np.empty((count, 3)), np.empty(count), np.empty((fitted, 4, 4))
        for pose in poses:
            pose[:] = hypotheses[_next_apart(hypotheses, score, apart_cos)]
            for _ in range(fit_rounds):
                _nearest_places(pose, points[instance], likely, places, fit_error, pairs, weight)
                fit_weighted(pairs, points[instance], weight, pose)
        score = _scores(poses, points[instance], likely, places, fit_error)
        for best in range(T.shape[1]):
            T[instance, best] = poses[_next_apart(poses, score, apart_cos)]


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _tell(probability, likely, which):  # pragma: no cover - compiled
    """The likeliest fragments of each pixel, in order."""
    for n in range(len(probability)):
        for k in range(probability.shape[1]):
            value, place = probability[n, k], likely.shape[1]
            while place > 0 and (value > likely[n, place - 1] or place > k):
                place -= 1
            for after in range(likely.shape[1] - 1, place, -1):
                likely[n, after], which[n, after] = likely[n, after - 1], which[n, after - 1]
            if place < likely.shape[1]:
                likely[n, place], which[n, place] = value, k


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _draw(probability, offset, centre, points, drawn, T):  # pragma: no cover - compiled
    """One pose for each three numbers of pixels and three of fragments."""
    upto, total = np.empty(len(probability)), 0.0
    for n in range(len(probability)):
        total += LEAST_PROBABILITY
        for k in range(probability.shape[1]):
            total += probability[n, k]
        upto[n] = total
    source, target, weight = np.empty((3, 3)), np.empty((3, 3)), np.ones(3)
    for h in range(len(drawn)):
        for corner in range(3):
            n = min(np.searchsorted(upto, drawn[h, corner, 0] * total, side="right"), len(upto) - 1)
            own = upto[n] - (upto[n - 1] if n > 0 else 0.0) + (probability.shape[1] - 1) * LEAST_PROBABILITY
            goal, passed, k = drawn[h, corner, 1] * own, probability[n, 0] + LEAST_PROBABILITY, 0
            while passed <= goal and k + 1 < probability.shape[1]:
                k += 1
                passed += probability[n, k] + LEAST_PROBABILITY
            source[corner], target[corner] = centre[k] + offset[n, k], points[n]
        fit_weighted(source, target, weight, T[h])


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _scores(T, points, likely, places, fit_error):  # pragma: no cover - compiled
    """The support of each pose."""
    score = np.empty(len(T))
    for h in range(len(T)):
        score[h] = _support(T[h], points, likely, places, fit_error)
    return score


@numba.njit(cache=True, error_model="numpy", nogil=True, fastmath=SUMS)
def _support(T, points, likely, places, fit_error):  # pragma: no cover - compiled
    """How much all places agree with a pose."""
    total, scale = 0.0, 1 / fit_error**2
    for n in range(len(points)):
        x, y, z = _moved_back(T, points[n])
        for k in range(likely.shape[1]):
            squared = scale * (
                (x - places[n, k, 0]) ** 2 + (y - places[n, k, 1]) ** 2 + (z - places[n, k, 2]) ** 2
            )
            if squared < _FAR:
                total += likely[n, k] * math.exp(-squared)
    return total


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _nearest_places(T, points, likely, places, fit_error, pairs, weight):  # pragma: no cover - compiled
    """Of each pixel the place that agrees best, and how much."""
    scale = 1 / fit_error**2
    for n in range(len(points)):
        x, y, z = _moved_back(T, points[n])
        best, most = 0, -1.0
        for k in range(likely.shape[1]):
            squared = scale * (
                (x - places[n, k, 0]) ** 2 + (y - places[n, k, 1]) ** 2 + (z - places[n, k, 2]) ** 2
            )
            support = likely[n, k] * math.exp(-squared) if squared < _FAR else 0.0
            if support > most:
                best, most = k, support
        pairs[n], weight[n] = places[n, best], most + LEAST_PROBABILITY


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _next_apart(T, score, apart_cos):  # pragma: no cover - compiled
    """The pose of highest score; it and those near to it come last from now on."""
    best = score.argmax()
    for h in range(len(T)):
        trace = 0.0
        for a in range(3):
            for b in range(3):
                trace += T[h, a, b] * T[best, a, b]
        if (trace - 1) / 2 > apart_cos:
            score[h] -= SUPPRESSED
    return best


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _moved_back(T, point):  # pragma: no cover - compiled
    """A point where the inverse of a rigid motion puts it."""
    x, y, z = point[0] - T[0, 3], point[1] - T[1, 3], point[2] - T[2, 3]
    return (
        T[0, 0] * x + T[1, 0] * y + T[2, 0] * z,
        T[0, 1] * x + T[1, 1] * y + T[2, 1] * z,
        T[0, 2] * x + T[1, 2] * y + T[2, 2] * z,
    )
