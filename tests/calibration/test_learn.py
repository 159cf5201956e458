"""One score from many terms: it never falls, sees through noise, and becomes an honest probability."""

from dataclasses import replace

import numpy as np
import pytest
from scene_results import INFORMATIVE, draw_terms

from labeling.hand_made_calibration import hand_made
from selfpose6d.calibration.learn import MonotoneScore, fit_probability, fit_score
from selfpose6d.labeling.calibration import Calibration
from selfpose6d.labeling.terms import GROUPS, TERM_NAMES

COUNT = 4000


def calibrated(score: MonotoneScore) -> Calibration:
    return replace(hand_made(), knots=score.knots, rises=score.rises, offsets=score.offsets)


@pytest.fixture(scope="module")
def fitted() -> MonotoneScore:
    terms, qualities, right, _ = draw_terms(COUNT, seed=1)
    return fit_score(terms, qualities, right)


def test_rises_are_never_negative_even_where_evidence_speaks_against_a_term():
    terms, qualities, right, _ = draw_terms(1000, seed=2)
    column = TERM_NAMES.index("colour")
    terms[:, column] = np.where(right, 0.2, 0.8) + 0.1 * terms[:, column]
    score = fit_score(terms, qualities, right)
    assert min(min(rises) for rises in score.rises.values()) >= 0
    assert sum(score.rises["colour"]) < 0.05


def test_knots_ascend_and_there_is_a_rise_between_each_two(fitted):
    assert set(fitted.knots) == set(fitted.rises) == set(TERM_NAMES)
    for name in TERM_NAMES:
        assert len(fitted.knots[name]) == len(fitted.rises[name]) + 1
        assert (np.diff(fitted.knots[name]) > 0).all()


def test_terms_that_say_something_weigh_and_noise_does_not(fitted):
    weight = {name: sum(rises) for name, rises in fitted.rises.items()}
    noise = [weight[name] for name in TERM_NAMES if name not in INFORMATIVE]
    informative = [weight[name] for name in INFORMATIVE]  # each is worth 4
    assert min(informative) > 2.4
    assert max(informative) < 5.5
    assert max(noise) < 0.25 * min(informative)


def test_a_mask_quality_that_goes_with_wrong_poses_costs_score():
    terms, qualities, right, _ = draw_terms(2000, seed=3)
    right &= np.array([quality != "box" for quality in qualities]) | (np.arange(2000) % 3 == 0)
    offsets = fit_score(terms, qualities, right).offsets
    assert set(offsets) == set(GROUPS)
    assert offsets["box"] < min(offsets["exact"], offsets["rough"]) - 0.5


@pytest.mark.parametrize("value", [0.4, -np.inf])
def test_a_term_that_never_varies_weighs_nothing_that_matters(value):
    terms, qualities, right, _ = draw_terms(1000, seed=4)
    terms[:, TERM_NAMES.index("known")] = value
    score = fit_score(terms, qualities, right)
    assert all(np.isfinite(knot) for knots in score.knots.values() for knot in knots)
    assert all(np.isfinite(rise) for rises in score.rises.values() for rise in rises)
    rated = calibrated(score).rate_all(terms, qualities)
    assert np.isfinite(rated).all()


def test_the_probability_never_falls_and_stays_in_range():
    generator = np.random.default_rng(0)
    for count in (50, 500, 5000):
        score = generator.normal(size=count).round(1)
        scores, probabilities = fit_probability(score, generator.random(count) < 0.5)
        assert (np.diff(scores) > 0).all()
        assert (np.diff(probabilities) >= 0).all()
        assert 0 < min(probabilities) <= max(probabilities) < 1


def test_the_probability_of_all_right_is_not_one():
    _, probabilities = fit_probability(np.linspace(0, 1, 600), np.ones(600, bool))
    assert 0.98 < min(probabilities) <= max(probabilities) < 1


def test_the_probability_is_calibrated_on_fresh_draws(fitted):
    """Fitted to one draw, made a probability by a second, tried on a third."""
    calibration = calibrated(fitted)
    terms, qualities, right, _ = draw_terms(COUNT, seed=5)
    scores, probabilities = fit_probability(calibration.rate_all(terms, qualities), right)
    calibration = replace(calibration, scores=scores, probabilities=probabilities)
    terms, qualities, right, chance = draw_terms(COUNT, seed=6)
    said = np.array([calibration.probability(z) for z in calibration.rate_all(terms, qualities)])
    assert expected_calibration_error(said, right) < 0.03
    assert np.abs(said - chance).mean() < 0.05, "each pose's own, not only on the average"


def expected_calibration_error(said: np.ndarray, right: np.ndarray, bins: int = 15) -> float:
    which = np.minimum((said * bins).astype(int), bins - 1)
    return sum(
        (which == k).mean() * abs(said[which == k].mean() - right[which == k].mean())
        for k in range(bins)
        if (which == k).any()
    )
