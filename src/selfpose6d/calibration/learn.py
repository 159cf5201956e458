"""One monotone score from the certificate's terms, fitted to poses that are known to be right or wrong.

The score is the log odds of a logistic regression on ramps: each term contributes a piecewise linear function that
never falls, so that better evidence never lowers the score, whatever the scenes were.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from selfpose6d.labeling.terms import GROUPS, TERM_NAMES

KNOT_QUANTILES = (0.0, 0.05, 0.15, 0.3, 0.5, 0.75, 1.0)
"""Of a term's values, between which its function is a straight line: dense where wrong poses are."""
WRONG_WEIGHT = 20.0
"""Of a wrong pose in the fit, beside a right one: the score has to be right where poses are certified, and there a
wrong one costs more than many that are left out. 1, 5 and 20 were tried on the scenes themselves (docs/results.md)."""
PENALTY = 0.2
"""On the squares of the rises: a weak prior. At 1, small objects before time-of-flight cameras, which no other term
gives away, weigh too little (docs/results.md)."""
MIN_PER_BIN = 60
"""Poses behind each point of the probability: a standard error of 3 % at most where it matters."""
MAX_BINS = 30
"""Points of the probability."""


@dataclass(frozen=True)
class MonotoneScore:
    """Per term its knots and rises, per group an offset; see `Calibration`."""

    knots: dict[str, tuple[float, ...]]
    rises: dict[str, tuple[float, ...]]
    offsets: dict[str, float]


def fit_score(
    terms: Float[np.ndarray, "poses terms"],
    groups: Sequence[str],
    right: Bool[np.ndarray, " poses"],
) -> MonotoneScore:
    """Maximum likelihood, wrong poses weighing more, with non-negative rises and a ridge penalty (L-BFGS-B)."""
    knots = {name: _knots(column) for name, column in zip(TERM_NAMES, terms.T, strict=True)}
    ramps = [_ramps(column, knots[name]) for name, column in zip(TERM_NAMES, terms.T, strict=True)]
    group = np.array([[given == name for name in GROUPS] for given in groups], np.float64)
    X = np.concatenate([*ramps, group], axis=1)
    num_rises = X.shape[1] - len(GROUPS)
    target, cost = right.astype(np.float64), np.where(right, 1.0, WRONG_WEIGHT)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        z = X @ weights
        value = cost @ (np.logaddexp(0, z) - target * z) + 0.5 * PENALTY * (weights**2).sum()
        return float(value), X.T @ (cost * (expit(z) - target)) + PENALTY * weights

    bounds = [(0.0, None)] * num_rises + [(None, None)] * len(GROUPS)
    weights = minimize(loss, np.zeros(X.shape[1]), jac=True, bounds=bounds, method="L-BFGS-B").x
    rises, start = {}, 0
    for name, ramp in zip(TERM_NAMES, ramps, strict=True):
        rises[name] = tuple(float(w) for w in weights[start : start + ramp.shape[1]])
        start += ramp.shape[1]
    offsets = {name: float(w) for name, w in zip(GROUPS, weights[num_rises:], strict=True)}
    return MonotoneScore(knots, rises, offsets)


def fit_probability(
    score: Float[np.ndarray, " poses"], right: Bool[np.ndarray, " poses"]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How often poses of a score are right: means of equally filled bins, made never to fall, joined by straight lines.

    Half a right and half a wrong pose are added to each bin: none of them is certain.
    """
    order = np.argsort(score, kind="stable")
    bins = np.array_split(order, max(2, min(MAX_BINS, len(score) // MIN_PER_BIN)))
    middles = np.array([score[part].mean() for part in bins])
    chances = np.array([(right[part].sum() + 0.5) / (len(part) + 1.0) for part in bins])
    weights = np.array([float(len(part)) for part in bins])
    rising = isotonic_regression(chances, weights=weights).x
    kept = np.concatenate([[True], np.diff(middles) > 1e-9])
    return tuple(map(float, middles[kept])), tuple(map(float, rising[kept].clip(0, 1)))


def _knots(column: Float[np.ndarray, " poses"]) -> tuple[float, ...]:
    known = column[np.isfinite(column)]
    values = np.unique(np.quantile(known, KNOT_QUANTILES)) if len(known) else np.array([0.0])
    apart = values[np.concatenate([[True], np.diff(values) > 1e-6])]
    if len(apart) < 2:
        apart = np.array([apart[0], apart[0] + 1.0])
    return tuple(map(float, apart))


def _ramps(
    column: Float[np.ndarray, " poses"], knots: tuple[float, ...]
) -> Float[np.ndarray, "poses pieces"]:
    """How far each value is through each piece between two knots, 0-1."""
    low, high = np.array(knots[:-1]), np.array(knots[1:])
    return ((column[:, None] - low) / (high - low)).clip(0, 1)
