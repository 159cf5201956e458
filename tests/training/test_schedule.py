"""Limits, the learning rate's shape, minutes turned into steps."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfpose6d.errors import UsageError
from selfpose6d.training import schedule
from selfpose6d.training.schedule import Limit, SpeedMeter, learning_rate


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
    rates = [learning_rate(step, total, 1e-3, warm_up) for step in range(total)]
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(1e-3)
    assert 0 < rates[-1] < 1e-3 * (10 / total) ** 2 * 10 + 1e-9
    assert min(rates) > 0


def test_the_rate_by_hand():
    assert learning_rate(0, 100, 1.0, 10) == pytest.approx(0.1)
    assert learning_rate(9, 100, 1.0, 10) == pytest.approx(1.0)
    assert learning_rate(55, 100, 1.0, 10) == pytest.approx(0.5)
    assert learning_rate(29, None, 1.0, 60) == pytest.approx(0.5)


def clock(monkeypatch, step_s: float) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(schedule.time, "perf_counter", lambda: step_s * next(ticks))


def test_minutes_become_steps_by_the_measured_speed(monkeypatch):
    clock(monkeypatch, 0.1)
    meter = SpeedMeter(max_minutes=1.0)
    totals = [meter.note_step() for _ in range(25)]
    assert totals[:24] == [None] * 24
    assert totals[24] == pytest.approx(600, abs=2)


def test_time_is_left_for_validation(monkeypatch):
    clock(monkeypatch, 0.1)
    meter = SpeedMeter(max_minutes=1.0, reserved_s=20.0)
    assert [meter.note_step() for _ in range(25)][-1] == pytest.approx(400, abs=2)


def test_a_slow_machine_is_measured_over_fewer_steps(monkeypatch):
    clock(monkeypatch, 10.0)
    meter = SpeedMeter(max_minutes=1.0)
    totals = [meter.note_step() for _ in range(2)]
    assert totals == [None, 6]
