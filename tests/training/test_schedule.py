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
    Limit,
    SpeedMeter,
    affordable_steps,
    learning_rate,
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
