"""Sharing out a budget: hand-computed cases, and that nothing exceeds it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.reproduction.budget import (
    LEAST_MINUTES,
    MARGIN,
    FrameCounts,
    Rates,
    frames_within,
    share_frames,
    training_minutes,
)
from selfpose6d.reproduction.request import Request, parse_runs


def test_frames_by_hand():
    """100 s: 25 for tests of 5 instances at 0.1 + 0.4 s, 15 for labels at 1 s, 10 for crops at 0.02 s a frame."""
    rates = Rates(1.0, 0.02, {"a": 0.1, "b": 0.4}, 1.0)
    found = share_frames(100.0, rates, FrameCounts(10_000, 10_000, 1000), 5.0, needs_labels=True)
    assert found == FrameCounts(train=500, labels=3, test=10)
    without = share_frames(100.0, rates, FrameCounts(200, 200, 4), 5.0, needs_labels=False)
    assert without == FrameCounts(train=200, labels=0, test=4)


def test_at_least_one_frame():
    assert frames_within(0.001, 5.0, 100) == 1
    assert frames_within(10.0, 0.0, 100) == 100


def test_minutes_by_hand():
    """3600 s, 600 used, 300 to come, 3 trainings that start in 10 s: (2700 / 3 - 10) s each, less the margin."""
    assert training_minutes(3600.0, 600.0, 300.0, 3, 10.0) == pytest.approx(MARGIN * 890 / 60)


@given(st.floats(600, 36_000), st.floats(0, 1000), st.floats(0, 1000), st.integers(1, 9), st.floats(0, 30))
def test_trainings_fit_their_budget(budget_s, used_s, later_s, trainings, start_s):
    enough_s = used_s + later_s + trainings * (60 * LEAST_MINUTES / MARGIN + start_s)
    if budget_s < enough_s - 1e-6:
        with pytest.raises(UsageError, match="--max-steps N"):
            training_minutes(budget_s, used_s, later_s, trainings, start_s)
        return
    budget_s += 1e-3
    minutes = training_minutes(budget_s, used_s, later_s, trainings, start_s)
    assert minutes >= LEAST_MINUTES
    assert used_s + later_s + trainings * (60 * minutes + start_s) <= budget_s + 1e-6


def test_a_budget_that_trains_nothing_says_what_would():
    with pytest.raises(UsageError, match=r"--budget 4 leaves 0\.0 minutes for each of 4 trainings") as error:
        training_minutes(240.0, 200.0, 60.0, 4, 5.0)
    advised = int(str(error.value).split("Pass --budget ")[1].split()[0])
    assert training_minutes(60.0 * advised, 200.0, 60.0, 4, 5.0) >= LEAST_MINUTES


def test_how_long_must_be_said(tmp_path):
    with pytest.raises(UsageError, match="pass --budget MINUTES for everything, or --max-steps N"):
        Request("table2", tmp_path).require_limit(4)
    with pytest.raises(UsageError, match="--budget 3 is too small to train anything: 4 trainings"):
        Request("table2", tmp_path, budget_minutes=3.0).require_limit(4)
    Request("table2", tmp_path, budget_minutes=0.1, max_steps=1).require_limit(4)
    Request("table1", tmp_path).require_limit(0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_steps": 0}, "--max-steps must be at least 1, got 0"),
        ({"budget_minutes": -1.0}, "--budget must be more than 0 minutes, got -1"),
        ({"test_frames": 0}, "--test-frames must be at least 1"),
    ],
)
def test_senseless_numbers_are_refused(tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        Request("table2", tmp_path, **options)


def test_runs_are_parsed(tmp_path):
    assert parse_runs((f"ours={tmp_path}",)) == {"ours": tmp_path}
    for texts, message in (
        (("ours",), "expected COLUMN=FOLDER"),
        ((f"ours={tmp_path / 'none'}",), "no such folder"),
        ((f"a={tmp_path}", f"a={tmp_path}"), "twice"),
    ):
        with pytest.raises(UsageError, match=message):
            parse_runs(texts)
