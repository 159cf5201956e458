"""Learn-then-Test: the lowest score above which, with 95 % confidence, no more than a given risk of the poses is wrong.

Thresholds are tested one after the other from the strictest on, each with a fresh exact bound on the error; the first
that fails ends the sequence, so that the confidence holds for the one that is chosen (fixed-sequence testing). Every
pose is of a scene of its own: frames of one scene are not independent.

Reference: Angelopoulos et al., Learn then Test, 2021; Clopper and Pearson, 1934.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import beta

from selfpose6d.labeling.calibration import CONFIDENCE_LEVEL, Threshold

RISKS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Thresholds are kept for these."""
STEPS = 200
"""Thresholds tested at most: half a per cent of the poses apart."""
HEADROOM, FIRST = 1.5, 0.25
"""The first threshold lets through this many times the poses that suffice when none of them is wrong, and this fraction
of all at least: among fewer one wrong pose ends the sequence by chance."""


def upper_bound(wrong: int, certified: int, level: float = CONFIDENCE_LEVEL) -> float:
    """Clopper-Pearson upper bound of an error rate; 1 where nothing was certified."""
    if wrong >= certified:
        return 1.0
    return float(beta.ppf(level, wrong + 1, certified - wrong))


def fewest_without_error(risk: float, level: float = CONFIDENCE_LEVEL) -> int:
    """Independent poses, all right, that prove a risk (299 for 1 % at 95 %)."""
    return math.ceil(math.log(1 - level) / math.log1p(-risk))


def choose_thresholds(
    score: Float[np.ndarray, " poses"],
    right: Bool[np.ndarray, " poses"],
    grid: Float[np.ndarray, " scores"],
) -> tuple[Threshold, ...]:
    """The threshold of each risk, on poses that may be certified.

    Args:
        score: of poses that the score was not fitted to, one a scene.
        right: whether each is.
        grid: scores of other poses, from which the thresholds to test are taken: they must not depend on `score`.
    """
    chosen: list[Threshold] = []
    for risk in RISKS:
        found = _choose(score, right, grid, risk)
        if math.isinf(found.score) and chosen:  # what holds for less risk holds for more
            found = chosen[-1]._replace(risk=risk)
        chosen.append(found)
    return tuple(chosen)


def _choose(score: np.ndarray, right: np.ndarray, grid: np.ndarray, risk: float) -> Threshold:
    chosen = Threshold(risk, math.inf, 1.0, 0, 0)
    first = max(FIRST, HEADROOM * fewest_without_error(risk) / max(len(score), 1))
    if first >= 1:
        return chosen
    for fraction in np.linspace(first, 1.0, STEPS):
        at_least = float(np.quantile(grid, 1 - fraction))
        passed = score >= at_least
        certified, wrong = int(passed.sum()), int((passed & ~right).sum())
        bound = upper_bound(wrong, certified)
        if bound > risk:
            break
        chosen = Threshold(risk, at_least, bound, certified, wrong)
    return chosen
