"""The areas: by hand, their bias, their limits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.metrics.auc import accuracy_curve, auc_exact, auc_toolbox, fraction_below

distances = st.lists(st.one_of(st.floats(0, 0.3), st.just(float("inf"))), min_size=1, max_size=40).map(
    lambda values: np.array(values, dtype=np.float64)
)


def voc_cap(distances_m: np.ndarray) -> float:
    """The published code (VOCap, FFB6D's port), written out as it stands there."""
    d = np.where(distances_m > 0.1, np.inf, distances_m)
    rec = np.sort(d)
    prec = np.arange(1, len(d) + 1) / len(d)
    keep = rec != np.inf
    rec, prec = rec[keep], prec[keep]
    if not len(rec):
        return 0.0
    mrec = np.array([0.0, *rec, 0.1])
    mpre = np.array([0.0, *prec, prec[-1]])
    for i in range(1, len(prec)):
        mpre[i] = max(mpre[i], mpre[i - 1])
    i = np.where(mrec[1:] != mrec[:-1])[0] + 1
    return 100 * np.sum((mrec[i] - mrec[i - 1]) * mpre[i]) * 10


def test_exact_by_hand():
    assert auc_exact(np.array([0.0, 0.05, 0.2, np.inf])) == pytest.approx(100 * (1 + 0.5 + 0 + 0) / 4)


def test_toolbox_by_hand():
    # Up to 0.05 the fraction is 1/2 (its right end), then 1/2 stays: one of two found at 0.05.
    assert auc_toolbox(np.array([0.05, np.inf])) == pytest.approx(50.0)
    assert auc_exact(np.array([0.05, np.inf])) == pytest.approx(25.0)


@given(distances)
def test_toolbox_equals_the_published_code(distances_m):
    assert auc_toolbox(distances_m) == pytest.approx(voc_cap(distances_m), abs=1e-9)


@given(distances)
def test_bounds_and_bias(distances_m):
    exact, toolbox = auc_exact(distances_m), auc_toolbox(distances_m)
    assert 0 <= exact <= toolbox + 1e-9
    assert toolbox <= 100 + 1e-9
    assert toolbox - exact <= 100 / len(distances_m) + 1e-9


@given(distances)
def test_exact_is_the_integral_of_the_curve(distances_m):
    thresholds_m = (np.arange(20_000) + 0.5) * 0.1 / 20_000
    assert auc_exact(distances_m) == pytest.approx(
        100 * accuracy_curve(distances_m, thresholds_m).mean(), abs=0.02
    )


def test_bias_of_the_toolbox_is_large_for_few_instances():
    rng = np.random.default_rng(0)
    gaps = {n: [auc_toolbox(d) - auc_exact(d) for d in rng.exponential(0.015, (50, n))] for n in (10, 1000)}
    assert np.mean(gaps[10]) > 2
    assert np.mean(gaps[1000]) < 0.15


def test_share_is_strictly_below():
    assert fraction_below(np.array([0.01, 0.02, np.inf, 0.0199])) == 0.5


def test_nothing_to_measure_is_nan():
    none = np.empty(0)
    assert np.isnan([auc_exact(none), auc_toolbox(none), fraction_below(none)]).all()
    assert np.isnan(accuracy_curve(none, np.array([0.1]))).all()


def test_all_missing_is_zero():
    missing = np.full(3, np.inf)
    assert (auc_exact(missing), auc_toolbox(missing), fraction_below(missing)) == (0, 0, 0)


def test_every_instance_may_have_its_own_threshold():
    distances_m = np.array([0.01, 0.01, np.inf])
    assert fraction_below(distances_m, np.array([0.02, 0.005, 0.1])) == pytest.approx(1 / 3)
