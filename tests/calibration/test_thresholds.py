"""Thresholds with a guarantee: exact bounds, a sequence that ends at its first failure, and the promise itself."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binomtest

from selfpose6d.calibration import thresholds
from selfpose6d.calibration.thresholds import (
    HEADROOM,
    RISKS,
    choose_thresholds,
    fewest_without_error,
    upper_bound,
)


@given(st.integers(1, 2000), st.data())
def test_the_bound_is_clopper_and_pearsons(certified, data):
    wrong = data.draw(st.integers(0, certified - 1))
    expected = binomtest(wrong, certified).proportion_ci(0.90, "exact").high
    assert upper_bound(wrong, certified) == pytest.approx(expected, rel=1e-6)


def test_known_bounds():
    assert upper_bound(0, 299) <= 0.01 < upper_bound(0, 298)
    assert upper_bound(1, 473) <= 0.01 < upper_bound(1, 472)
    assert upper_bound(0, 0) == upper_bound(3, 3) == 1.0
    assert upper_bound(0, 299, level=0.99) > 0.015


@pytest.mark.parametrize(("risk", "fewest"), [(0.01, 299), (0.05, 59), (0.2, 14)])
def test_the_fewest_poses_that_prove_a_risk(risk, fewest):
    assert fewest_without_error(risk) == fewest
    assert upper_bound(0, fewest) <= risk < upper_bound(0, fewest - 1)


def ranked(count: int, wrong_ranks: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores from the best down, and which are right."""
    right = np.ones(count, bool)
    right[wrong_ranks] = False
    return np.linspace(1, 0, count), right


def chosen(score: np.ndarray, right: np.ndarray, grid: np.ndarray, risk: float):
    (found,) = [row for row in choose_thresholds(score, right, grid) if row.risk == risk]
    return found


def test_all_right_certifies_all():
    score, right = ranked(1000, [])
    for row in choose_thresholds(score, right, score):
        assert row.certified == 1000
        assert row.wrong == 0
        assert row.bound == pytest.approx(upper_bound(0, 1000))
        assert row.score == 0


def test_the_sequence_stops_at_its_first_failure():
    """Wrong poses in the middle end it, although farther down the bound would hold again."""
    score, right = ranked(8000, list(range(3000, 3060)))
    found = chosen(score, right, score, 0.01)
    assert upper_bound(60, 8000) < 0.01
    assert 2900 < found.certified < 3060
    assert upper_bound(found.wrong, found.certified) == found.bound <= 0.01


def test_wrong_poses_at_the_top_leave_nothing():
    score, right = ranked(4000, list(range(20)))
    found = chosen(score, right, score, 0.01)
    assert (found.score, found.bound, found.certified) == (math.inf, 1.0, 0)
    assert not (score >= found.score).any()


@pytest.mark.parametrize("count", [0, 1, 50, int(HEADROOM * 299)])
def test_too_few_poses_certify_nothing_however_right(count):
    score, right = ranked(count, [])
    found = chosen(score, right, np.linspace(0, 1, 10), 0.01)
    assert (found.score, found.bound) == (math.inf, 1.0)


def test_more_risk_never_certifies_less():
    generator = np.random.default_rng(0)
    score = generator.normal(size=3000)
    right = generator.random(3000) < expit(3 + 2 * score)
    found = choose_thresholds(score, right, generator.normal(size=3000))
    assert [row.risk for row in found] == list(RISKS)
    assert all(a.score >= b.score for a, b in itertools.pairwise(found))
    assert all(row.bound <= row.risk for row in found if math.isfinite(row.score))
    assert sum(math.isfinite(row.score) for row in found) >= 3


def true_risk(threshold: float) -> float:
    """Of poses with normal scores that are right with the chance below, those above a threshold."""
    grid = np.linspace(-6, 6, 4001)
    weight = np.exp(-(grid**2) / 2) * (grid >= threshold)
    return float((weight * (1 - chance_right(grid))).sum() / weight.sum())


def chance_right(score: np.ndarray) -> np.ndarray:
    return expit(2.5 + 2.5 * score)


def test_the_guarantee_holds_over_many_draws(monkeypatch):
    """The asked risk is exceeded no more often than its confidence level allows, three standard errors aside."""
    draws, risks = 200, (0.02, 0.05)
    monkeypatch.setattr(thresholds, "RISKS", risks)
    exceeded, certified = dict.fromkeys(risks, 0), dict.fromkeys(risks, 0)
    for seed in range(draws):
        generator = np.random.default_rng([7, seed])
        score, grid = generator.normal(size=(2, 1500))
        right = generator.random(1500) < chance_right(score)
        for row in choose_thresholds(score, right, grid):
            if math.isfinite(row.score):
                certified[row.risk] += 1
                exceeded[row.risk] += true_risk(row.score) > row.risk
    for risk in risks:
        assert certified[risk] > draws / 2, "a promise that nothing is certified under is easily kept"
        assert exceeded[risk] / draws <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / draws)
