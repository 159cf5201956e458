"""Whole trainings: what they leave behind, that they learn, repeat, resume and read no label."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
import torch
from small_roots import change_json
from training_runs import run, same_weights, short, weights

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.config import SIZES
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles, find_checkpoint
from selfpose6d.selection import Selection
from selfpose6d.training import session
from selfpose6d.training.checkpoint import FORMAT, load_state
from selfpose6d.training.recipe import BOTH, ESTIMATOR
from selfpose6d.training.schedule import Limit, stage_ends
from selfpose6d.training.schedule import learning_rate as rate_of_step
from selfpose6d.training.session import TrainOptions, make_fabric, train


def rows(out, kind):
    lines = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [row for row in lines if row["kind"] == kind]


def test_a_training_leaves_its_files(dataset, cache, tmp_path):
    out = tmp_path / "run"
    result = run(dataset, out, cache, steps=20)
    assert result.steps == 20
    assert result.samples_per_s > 0
    assert read_config(out).options["recipe"] == "paper"
    assert [row["step"] for row in rows(out, "train")] == [10, 20]
    assert set(range(2, 21, 2)) <= {row["step"] for row in rows(out, "validation")}
    assert all(np.isfinite(row["loss"]) for row in rows(out, "train"))
    assert list((out / "tensorboard").iterdir())
    assert {path.stem for path in (out / "checkpoints").glob("*.safetensors")} == {
        "best",
        "last",
        "estimator",
        "refiner",
    }
    network, metadata = load_network(find_checkpoint(out))
    assert network.objects.obj_ids == (2,)
    assert metadata["recipe"] == "paper"
    assert network.refiner.trained
    last = [row["joint"] for row in rows(out, "validation") if row["stage"] == "joint-loss"]
    assert result.best == pytest.approx(min(last))
    assert [stage for stage, _ in groupby(row["stage"] for row in rows(out, "validation"))] == [
        "estimator",
        "refiner",
        "joint-loss",
    ]


def test_the_first_stage_ends_when_its_distance_is_met_or_nothing_gets_better(dataset, cache, tmp_path):
    supervised = short("supervised", batch=4)
    met = replace(ESTIMATOR, until_m=1e9, patience=None)
    stuck, never = (
        replace(ESTIMATOR, until_m=None, patience=1),
        replace(ESTIMATOR, until_m=0.0, patience=None),
    )
    for name, first, learning_rate, end in (
        ("met", met, 1e-3, 2),
        ("stuck", stuck, 1e-30, 4),
        ("never", never, 1e-30, 10),
    ):
        recipe = replace(supervised, stages=(first, BOTH), learning_rate=learning_rate)
        run(dataset, tmp_path / name, cache, steps=20, recipe=recipe)
        steps = [row["step"] for row in rows(tmp_path / name, "validation") if row["stage"] == "refiner"]
        assert steps[0] == end, name


@pytest.mark.parametrize(("recipe", "factor"), [("paper", 1.0), ("supervised", 3.0)])
def test_the_refiner_learns_at_its_own_rate_by_targets_and_at_the_same_by_the_joint_loss(
    recipe, factor, dataset, cache, tmp_path
):
    """What the optimiser had in the last step, by the joint loss (paper) or by targets (supervised)."""
    run(dataset, tmp_path / "run", cache, steps=8, recipe=recipe)
    estimator, refiner = (group["lr"] for group in load_state(tmp_path / "run").optimiser["param_groups"])
    assert estimator > 0
    assert refiner == pytest.approx(factor * estimator)


def test_objects_without_colour_are_named_once(dataset, cache, tmp_path, monkeypatch):
    plain = replace(dataset.load_mesh(2), vertex_rgb=None, texture=None, corner_uv=None)
    monkeypatch.setattr(type(dataset), "load_mesh", lambda self, obj_id: plain)
    with pytest.warns(UserWarning, match="no colour term in the joint loss for objects 2:") as said:
        run(dataset, tmp_path / "run", cache, steps=8)
    assert len([one for one in said if "no colour term" in str(one.message)]) == 1
    colour = [row["colour"] for row in rows(tmp_path / "run", "validation") if row["stage"] == "joint-loss"]
    assert colour
    assert set(colour) == {0.0}


def test_supervised_training_brings_poses_near_the_truth(dataset, cache, tmp_path):
    recipe = short("supervised", batch=8, learning_rate=3e-3)
    run(dataset, tmp_path / "run", cache, steps=150, recipe=recipe)
    losses = [row["distance_m"] for row in rows(tmp_path / "run", "train")]
    assert losses[-1] < 0.6 * losses[0]


def test_the_same_seed_gives_the_same_weights_and_another_others(dataset, cache, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(dataset, tmp_path / name, cache, seed=seed)
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("recipe", ["paper", "verified"])
def test_no_pose_is_read(recipe, rendered_root, cache, tmp_path, label_run):
    """Every true pose replaced by nonsense: the same weights, the same log."""
    spoiled = tmp_path / "spoiled"
    shutil.copytree(rendered_root, spoiled)

    def spoil(scene_gt):
        for entries in scene_gt.values():
            for entry in entries:
                entry |= {"cam_R_m2c": [float("nan")] * 9, "cam_t_m2c": [1e9, -5.0, 0.0]}

    change_json(spoiled / "train" / "000001" / "scene_gt.json", spoil)
    labels = label_run if recipe == "verified" else None
    for root, name in ((rendered_root, "true"), (spoiled, "nonsense")):
        own = replace(cache, folder=tmp_path / f"cache of {name}")
        run(DataOptions(root, "train").open(), tmp_path / name, own, recipe=recipe, labels=labels)
    assert same_weights(tmp_path / "true", tmp_path / "nonsense")
    assert rows(tmp_path / "true", "validation") == rows(tmp_path / "nonsense", "validation")


def test_the_spoiled_poses_would_have_been_noticed(rendered_root, cache, tmp_path):
    """The counterpart of the test above: a recipe that reads poses changes with them."""
    moved = tmp_path / "moved"
    shutil.copytree(rendered_root, moved)

    def move(scene_gt):
        for entries in scene_gt.values():
            entries[0]["cam_t_m2c"] = [30.0, 0.0, 500.0]

    change_json(moved / "train" / "000001" / "scene_gt.json", move)
    for root, name in ((rendered_root, "a"), (moved, "b")):
        run(DataOptions(root, "train").open(), tmp_path / name, cache, recipe="supervised")
    assert not same_weights(tmp_path / "a", tmp_path / "b")


def test_no_module_that_reads_true_poses_is_imported_where_none_is_needed(rendered_root, tmp_path):
    """Training by itself, annotating and estimating; a module's name says that it reads true poses."""
    code = (
        "import sys\n"
        "from selfpose6d.cli.main import main\n"
        "from selfpose6d.network.config import SIZES\n"
        "from dataclasses import replace\n"
        "SIZES['small'] = replace(SIZES['small'], crop_px=32, num_points=16)\n"
        "code = main(sys.argv[1:])\n"
        "assert [name for name in sys.modules if 'true_poses' in name] == []\n"
        "sys.exit(code)\n"
    )
    data, out = [str(rendered_root), "--split", "train", "--limit", "1"], ["--device", "cpu", "--out"]
    for command in (
        ["train", str(rendered_root), "--max-steps", "1", "--batch", "2", *out, str(tmp_path / "run")],
        ["annotate", *data, *out, str(tmp_path / "labels")],
        ["estimate", str(tmp_path / "run"), *data, *out, str(tmp_path / "poses")],
    ):
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_folder_that_holds_a_training_is_not_overwritten(dataset, cache, tmp_path):
    run(dataset, tmp_path / "run", cache, steps=2)
    with pytest.raises(UsageError, match="--resume"):
        run(dataset, tmp_path / "run", cache, steps=2)
    with pytest.raises(UsageError, match="seed is 0 there, 3 now"):
        run(dataset, tmp_path / "run", cache, steps=2, resume=True, seed=3)


def test_resuming_a_finished_training_changes_nothing(dataset, cache, tmp_path):
    run(dataset, tmp_path / "run", cache, steps=3)
    before = weights(tmp_path / "run")
    run(dataset, tmp_path / "run", cache, steps=3, resume=True)
    assert all(torch.equal(value, before[name]) for name, value in weights(tmp_path / "run").items())


def test_the_configuration_has_the_names_of_the_settings(dataset, cache, tmp_path):
    run(dataset, tmp_path / "run", cache, steps=1)
    options = read_config(tmp_path / "run").options
    settings = options["recipe_settings"]
    assert settings["num_poses"] == 8
    assert [stage["fraction"] for stage in settings["stages"]] == [0.5, 0.5, 0.15]
    augment = settings["augment"]
    assert (augment["occluder_fraction"], augment["background_fraction"]) == (0.4, 0.0)
    assert options["network"]["num_points"] == SIZES["small"].num_points


@pytest.mark.parametrize("old", ["state", "config", "other options"])
def test_what_forbids_to_go_on_is_said_before_a_crop_is_decoded(old, dataset, cache, tmp_path, monkeypatch):
    out = tmp_path / "run"
    run(dataset, out, cache, steps=2)
    monkeypatch.setattr(session, "open_crop_store", lambda *_: pytest.fail("crops were decoded"))
    if old == "state":
        path = RunFiles(out).training_state
        torch.save(torch.load(path, weights_only=True) | {"format": FORMAT - 1}, path)
    elif old == "config":
        path = RunFiles(out).config
        path.write_text(path.read_text().replace("format: 2", "format: 1"))
    expected = {
        "state": "made by another version",
        "config": "run format 1",
        "other options": "has 2 steps, 2 of them",
    }
    with pytest.raises((UsageError, CheckpointError), match=expected[old]):
        run(dataset, out, cache, steps=1 if old == "other options" else 2, resume=True)


def test_only_selected_frames_are_trained_on(rendered_root, cache, tmp_path):
    run(DataOptions(rendered_root, "train", Selection(limit=4)).open(), tmp_path / "run", cache, steps=2)
    assert read_config(tmp_path / "run").data.selection.limit == 4


def test_densefusion_has_no_gates(dataset, cache, tmp_path):
    run(dataset, tmp_path / "run", cache, steps=1, recipe="densefusion")
    assert not any("gate" in name for name in weights(tmp_path / "run"))
    assert not load_network(find_checkpoint(tmp_path / "run"))[0].config.weighted


def test_one_frame_is_enough(rendered_root, cache, tmp_path):
    result = run(
        DataOptions(rendered_root, "train", Selection(limit=1)).open(), tmp_path / "run", cache, steps=2
    )
    assert result.steps == 2


def test_minutes_are_turned_into_steps_once_and_stored(dataset, cache, tmp_path):
    data = DataOptions(dataset.root, dataset.split)
    options = TrainOptions(data, short(stages=(ESTIMATOR, BOTH)), Limit(max_minutes=0.25), cache=cache)
    result = train(dataset, options, tmp_path / "run", make_fabric("cpu", "fp32"))
    state = load_state(tmp_path / "run")
    assert state.total_steps == state.step == result.steps > 1
    last, ends = rows(tmp_path / "run", "train")[-1], stage_ends(options.recipe.stages, state.step, 1)
    # how far the rate falls depends on the number of steps, and that on how busy the machine is
    expected = rate_of_step(last["step"] - 1, ends, options.recipe)
    assert last["step"] == state.step
    assert last["learning_rate"] == pytest.approx(expected)
    again = train(dataset, options, tmp_path / "run", make_fabric("cpu", "fp32"), resume=True)
    assert again.steps == result.steps
