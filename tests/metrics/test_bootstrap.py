"""Intervals of paired differences: known answers, and what they cover."""

import numpy as np
import pytest

from selfpose6d.metrics import bootstrap
from selfpose6d.metrics.bootstrap import paired_bootstrap


def interval(differences, block, seed: int = 0, **options) -> np.ndarray:
    column = np.asarray(differences, float)[:, None]
    return paired_bootstrap(column, np.asarray(block), np.random.default_rng(seed), **options)[0]


def test_no_difference_has_no_width():
    np.testing.assert_array_equal(interval(np.zeros(6), range(6)), [0, 0])


def test_a_constant_difference_has_no_width():
    np.testing.assert_allclose(interval(np.full(6, -10.0), [0, 0, 1, 1, 1, 2]), [-10, -10], atol=1e-12)


def test_two_blocks_reach_from_the_one_to_the_other():
    # Four equally likely draws: the first twice (mean 2), one of each (mean 4), the second twice (mean 6).
    np.testing.assert_allclose(interval([1, 3, 6], [0, 0, 1]), [2, 6])


def test_large_blocks_weigh_more():
    # Three instances of 0 against one of 4: one of each block gives 1, not 2.
    differences, block = np.array([[0.0], [0], [0], [4]]), np.array([5, 5, 5, 2])
    means = paired_bootstrap(differences, block, np.random.default_rng(0), level=0.4)
    np.testing.assert_allclose(means[0], [1, 1])


def test_one_block_says_nothing():
    assert np.isnan(interval([1.0, 2, 3], [7, 7, 7])).all()


def test_dependent_instances_are_one_piece_of_evidence():
    rng = np.random.default_rng(1)
    of_block = rng.normal(size=20)
    repeated, block = of_block.repeat(50), np.arange(20).repeat(50)
    as_blocks, once = interval(repeated, block), interval(of_block, range(20))
    np.testing.assert_allclose(as_blocks, once)
    width, naive = np.ptp(as_blocks), np.ptp(interval(repeated, range(1000)))
    assert width > 5 * naive


def test_it_agrees_with_the_standard_error():
    differences = np.random.default_rng(2).normal(3, 2, size=400)
    low, high = interval(differences, range(400))
    half = 1.96 * differences.std() / 20
    assert (low, high) == pytest.approx(
        (differences.mean() - half, differences.mean() + half), abs=0.1 * half
    )


def test_the_seed_decides_and_the_parts_do_not_matter(monkeypatch):
    differences = np.random.default_rng(3).normal(size=30)
    first = interval(differences, range(30))
    np.testing.assert_array_equal(first, interval(differences, range(30)))
    assert not np.array_equal(first, interval(differences, range(30), seed=1))
    monkeypatch.setattr(bootstrap, "MAX_COUNTS", 100)
    np.testing.assert_array_equal(first, interval(differences, range(30)))


def test_columns_are_resampled_together():
    differences = np.random.default_rng(4).normal(size=(30, 1)) * [1, -2, 3]
    low_high = paired_bootstrap(differences, np.arange(30), np.random.default_rng(0))
    np.testing.assert_allclose(low_high[1], -2 * low_high[0, ::-1])
    np.testing.assert_allclose(low_high[2], 3 * low_high[0])
