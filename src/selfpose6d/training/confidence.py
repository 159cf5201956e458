"""Measures what a network's rating is worth, on held-out instances of the training split."""

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize
from scipy.special import expit

from selfpose6d.calibration.thresholds import choose_thresholds
from selfpose6d.network.confidence import Confidence

LEAST_RISK = 0.01
"""The annotator's own; the least that is proven from there on is taken."""
SHRINK = 1.0
"""Weight of one instance that pulls the line to the network's own logit."""

TESTED = expit(np.linspace(-4.0, 8.0, 1001))
"""Probabilities whose quantiles are tried as thresholds, highest first: chosen without a look at the instances."""


def measure_confidence(
    right_logit: Float[np.ndarray, " instances"], right: Bool[np.ndarray, " instances"]
) -> Confidence:
    """The line through the logits that makes them likeliest, and the probability that is certified.

    Reference: Platt 1999; Angelopoulos et al., Learn then Test, 2021.
    """
    if not len(right):
        return Confidence()

    def cost(line: np.ndarray) -> float:
        logit = line[0] * right_logit + line[1]
        likelihood = np.logaddexp(0.0, np.where(right, -logit, logit)).sum()
        return float(likelihood + SHRINK * ((line[0] - 1) ** 2 + line[1] ** 2))

    # a line that falls would call the surer pose the likelier wrong
    scale, shift = minimize(cost, np.array([1.0, 0.0]), bounds=((0.05, 20.0), (None, None))).x
    probability = expit(scale * right_logit + shift)
    thresholds = choose_thresholds(probability, right, TESTED)
    proven = [one for one in thresholds if np.isfinite(one.score) and one.risk >= LEAST_RISK]
    if not proven:
        return Confidence(float(scale), float(shift), instances=len(right))
    best = min(proven, key=lambda one: one.risk)
    return Confidence(float(scale), float(shift), best.risk, best.bound, best.score, len(right))
