"""Calibration by hand, and on confidences that are right or wrong by construction."""

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.reliability import reliability
from selfpose6d.evaluation.score import score


def measured(points_m, rows, absent=()):
    """Rows (confidence, correct, status); each in an image of its own."""
    truths = make_truths([(0, im, 1, 0.0, True) for im in range(len(rows) + 1)])
    table = [(0, im, 1, c, 0.0 if correct else 0.5, status) for im, (c, correct, status) in enumerate(rows)]
    table += [(0, 0, 2, confidence, 0.0, "certified") for confidence in absent]
    return reliability(score(make_estimates(table), truths, points_m, set()))


def test_bins_by_hand(points_m):
    curve = measured(
        points_m, [(0.95, True, "certified"), (0.91, False, "certified"), (0.15, False, "rejected")]
    )
    assert curve.bin_count.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.bin_confidence[[1, 9]] == pytest.approx([0.15, 0.93])
    assert curve.bin_correct[[1, 9]].tolist() == [0.0, 0.5]
    assert np.isnan(curve.bin_correct[0])
    assert curve.expected_calibration_error == pytest.approx((0.15 + 2 * 0.43) / 3)
    assert curve.by_status == {"certified": (2, 0.5), "rejected": (1, 0.0)}


def test_precision_of_the_best_rated_part(points_m):
    curve = measured(points_m, [(0.9, True, ""), (0.8, True, ""), (0.7, False, ""), (0.6, False, "")])
    assert dict(zip(curve.coverage.tolist(), curve.precision.tolist(), strict=True))[0.5] == 1
    assert curve.precision[-1] == 0.5
    assert curve.by_status == {}


def test_spurious_estimates_are_wrong(points_m):
    curve = measured(points_m, [(0.95, True, "certified")], absent=[0.95])
    assert curve.bin_correct[9] == 0.5
    assert curve.by_status == {"certified": (2, 0.5)}


def test_confidence_of_one_falls_in_the_last_bin(points_m):
    assert measured(points_m, [(1.0, True, "")]).bin_count[9] == 1


def test_calibrated_confidence_has_a_small_error(points_m):
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 800)
    right = rng.uniform(0, 1, 800) < confidence
    honest = measured(points_m, [(c, r, "") for c, r in zip(confidence, right, strict=True)])
    boasting = measured(points_m, [(0.99, r, "") for r in right])
    assert honest.expected_calibration_error < 0.06
    assert boasting.expected_calibration_error > 0.4


def test_nothing_stated(points_m):
    curve = measured(points_m, [])
    assert np.isnan(curve.expected_calibration_error)
    assert np.isnan(curve.precision).all()
    assert curve.to_json()["bins"][0]["count"] == 0
