"""More steps for a training: finished or not, what may change and what may not; whole epochs that do not fit."""

import json
from dataclasses import replace

import pytest
import torch
from training_runs import run, same_weights, short, weights

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.training.adapt import adapt_recipe
from selfpose6d.training.checkpoint import load_state
from selfpose6d.training.recipe import find_recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions, make_fabric, train
from selfpose6d.training.settings import RecipeSettings

LITERAL = replace(adapt_recipe(find_recipe("paper"), RecipeSettings(literal=True)), batch=4, num_poses=8)


def rows(out, kind="train"):
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [row for row in lines if row["kind"] == kind]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_training_goes_on_with_more_steps(dataset, cache, tmp_path):
    out = tmp_path / "run"
    run(dataset, out, cache, steps=20)
    before = weights(out)
    result = run(dataset, out, cache, steps=60, resume=True)
    assert result.steps == 60
    assert read_config(out).options["max_steps"] == 60
    state = load_state(out)
    assert (state.step, state.total_steps, state.schedule_start, state.schedule_stage) == (60, 60, 20, 1)
    added = [row for row in rows(out) if row["step"] > 20]
    assert [row["stage"] for row in added] == ["refiner"] * 3 + ["joint-loss"]
    rates = [row["learning_rate"] / short().learning_rate for row in added[:3]]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 0.8
    assert rates[2] < 0.2
    assert any(not torch.equal(value, before[name]) for name, value in weights(out).items())
    run(dataset, out, cache, steps=60, resume=True)
    assert load_state(out).step == 60


def test_added_steps_give_the_same_weights_however_often_they_are_interrupted(
    dataset, cache, tmp_path, monkeypatch
):
    """The schedule of the added steps is stored: a second resume does not begin another one."""
    from selfpose6d.training import loop

    for name in ("whole", "parts"):
        run(dataset, tmp_path / name, cache, steps=8)
    run(dataset, tmp_path / "whole", cache, steps=24, resume=True)
    step_loss, calls = loop.step_loss, []

    def interrupted(*arguments, **more):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return step_loss(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "step_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, tmp_path / "parts", cache, steps=24, resume=True)
    assert 8 < load_state(tmp_path / "parts").step < 24
    run(dataset, tmp_path / "parts", cache, steps=24, resume=True)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")


def test_fewer_steps_are_refused_and_nothing_changes(dataset, cache, tmp_path):
    out = tmp_path / "run"
    run(dataset, out, cache, steps=6)
    before = content(out)
    with pytest.raises(UsageError, match=r"--max-steps 5: .* has 6 steps, 6 of them done. Pass 6 or more"):
        run(dataset, out, cache, steps=5, resume=True)
    with pytest.raises(UsageError, match="seed is 0 there, 1 now"):
        run(dataset, out, cache, steps=9, resume=True, seed=1)
    options = TrainOptions(DataOptions(dataset.root, "train"), short(), Limit(max_minutes=1.0), cache=cache)
    with pytest.raises(
        UsageError, match=r"--max-minutes 1: .* has its number of steps already, 6. Go on with"
    ):
        train(dataset, options, out, make_fabric("cpu", "fp32"), resume=True)
    assert content(out) == before


def test_a_whole_epoch_that_does_not_fit_is_refused_before_anything_is_written(dataset, cache, tmp_path):
    with pytest.raises(
        UsageError, match=r"whole epoch of stage joint-loss does not fit: .* 4 are to be made, at least 5"
    ):
        run(dataset, tmp_path / "run", cache, steps=4, recipe=LITERAL)
    assert not (tmp_path / "run").exists()
    run(dataset, tmp_path / "run", cache, steps=10, recipe=LITERAL)
    before = content(tmp_path / "run")
    with pytest.raises(
        UsageError, match=r"does not fit: an epoch is 3 steps, 3 are to be made, at least 4 are needed"
    ):
        run(dataset, tmp_path / "run", cache, steps=13, recipe=LITERAL, resume=True)
    assert content(tmp_path / "run") == before
    stages = [row["stage"] for row in rows(tmp_path / "run", "validation")]
    assert stages.count("joint-loss") == 1 + 3


def test_minutes_without_room_for_the_whole_epoch_are_one_line_and_can_go_on(rendered_root, cache, tmp_path):
    out, recipe = (
        tmp_path / "run",
        replace(LITERAL, stages=(*LITERAL.stages[:2], replace(LITERAL.stages[2], epochs=9e5))),
    )
    dataset = DataOptions(rendered_root, "train").open()
    options = TrainOptions(DataOptions(rendered_root, "train"), recipe, Limit(max_minutes=0.02), cache=cache)
    with pytest.raises(UsageError, match="Pass more --max-steps or --max-minutes"):
        train(dataset, options, out, make_fabric("cpu", "fp32"))
    state = load_state(out)
    assert state.total_steps is None
    assert state.step > 0
    with pytest.raises(UsageError, match="does not fit"):
        train(
            dataset, replace(options, limit=Limit(max_steps=50)), out, make_fabric("cpu", "fp32"), resume=True
        )
    assert RunFiles(out).config.is_file()
