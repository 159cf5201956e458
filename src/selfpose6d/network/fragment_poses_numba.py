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
LEAST_AREA, LEAST_SHARE = 0.01, 0.1
"""Of the parallelogram of three measured points that fix a pose, squared diameters: 10 by 10 hundredths, or where
little of the object is seen, a share of the largest that was drawn. About the line that smaller ones lie near to the
rotation is anything, up to the last digit."""
FAR = 12.0
"""Of squared errors in squares of `fit_error`: e to the -12th is a hundred-thousandth of a pixel's support."""


@numba.njit(cache=True, error_model="numpy", nogil=True)
def find_poses(
    probability, offset, centre, points, drawn, fit_error, effort, apart_cos, met_cos, T
):  # pragma: no cover - compiled
    """The poses `T` of each instance, the best supported first."""
    count, fragments = probability.shape[1:]
    told = min(TOLD, fragments)
    for instance in range(len(probability)):
        own, goal = offset[instance], points[instance]
        likely, which = np.zeros((count, told)), np.zeros((count, told), np.int64)
        _tell(probability[instance], likely, which)
        places = np.empty((count, told, 3), np.float32)
        for n in range(count):
            for k in range(told):
                places[n, k] = centre[instance, which[n, k]] + own[n, which[n, k]]
        hypotheses, area = np.empty((len(drawn), 4, 4)), np.empty(len(drawn))
        _draw(probability[instance], own, centre[instance], goal, drawn, hypotheses, area)
        score = _scores(hypotheses, goal, likely, places, fit_error)
        score[area < min(LEAST_AREA, LEAST_SHARE * area.max())] = -np.inf
        poses, best = np.empty((effort.fitted, 4, 4)), np.empty((T.shape[1], 4, 4))
        poses = poses[: _take_apart(hypotheses, score, apart_cos, poses)]
        _fit_again(poses, goal, likely, places, fit_error, effort.rounds)
        score = _scores(poses, goal, likely, places, fit_error)
        score[score < effort.least_share * score.max()] = -np.inf
        best = best[: _take_apart(poses, score, apart_cos, best)]
        _fit_again(best, goal, likely, places, fit_error, effort.last_rounds)
        differ = _take_apart(best, _scores(best, goal, likely, places, fit_error), met_cos, T[instance])
        T[instance, differ:] = T[instance, 0]


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
def _draw(probability, offset, centre, points, drawn, T, area):  # pragma: no cover - compiled
    """One pose for each three numbers of pixels and three of fragments, and the area that the three points span."""
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
        squared = 0.0
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            normal = (target[1, b] - target[0, b]) * (target[2, c] - target[0, c])
            normal -= (target[1, c] - target[0, c]) * (target[2, b] - target[0, b])
            squared += normal * normal
        area[h] = math.sqrt(squared)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def score_poses(T, points, likely, places, fit_error, score):  # pragma: no cover - compiled
    """The support of each pose of each instance."""
    for instance in range(len(T)):
        score[instance] = _scores(
            T[instance], points[instance], likely[instance], places[instance], fit_error
        )


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
            if squared < FAR:
                total += likely[n, k] * math.exp(-squared)
    return total


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _fit_again(poses, points, likely, places, fit_error, rounds):  # pragma: no cover - compiled
    """Each pose, several times over, fitted to the places that agree best with it, by how much they do."""
    pairs, weight, scale = np.empty((len(points), 3)), np.empty(len(points)), 1 / fit_error**2
    for pose in poses:
        for _ in range(rounds):
            for n in range(len(points)):
                x, y, z = _moved_back(pose, points[n])
                best, most = 0, -1.0
                for k in range(likely.shape[1]):
                    squared = scale * (
                        (x - places[n, k, 0]) ** 2 + (y - places[n, k, 1]) ** 2 + (z - places[n, k, 2]) ** 2
                    )
                    support = likely[n, k] * math.exp(-squared) if squared < FAR else 0.0
                    if support > most:
                        best, most = k, support
                pairs[n], weight[n] = places[n, best], most + LEAST_PROBABILITY
            fit_weighted(pairs, points, weight, pose)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _take_apart(T, score, apart_cos, chosen):  # pragma: no cover - compiled
    """How many of the poses of highest score differ; they are the first of `chosen`."""
    for place in range(len(chosen)):
        best = score.argmax()
        if place > 0 and score[best] == -np.inf:
            return place
        chosen[place] = T[best]
        for h in range(len(T)):
            trace = 0.0
            for a in range(3):
                for b in range(3):
                    trace += T[h, a, b] * T[best, a, b]
            if (trace - 1) / 2 > apart_cos:
                score[h] = -np.inf
    return len(chosen)


@numba.njit(cache=True, error_model="numpy", nogil=True)
def _moved_back(T, point):  # pragma: no cover - compiled
    """A point where the inverse of a rigid motion puts it."""
    x, y, z = point[0] - T[0, 3], point[1] - T[1, 3], point[2] - T[2, 3]
    return (
        T[0, 0] * x + T[1, 0] * y + T[2, 0] * z,
        T[0, 1] * x + T[1, 1] * y + T[2, 1] * z,
        T[0, 2] * x + T[1, 2] * y + T[2, 2] * z,
    )
