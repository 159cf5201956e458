"""Calibration by hand, and on confidences that are right or wrong by construction."""

import json

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.evaluation.reliability import Reliability, reliability
from selfpose6d.evaluation.score import score
from selfpose6d.evaluation.shares import Share
from selfpose6d.runs.json_lines import without_nan


def measured(points_m, rows, absent=(), qualities=(), kinds=()):
    """Rows (confidence, correct, status); each in an image of its own, and one image without estimate."""
    truths = make_truths([(0, im, 1, 0.0, True) for im in range(len(rows) + 1)], kinds)
    table = [(0, im, 1, c, 0.0 if correct else 0.5, status) for im, (c, correct, status) in enumerate(rows)]
    table += [(0, 0, 2, confidence, 0.0, "certified") for confidence in absent]
    return reliability(score(make_estimates(table, qualities), truths, points_m, set()))


def test_bins_by_hand(points_m):
    curve = measured(
        points_m, [(0.95, True, "certified"), (0.91, False, "certified"), (0.15, False, "rejected")]
    )
    assert curve.bin_count.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert curve.bin_confidence[[1, 9]] == pytest.approx([0.15, 0.93])
    assert curve.bin_correct[[1, 9]].tolist() == [0.0, 0.5]
    assert np.isnan(curve.bin_correct[0])
    assert curve.expected_calibration_error == pytest.approx((0.15 + 2 * 0.43) / 3)
    assert curve.by_status == {"certified": Share(2, 1), "rejected": Share(1, 0)}


def precision_at(curve, coverage: float) -> float:
    return curve.precision[np.argmin(np.abs(curve.coverage - coverage))]


def test_coverage_counts_all_targets_missed_ones_too(points_m):
    curve = measured(points_m, [(0.9, True, ""), (0.8, True, ""), (0.7, False, ""), (0.6, False, "")])
    # Of five targets, one missed: the best two are 40 %, all four estimates 80 %; nothing reaches more.
    assert [precision_at(curve, c) for c in (0.2, 0.4, 0.6, 0.8)] == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert np.isnan(precision_at(curve, 1.0))
    assert curve.by_status == {}


def test_equal_confidences_are_kept_in_equal_parts(points_m):
    """A calibrated confidence has few values: the file's order must not say which of them are the best."""
    rows = [(0.9, True, ""), (0.5, True, ""), (0.5, False, ""), (0.5, False, "")]
    curves = [measured(points_m, rows), measured(points_m, rows[::-1])]
    for curve in curves:
        assert precision_at(curve, 0.4) == pytest.approx((1 + 1 / 3) / 2)
        assert precision_at(curve, 0.8) == 0.5


def test_spurious_estimates_lower_the_precision_and_cover_nothing(points_m):
    curve = measured(points_m, [(0.9, True, ""), (0.8, True, "")], absent=[0.95])
    assert precision_at(curve, 0.65) == pytest.approx(1.95 / 2.95, abs=1e-6)


def test_spurious_estimates_are_wrong(points_m):
    curve = measured(points_m, [(0.95, True, "certified")], absent=[0.95])
    assert curve.bin_correct[9] == 0.5
    assert curve.by_status == {"certified": Share(2, 1)}


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


GROUPED = [(0.9, True, "certified"), (0.9, False, "certified"), (0.3, False, "rejected")]


def test_mask_qualities_are_told_apart(points_m):
    curve = measured(points_m, GROUPED, qualities=["exact", "box", "box"])
    exact, box = curve.by_mask_quality["exact"], curve.by_mask_quality["box"]
    assert (exact.estimates, exact.certified) == (Share(1, 1), Share(1, 1))
    assert (box.estimates, box.certified) == (Share(2, 0), Share(1, 0))
    assert box.expected_calibration_error == pytest.approx((0.9 + 0.3) / 2)
    assert curve.everything.certified == Share(2, 1)
    assert curve.by_mask_kind == {}


def test_what_was_done_to_the_masks_is_known_of_missed_targets_too(points_m):
    curve = measured(points_m, GROUPED, absent=[0.9], kinds=["exact", "box", "box", "box"])
    assert curve.by_mask_kind["box"].missed == 1
    assert curve.by_mask_kind["box"].estimates == Share(2, 0)
    # The spurious estimate is of no target, so of no kind.
    assert curve.by_mask_kind["exact"].certified == Share(1, 1)
    assert curve.everything.certified == Share(3, 1)
    assert curve.by_mask_quality == {}


def test_the_file_gives_the_same_back(points_m):
    curve = measured(points_m, GROUPED, qualities=["exact", "box", "box"], kinds=["a", "b", "b", "b"])
    read = Reliability.from_json(json.loads(json.dumps(without_nan(curve.to_json()))))
    for name in ("bins", "everything", "by_status", "by_mask_quality", "by_mask_kind"):
        assert getattr(read, name) == getattr(curve, name)
    np.testing.assert_array_equal(read.precision, curve.precision)
    np.testing.assert_array_equal(read.bin_confidence, curve.bin_confidence)


def test_a_tenth_of_the_diameter_is_another_way_to_be_right(points_m):
    """The line is 20 cm long, the square 10 cm wide: 1.5 cm off is right by 2 cm, of the square wrong by a tenth."""
    truths = make_truths([(0, 1, 1, 0.0, True), (0, 1, 2, 0.0, True)])
    estimates = make_estimates([(0, 1, 1, 0.9, 0.015, "certified"), (0, 1, 2, 0.9, 0.015, "certified")])
    scores = score(estimates, truths, points_m, set())
    np.testing.assert_allclose(scores.diameter_m, [0.2, 0.1])
    assert reliability(scores, "below_2cm").everything.certified == Share(2, 2)
    assert reliability(scores, "below_10pct").everything.certified == Share(2, 1)
