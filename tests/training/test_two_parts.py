"""Whole trainings of `mixed` and `teacher-student`: no label of the data set leaks, they resume, both parts count."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_runs import run, same_weights, short, weights
from two_parts import RECIPES, copied, rows, spoil_poses

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.runs.config import read_config
from selfpose6d.training import loop
from selfpose6d.training.checkpoint import load_state

NONSENSE = {"cam_R_m2c": [float("nan")] * 9, "cam_t_m2c": [1e9, -5.0, 0.0]}


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_pose_of_the_unlabelled_data_set_is_read(recipe, rendered_root, synthetic_root, cache, tmp_path):
    spoiled = copied(rendered_root, tmp_path / "spoiled")
    spoil_poses(spoiled, "train", NONSENSE)
    for root, name in ((rendered_root, "true"), (spoiled, "nonsense")):
        own = replace(cache, folder=tmp_path / f"cache of {name}")
        run(DataOptions(root, "train").open(), tmp_path / name, own, 20, recipe, synthetic=synthetic_root)
    assert same_weights(tmp_path / "true", tmp_path / "nonsense")
    for kind in ("validation", "held out"):
        assert rows(tmp_path / "true", kind) == rows(tmp_path / "nonsense", kind)


@pytest.mark.parametrize("recipe", RECIPES)
def test_poses_of_the_synthetic_part_are_learned(recipe, dataset, synthetic_root, cache, tmp_path):
    moved = copied(synthetic_root, tmp_path / "moved")
    spoil_poses(moved, "train_pbr", {"cam_t_m2c": [30.0, 0.0, 500.0]})
    for root, name in ((synthetic_root, "a"), (moved, "b")):
        run(dataset, tmp_path / name, cache, 4, recipe, synthetic=root)
    assert not same_weights(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("recipe", RECIPES)
def test_stopped_anywhere_it_goes_on_to_the_same_weights(
    recipe, dataset, synthetic_root, cache, tmp_path, monkeypatch
):
    """Stopped in each stage, the teacher's included: the averages are part of the state."""
    changed = short(recipe, teacher_decay=0.9, least_agreement=0.0)
    changed = replace(
        changed, stages=tuple(replace(one, until_m=None, patience=None) for one in changed.stages)
    )
    more = {"synthetic": synthetic_root, "recipe": changed, "steps": 20}
    run(dataset, tmp_path / "whole", cache, **more)
    one_step = loop._Trainer._one_step
    for stop in (3, 13, 16, 19):

        def step_or_stop(trainer, record, stop=stop):
            if trainer.step == stop:
                raise UsageError("stopped")
            one_step(trainer, record)

        with monkeypatch.context() as patched:
            patched.setattr(loop._Trainer, "_one_step", step_or_stop)
            with pytest.raises(UsageError, match="stopped"):
                run(dataset, tmp_path / f"{stop}", cache, **more)
        run(dataset, tmp_path / f"{stop}", cache, resume=True, **more)
        assert same_weights(tmp_path / f"{stop}", tmp_path / "whole"), stop
    if recipe == "teacher-student":
        teachers = [load_state(tmp_path / name).teacher or {} for name in ("whole", "16")]
        assert teachers[0].keys() == teachers[1].keys() == weights(tmp_path / "whole").keys()
        assert all(torch.equal(value, teachers[1][name]) for name, value in teachers[0].items())
        student = weights(tmp_path / "whole", "student")
        assert any(not torch.equal(student[name], value) for name, value in teachers[0].items())


def test_stages_see_what_they_should(dataset, synthetic_root, cache, tmp_path, monkeypatch):
    """Half of each mixed batch is synthetic; the teacher's student sees the data set's own frames only."""
    seen = {}
    step_loss = loop.step_loss

    def note(module, context, stage, samples, *arguments, **options):
        seen.setdefault(stage.name, []).append((samples.index >= 10).mean())
        return step_loss(module, context, stage, samples, *arguments, **options)

    monkeypatch.setattr(loop, "step_loss", note)
    run(dataset, tmp_path / "mixed", cache, 6, "mixed", synthetic=synthetic_root)
    assert {name: set(shares) for name, shares in seen.items()} == {"estimator": {0.5}, "refiner": {0.5}}
    seen.clear()
    run(dataset, tmp_path / "taught", cache, 20, "teacher-student", synthetic=synthetic_root)
    shares = {name: set(values) for name, values in seen.items()}
    assert shares == {"estimator": {1.0}, "refiner": {1.0}, "student": {0.0}, "joint-loss": {0.0}}
    assert all(
        0 <= row["agreement"] <= 1 for row in rows(tmp_path / "taught", "train") if row["stage"] == "student"
    )


def test_the_log_and_the_configuration_say_what_was_used(dataset, synthetic_root, cache, tmp_path, capsys):
    run(dataset, tmp_path / "mixed", cache, 2, "mixed", synthetic=synthetic_root)
    shown = capsys.readouterr().out
    assert f"synthetic part: split train_pbr of {synthetic_root}, 10 frames, 10 instances" in shown
    (note,) = rows(tmp_path / "mixed", "held out")
    assert "the data set's own frames, compared with resolved poses: without labels" in note["note"]
    options = read_config(tmp_path / "mixed").options
    assert (options["synthetic_split"], len(options["synthetic_fingerprint"])) == ("train_pbr", 32)
    run(dataset, tmp_path / "taught", cache, 2, "teacher-student", synthetic=synthetic_root)
    assert "of the synthetic part, compared with true poses: held out:" in capsys.readouterr().out


def test_the_held_out_measure_of_the_data_set_is_no_distance_to_a_pose(
    dataset, synthetic_root, cache, tmp_path
):
    """With a resolver that changes nothing the distance to the resolved poses is 0, whatever the network says."""
    stuck = replace(short("mixed"), resolver_iterations=0)
    run(dataset, tmp_path / "run", cache, 2, stuck, synthetic=synthetic_root)
    found = [row["distance_m"] for row in rows(tmp_path / "run", "validation")]
    assert np.allclose(found, 0, atol=1e-5)
