"""Checkpoints: whole or not at all, corrupt ones and full disks named, nothing lost."""

import errno
import json
import os

import pytest
import torch
from networks import build_both, random_input, surfaces
from safetensors import safe_open
from training_runs import run, same_weights, weights

from selfpose6d import files
from selfpose6d.cli.main import main
from selfpose6d.errors import CheckpointError
from selfpose6d.files import write_whole
from selfpose6d.network import checkpoint
from selfpose6d.network.checkpoint import load_network, save_network
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.training import checkpoint as training_checkpoint
from selfpose6d.training.checkpoint import TrainingState, has_state, load_state, save_state


def test_a_saved_network_predicts_the_same(tmp_path):
    network, inputs = build_both(), random_input(3)
    save_network(tmp_path / "a.safetensors", network, {"recipe": "paper", "step": 7})
    loaded, metadata = load_network(tmp_path / "a.safetensors")
    assert metadata == {"recipe": "paper", "step": 7}
    assert loaded.config == network.config
    assert loaded.objects == network.objects
    refined = [each(inputs, surfaces(), refine_steps=2).refinement.T_steps for each in (loaded, network)]
    assert torch.equal(*refined)


def test_a_file_keeps_the_names_that_earlier_ones_have(tmp_path):
    network = build_both()
    save_network(tmp_path / "a.safetensors", network, {})
    with safe_open(tmp_path / "a.safetensors", framework="pt") as file:
        header = json.loads(file.metadata()["selfpose6d"])
    assert header["config"]["points"] == network.config.num_points
    assert "num_points" not in header["config"]


def test_a_run_means_its_best_checkpoint_then_its_last(tmp_path):
    network = build_both()
    save_network(tmp_path / "checkpoints" / "last.safetensors", network, {})
    assert find_checkpoint(tmp_path).name == "last.safetensors"
    save_network(tmp_path / "checkpoints" / "best.safetensors", network, {})
    assert find_checkpoint(tmp_path).name == "best.safetensors"


def test_no_checkpoint_says_what_was_looked_for(tmp_path):
    with pytest.raises(CheckpointError, match=r"looked for checkpoints/best.safetensors"):
        find_checkpoint(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "foreign"])
def test_a_corrupt_checkpoint_is_named(tmp_path, damage):
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    save_network(path, build_both(), {})
    content = path.read_bytes()
    if damage == "foreign":
        save_file({"weight": torch.zeros(3)}, path)
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"hello" * 100}[damage])
    with pytest.raises(CheckpointError, match=r"a\.safetensors is not a readable checkpoint.*Pass another"):
        load_network(path)


def test_weights_that_do_not_fit_the_description_are_named(tmp_path, monkeypatch):
    network = build_both()
    del network.estimator.fusion
    monkeypatch.setattr(checkpoint, "PoseNetwork", type(network))
    save_network(tmp_path / "a.safetensors", network, {})
    with pytest.raises(CheckpointError, match="does not describe a network"):
        load_network(tmp_path / "a.safetensors")


def test_a_state_comes_back(tmp_path):
    state = TrainingState(5, None, 1, 0.25, 2, 3, 1, {"w": torch.arange(3.0)}, {"state": {}})
    assert not has_state(tmp_path)
    save_state(tmp_path, state)
    back = load_state(tmp_path)
    assert (back.step, back.total_steps, back.stage, back.best) == (5, None, 1, 0.25)
    assert back.validations_without_improvement == 2
    assert (back.schedule_start, back.schedule_stage) == (3, 1)
    assert torch.equal(back.network["w"], torch.arange(3.0))


def test_a_corrupt_state_is_named(tmp_path):
    save_state(tmp_path, TrainingState(5, 9, 0, 0.25, 0, 0, 0, {}, {}))
    path = tmp_path / "checkpoints" / "last.state"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(CheckpointError, match=r"last\.state is corrupt .*without --resume"):
        load_state(tmp_path)


def test_a_state_of_another_version_is_not_called_corrupt(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(training_checkpoint, "FORMAT", 2)
        save_state(tmp_path, TrainingState(5, 9, 0, 0.25, 0, 0, 0, {}, {}))
    expected = r"last\.state was made by another version: it has format 2.*train again with another --out"
    with pytest.raises(CheckpointError, match=expected):
        load_state(tmp_path)


def test_a_full_disk_leaves_the_earlier_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_whole(path, b"earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"later")
    assert path.read_bytes() == b"earlier"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_a_disk_that_fills_up_while_training_is_one_line_and_the_run_goes_on(
    rendered_root, dataset, cache, tmp_path, monkeypatch, capsys
):
    run(dataset, tmp_path / "whole", cache, steps=10)
    calls = []

    def full_at_the_fifth(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.state")

    arguments = [
        "train",
        str(rendered_root),
        "--out",
        str(tmp_path / "run"),
        "--max-steps",
        "10",
        "--batch",
        "4",
    ]
    arguments += ["--cache", str(cache.folder), "--device", "cpu", "--precision", "fp32"]
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full_at_the_fifth)
        assert main(arguments) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith("error: No space left on device")
    assert main([*arguments, "--resume"]) == 0
    assert weights(tmp_path / "run").keys() == weights(tmp_path / "whole").keys()


def test_weights_follow_the_steps(dataset, cache, tmp_path):
    for name, steps in (("a", 4), ("b", 5)):
        run(dataset, tmp_path / name, cache, steps=steps)
    assert not same_weights(tmp_path / "a", tmp_path / "b")
