"""Limits, the learning rate's shape, minutes turned into steps."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.training import schedule
from selfpose6d.training.recipe import Stage, find_recipe
from selfpose6d.training.schedule import (
    Continuation,
    Limit,
    SpeedMeter,
    affordable_steps,
    learning_rate,
    least_steps,
    stage_ends,
    warmup_cosine,
)


@pytest.mark.parametrize("arguments", [{}, {"max_steps": 3, "max_minutes": 1.0}])
def test_steps_or_minutes_not_both_or_none(arguments):
    with pytest.raises(UsageError, match="either --max-steps N or --max-minutes N"):
        Limit(**arguments)


@pytest.mark.parametrize("arguments", [{"max_steps": 0}, {"max_minutes": 0.0}, {"max_minutes": float("nan")}])
def test_nothing_to_do_is_refused(arguments):
    with pytest.raises(UsageError, match="at least 1"):
        Limit(**arguments)


@settings(max_examples=40)
@given(st.integers(20, 3000), st.integers(1, 200))
def test_the_rate_rises_then_falls_to_zero(total, warm_up):
    rates = [warmup_cosine(step, total, 1e-3, warm_up) for step in range(total)]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(1e-3)
    assert 0 < rates[-1] < 1e-3 * (10 / total) ** 2 * 10 + 1e-9
    assert min(rates) > 0


def test_the_rate_by_hand():
    assert warmup_cosine(0, 100, 1.0, 10) == pytest.approx(0.1)
    assert warmup_cosine(9, 100, 1.0, 10) == pytest.approx(1.0)
    assert warmup_cosine(55, 100, 1.0, 10) == pytest.approx(0.5)


def test_the_joint_loss_has_a_schedule_of_its_own_after_the_others_share_one():
    recipe = replace(find_recipe("paper"), learning_rate=1.0, joint_learning_rate=0.1, warm_up_steps=10)
    ends = stage_ends(recipe.stages, 1000, steps_per_epoch=100)
    assert ends == (450, 900, 1000)
    assert learning_rate(29, None, replace(recipe, warm_up_steps=60)) == pytest.approx(0.5)
    assert learning_rate(455, ends, recipe) == pytest.approx(0.5)
    assert learning_rate(450, ends, recipe) == pytest.approx(learning_rate(449, ends, recipe), rel=0.02)
    assert learning_rate(899, ends, recipe) < 1e-5
    assert learning_rate(910, ends, recipe) == pytest.approx(0.1)
    assert learning_rate(955, ends, recipe) == pytest.approx(0.05)


@settings(max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 500))
def test_stages_take_all_steps_in_order(total, steps_per_epoch):
    ends = stage_ends(find_recipe("paper").stages, total, steps_per_epoch)
    assert list(ends) == sorted(ends)
    assert ends[-1] == total
    assert ends[-1] - ends[-2] <= steps_per_epoch + 1


def test_what_a_time_affords_by_hand():
    stages = (Stage("estimator", fraction=0.5), Stage("refiner", ("estimator", "refiner"), fraction=0.5))
    assert affordable_steps(30.0, stages, (0.1, 0.2), 100) == 200
    assert affordable_steps(0.05, stages, (0.1, 0.2), 100) == 0


WHOLE = (*find_recipe("paper").stages[:2], replace(find_recipe("paper").stages[2], whole=True))


@settings(max_examples=40)
@given(st.integers(1, 5000), st.integers(1, 500))
def test_a_whole_epoch_is_whole_or_refused(total, steps_per_epoch):
    least = steps_per_epoch + 2
    assert least_steps(WHOLE, steps_per_epoch) == least
    if total < least:
        with pytest.raises(
            UsageError, match=f"does not fit: an epoch is {steps_per_epoch} steps, {total} are"
        ):
            stage_ends(WHOLE, total, steps_per_epoch)
        return
    ends = stage_ends(WHOLE, total, steps_per_epoch)
    assert ends[2] - ends[1] == steps_per_epoch
    assert 0 < ends[0] < ends[1]


def test_a_time_without_room_for_the_whole_epoch_affords_nothing():
    assert affordable_steps(10.1, WHOLE, (0.1, 0.1, 0.1), 99) == 101
    assert affordable_steps(10.0, WHOLE, (0.1, 0.1, 0.1), 99) == 0
    assert affordable_steps(20.05, WHOLE, (0.1, 0.1, 0.1), 99) == 200


def test_added_steps_have_a_schedule_of_their_own():
    """A finished training of 1,000 steps is given 500 more: by targets again, then an epoch of the joint loss."""
    recipe = replace(find_recipe("paper"), learning_rate=1.0, joint_learning_rate=0.1, warm_up_steps=10)
    more = Continuation.after(1000, 2, recipe.stages)
    assert more == Continuation(1000, 1)
    ends = more.ends(recipe.stages, 1500, steps_per_epoch=100)
    assert ends == (1000, 1400, 1500)
    rates = [learning_rate(step, ends, recipe, more.start) for step in range(1000, 1500)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[399] < 1e-4
    assert max(rates[400:]) == pytest.approx(0.1)


def test_steps_are_added_where_the_training_is():
    stages = find_recipe("paper").stages
    assert Continuation.after(40, 0, stages) == Continuation(40, 0)
    assert Continuation.after(40, 1, stages) == Continuation(40, 1)
    assert Continuation.after(40, 2, stages) == Continuation(40, 1)
    assert Continuation.after(40, 0, stages[2:]) == Continuation(40, 0)
    ends = Continuation(40, 0).ends(stages[2:], 100, steps_per_epoch=10)
    assert ends == (100,)
    recipe = replace(find_recipe("paper"), stages=stages[2:], joint_learning_rate=0.1)
    assert max(learning_rate(step, ends, recipe, 40) for step in range(40, 100)) == pytest.approx(0.1)


def clock(monkeypatch, step_s: float) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(schedule.time, "perf_counter", lambda: step_s * next(ticks))


def test_minutes_become_steps_by_the_measured_speed(monkeypatch):
    clock(monkeypatch, 0.1)
    meter = SpeedMeter(max_minutes=1.0)
    totals = [meter.note_step() for _ in range(25)]
    assert totals[:24] == [None] * 24
    assert totals[24] == pytest.approx(0.1)
    assert meter.left_s == pytest.approx(57.4, abs=0.3)


def test_time_is_left_for_validation(monkeypatch):
    clock(monkeypatch, 0.1)
    meter = SpeedMeter(max_minutes=1.0, reserved_s=20.0)
    assert [meter.note_step() for _ in range(25)][-1] == pytest.approx(0.1)
    assert meter.left_s == pytest.approx(37.4, abs=0.3)


def test_a_slow_machine_is_measured_over_fewer_steps(monkeypatch):
    clock(monkeypatch, 10.0)
    meter = SpeedMeter(max_minutes=1.0)
    totals = [meter.note_step() for _ in range(2)]
    assert totals == [None, 10.0]
