"""`--init`: another recipe, stage or set of objects begins with a trained network; other kinds do not fit."""

from dataclasses import replace

import pytest
import torch
from networks import OBJECTS, TINY, build_both
from training_runs import run, short, weights

from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.network.checkpoint import save_network
from selfpose6d.network.config import SIZES
from selfpose6d.network.interface import ObjectTable
from selfpose6d.network.transfer import require_same_structure, shared_objects, take_over
from selfpose6d.training import session
from selfpose6d.training.recipe import JOINT_LOSS
from selfpose6d.training.session import TrainOptions

FROZEN = {"learning_rate": 1e-30, "joint_learning_rate": 1e-30}


@pytest.fixture
def first(dataset, cache, tmp_path):
    run(dataset, tmp_path / "first", cache, steps=6)
    return tmp_path / "first"


@pytest.mark.parametrize("what", ["run", "file"])
def test_another_recipe_begins_with_the_weights(dataset, cache, tmp_path, first, what):
    init = first if what == "run" else first / "checkpoints" / "best.safetensors"
    run(dataset, tmp_path / "next", cache, steps=2, recipe=short("supervised", **FROZEN), init=init, seed=7)
    expected, found = weights(first, "best"), weights(tmp_path / "next")
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], msg=name)


def test_a_stage_alone_is_trained_on_what_is_there(dataset, cache, tmp_path, first):
    recipe = short(stages=(JOINT_LOSS,))
    with pytest.raises(
        UsageError, match=r"the first stage must train the estimator.*or begin with .*--init MODEL"
    ):
        run(dataset, tmp_path / "next", cache, steps=4, recipe=recipe)
    run(dataset, tmp_path / "next", cache, steps=4, recipe=recipe, init=first)
    before, after = weights(first, "best"), weights(tmp_path / "next")
    changed = {name.partition(".")[0] for name in after if not torch.equal(before[name], after[name])}
    assert changed == {"refiner"}


def test_a_resumed_training_does_not_begin_again(dataset, cache, tmp_path, first, monkeypatch):
    run(dataset, tmp_path / "next", cache, steps=3, recipe="supervised", init=first)
    monkeypatch.setattr(session, "load_network", lambda *_: pytest.fail("read again"))
    run(dataset, tmp_path / "next", cache, steps=6, recipe="supervised", init=first, resume=True)
    with pytest.raises(UsageError, match="--init is"):
        run(dataset, tmp_path / "next", cache, steps=6, recipe="supervised", resume=True)


@pytest.mark.parametrize("recipe", ["another size", "unweighted", "points alone"])
def test_another_kind_of_network_is_one_line_and_nothing_is_lost(
    recipe, dataset, cache, tmp_path, first, monkeypatch
):
    monkeypatch.setattr(session, "open_crop_store", lambda *_: pytest.fail("crops were decoded"))
    changes = {"unweighted": {"weighted": False}, "points alone": {"refiner_residuals": False}}
    size = "paper" if recipe == "another size" else "small"
    with pytest.raises(
        CheckpointError, match=r"--init .*its network is of another kind \(.*that it was trained with"
    ) as said:
        run(dataset, tmp_path / "next", cache, recipe=short(**changes.get(recipe, {})), init=first, size=size)
    assert "\n" not in str(said.value)
    assert not (tmp_path / "next").exists()


def test_what_to_pass_for_a_network_of_another_size():
    with pytest.raises(CheckpointError, match=r"Pass the --size small that it was trained with"):
        require_same_structure("MODEL", SIZES["small"], SIZES["paper"])
    with pytest.raises(
        CheckpointError, match=r"weighted is False there, True now.*Pass the --size, --recipe, --gates"
    ):
        require_same_structure("MODEL", replace(TINY, weighted=False), TINY)


def test_a_model_that_is_not_there_is_one_line(dataset, cache, tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        run(dataset, tmp_path / "next", cache, init=tmp_path / "nowhere")
    assert not (tmp_path / "next").exists()


def test_heads_follow_the_object_id_and_new_objects_start_fresh():
    """Ids 1 and 5 before; 5, 1 with another size (so another object), and 7 now."""
    objects = ObjectTable((5, 1, 7), (0.1, 0.5, 0.3), (OBJECTS.centre_m[1], *OBJECTS.centre_m))
    earlier, network = build_both(seed=1), build_both(objects=objects, seed=2)
    assert shared_objects(network, earlier) == (5,)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    take_over(network, earlier)
    for name, value in network.state_dict().items():
        expected = earlier.state_dict()[name]
        if name.endswith(("output_weight", "output_bias")):
            assert torch.equal(value[0], expected[1]), name
            assert torch.equal(value[1:], before[name][1:]), name
        else:
            assert torch.equal(value, expected), name


def test_objects_that_the_earlier_network_does_not_know_are_named(dataset, cache, tmp_path):
    stranger = build_both(SIZES["small"], OBJECTS)
    save_network(tmp_path / "stranger.safetensors", stranger, {})
    with pytest.warns(UserWarning, match="heads of objects 2 start fresh"):
        run(dataset, tmp_path / "next", cache, steps=1, init=tmp_path / "stranger.safetensors")


def test_every_option_is_kept_in_the_configuration(dataset, tmp_path):
    from selfpose6d.datasets.options import DataOptions
    from selfpose6d.training.schedule import Limit

    options = TrainOptions(DataOptions(dataset.root), short(), Limit(max_steps=1), init=tmp_path)
    described = options.describe()
    assert described["init"] == str(tmp_path)
    settings = described["recipe_settings"]
    assert settings["joint"]["window_px"] == 2
    assert settings["resolver_iterations"] == 20
    assert described["network"]["refiner_residuals"]
