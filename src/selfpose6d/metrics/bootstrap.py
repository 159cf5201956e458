"""How far a difference between two systems, measured on the same instances, may be from the true one."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.metrics.intervals import LEVEL

RESAMPLES = 2000
"""Ends of a 95 % interval then wander by a few hundredths of its width from seed to seed."""
MAX_COUNTS = 4_000_000
"""Drawn at a time: 32 MB."""


def paired_bootstrap(
    differences: Float[np.ndarray, "instances metrics"],
    block: Int[np.ndarray, " instances"],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Float[np.ndarray, "metrics 2"]:
    """Percentile interval of the mean of paired differences, whole blocks of dependent instances being resampled.

    `block` names the block of each instance (any integers). As many blocks are drawn as there are, with replacement,
    and a resample's mean is over the instances that it holds, so that large blocks weigh more, as in the mean itself.
    Ill-posed with one block, of which nothing can be learned about others: NaN.

    Reference: Efron & Tibshirani, An Introduction to the Bootstrap (1993), 8 and 13.
    """
    _, index, size = np.unique(block, return_inverse=True, return_counts=True)
    if len(size) < 2:
        return np.full((differences.shape[1], 2), np.nan)
    sums = np.stack([np.bincount(index, column, len(size)) for column in differences.T], axis=1)
    drawn = _drawn(len(size), generator, resamples)
    means = np.concatenate([counts @ sums / (counts @ size)[:, None] for counts in drawn])
    tail = (1 - level) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def _drawn(blocks: int, generator: np.random.Generator, resamples: int) -> Iterator[np.ndarray]:
    """How often each resample holds each block, some resamples at a time."""
    most = max(1, MAX_COUNTS // blocks)
    for first in range(0, resamples, most):
        yield generator.multinomial(blocks, np.full(blocks, 1 / blocks), min(most, resamples - first))
