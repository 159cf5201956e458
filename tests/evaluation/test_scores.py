"""Matching and distances, with several instances of one object in an image."""

import numpy as np
import pytest
from pose_rows import make_estimates, make_truths

from selfpose6d.errors import DataError
from selfpose6d.evaluation.score import score


def test_one_instance_each(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True), (0, 1, 2, 0.0, True), (0, 2, 1, 0.0, True)])
    estimates = make_estimates([(0, 1, 2, 0.5, 0.01, "certified"), (0, 1, 1, 0.9, 0.03, "rejected")])
    scores = score(estimates, truths, points_m, {2})
    np.testing.assert_allclose(scores.add_m, [0.03, 0.01, np.inf])
    # The line's points lie 5 cm apart: moved by 3 cm, the nearest one is 2 cm away, at one end 3 cm.
    np.testing.assert_allclose(scores.adds_m, [(4 * 0.02 + 0.03) / 5, 0.01, np.inf])
    np.testing.assert_allclose(scores.add_or_adds_m, [0.03, 0.01, np.inf])
    assert scores.missed.tolist() == [False, False, True]
    assert scores.right("below_2cm").tolist() == [False, True, False]
    assert scores.estimate.tolist() == [1, 0, -1]
    assert scores.status.tolist() == ["rejected", "certified", ""]
    assert np.isnan(scores.confidence[2])
    assert len(scores.spurious) == 0


def test_confident_estimates_choose_first(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True), (0, 1, 1, 0.3, True)])
    near_both = [(0, 1, 1, 0.4, 0.01, ""), (0, 1, 1, 0.8, 0.02, "")]
    scores = score(make_estimates(near_both), truths, points_m, set())
    # Row 1 is more confident and takes the first; row 0, although nearer, is left with the second.
    assert scores.estimate.tolist() == [1, 0]
    np.testing.assert_allclose(scores.add_m, [0.02, 0.29])


def test_one_assignment_serves_all_metrics(points_m):
    """The symmetric object's estimates are assigned by ADD-S, and ADD is measured on that assignment."""
    truths = make_truths([(0, 1, 2, 0.0, True), (0, 1, 2, 0.5, True)])
    estimates = make_estimates([(0, 1, 2, 0.9, 0.49, ""), (0, 1, 2, 0.8, 0.02, "")])
    scores = score(estimates, truths, points_m, {2})
    assert scores.estimate.tolist() == [1, 0]
    np.testing.assert_allclose(scores.add_m, [0.02, 0.01])


def test_rows_of_other_images_and_objects_never_meet(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True), (1, 1, 1, 0.0, True), (0, 1, 2, 0.0, True)])
    estimates = make_estimates([(1, 1, 1, 0.9, 0.0, "")])
    assert score(estimates, truths, points_m, set()).estimate.tolist() == [-1, 0, -1]


def test_an_instance_that_is_no_target_keeps_its_own_estimate(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True), (0, 1, 1, 0.3, False)])
    estimates = make_estimates([(0, 1, 1, 0.9, 0.31, "certified"), (0, 1, 1, 0.5, 0.01, "certified")])
    scores = score(estimates, truths, points_m, set())
    assert len(scores) == 1
    assert scores.estimate.tolist() == [1]
    assert len(scores.spurious) == 0


def test_spurious_estimates_are_kept_apart(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True)])
    estimates = make_estimates(
        [(0, 1, 1, 0.5, 0.0, ""), (0, 1, 1, 0.4, 0.0, ""), (0, 1, 2, 0.9, 0.0, ""), (0, 9, 1, 0.9, 0.0, "")]
    )
    scores = score(estimates, truths, points_m, set())
    # One instance too many and an object that is not there. Of image 9 nothing is known: no annotation.
    assert scores.spurious.im_id.tolist() == [1, 1]
    assert scores.spurious.obj_id.tolist() == [1, 2]


def test_no_estimates_at_all(points_m):
    scores = score(make_estimates([]), make_truths([(0, 1, 1, 0.0, True)]), points_m, set())
    assert scores.add_m.tolist() == scores.adds_m.tolist() == [np.inf]


def test_many_instances_agree_with_a_plain_loop(points_m):
    rng = np.random.default_rng(5)
    truths = make_truths([(0, im, 1, x, True) for im in range(6) for x in rng.uniform(-0.5, 0.5, 4)])
    rows = [(0, im, 1, c, x, "") for im in range(6) for c, x in rng.uniform(0, 0.5, (5, 2))]
    scores = score(make_estimates(rows), truths, points_m, set())
    for im in range(6):
        free = {i: truths.T_cam_obj[i, 0, 3] for i in range(4 * im, 4 * im + 4)}
        for row in sorted((r for r in range(30) if rows[r][1] == im), key=lambda r: -rows[r][3])[:4]:
            nearest = min(free, key=lambda i: abs(free[i] - rows[row][4]))
            assert scores.estimate[nearest] == row
            assert scores.add_m[nearest] == pytest.approx(abs(free.pop(nearest) - rows[row][4]))


def test_a_target_without_model_is_an_error(points_m):
    with pytest.raises(DataError, match=r"objects \[7\].*--models"):
        score(make_estimates([]), make_truths([(0, 1, 7, 0.0, True)]), points_m, set())


def test_right_may_go_by_the_least_add_over_symmetries(points_m):
    """A half turn of the square: ADD is 10 cm, ADD-S 0; right by the least ADD only where the half turn is declared."""
    half_turn = np.diag([-1.0, -1, 1, 1])
    estimates = make_estimates([(0, 1, 2, 0.9, 0.0, "certified")])
    estimates.T_cam_obj[0] = estimates.T_cam_obj[0] @ half_turn
    truths = make_truths([(0, 1, 2, 0.0, True)])
    declared = {2: np.stack([np.eye(4), half_turn])}
    by_least = score(estimates, truths, points_m, set(), declared)
    assert (by_least.add_or_adds_m.tolist(), by_least.right("below_2cm").tolist()) == ([0.1], [True])
    undeclared = score(estimates, truths, points_m, {2}, {})
    assert undeclared.right_m.tolist() == [0.1]
    assert (undeclared.right("below_10pct").tolist(), undeclared.add_or_adds_m.tolist()) == ([False], [0.0])
    assert score(estimates, truths, points_m, {2}).right("below_10pct").tolist() == [True]


def test_a_missed_target_is_never_right(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True)])
    for symmetries in (None, {1: np.eye(4)[None]}):
        scores = score(make_estimates([]), truths, points_m, set(), symmetries)
        assert not scores.right("below_2cm").any()
        assert not scores.right("below_10pct").any()
