"""Exact intervals of counted fractions: by hand, and what they promise."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from selfpose6d.metrics.intervals import clopper_pearson


def test_no_error_by_hand():
    """All of n right: the lower limit p solves p ** n = 0.025."""
    for n in (1, 35, 299):
        assert clopper_pearson(n, n).tolist() == pytest.approx([0.025 ** (1 / n), 1.0])
        assert clopper_pearson(0, n).tolist() == pytest.approx([0.0, 1 - 0.025 ** (1 / n)])


def test_nothing_is_known_of_nothing():
    assert clopper_pearson(0, 0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_agrees_with_scipys_exact_test(level):
    counts = np.array([[0, 7], [3, 7], [7, 7], [472, 473], [1, 2]])
    expected = [binomtest(k, n).proportion_ci(level, "exact") for k, n in counts.tolist()]
    np.testing.assert_allclose(clopper_pearson(*counts.T, level), expected, atol=1e-9)


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.99])
def test_the_interval_holds_the_truth_at_least_as_often_as_it_says(probability):
    n = 60
    low, high = clopper_pearson(np.arange(n + 1), np.full(n + 1, n)).T
    holds = (low <= probability) & (probability <= high)
    assert binom.pmf(np.arange(n + 1), n, probability)[holds].sum() >= 0.95
