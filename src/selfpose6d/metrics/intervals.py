"""How far a counted fraction may be from the true one."""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import betaincinv

LEVEL = 0.95
"""Of confidence, everywhere: the convention of tables."""


def clopper_pearson(
    successes: Int[np.ndarray, "*shape"] | int, trials: Int[np.ndarray, "*shape"] | int, level: float = LEVEL
) -> Float[np.ndarray, "*shape 2"]:
    """Exact two-sided interval of the probability of a success, 0-1; 0 to 1 without trials.

    Holds for independent trials. Each side alone is a bound at confidence (1 + level) / 2.

    Reference: Clopper & Pearson, The use of confidence or fiducial limits (1934).
    """
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    tail, failures = (1 - level) / 2, n - k
    lower = np.where(k > 0, betaincinv(np.maximum(k, 1), failures + 1, tail), 0.0)
    upper = np.where(failures > 0, betaincinv(k + 1, np.maximum(failures, 1), 1 - tail), 1.0)
    return np.stack([lower, upper], axis=-1)
