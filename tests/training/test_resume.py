"""Killed at any moment, a training goes on to the same weights; Ctrl-C saves; two processes train as one."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from training_runs import same_weights, weights

SCRIPT = str(Path(__file__).with_name("kill_and_resume.py"))
STEPS = 60


def command(root, out, cache, *more: str) -> list[str]:
    options = ["--max-steps", str(STEPS), "--batch", "4", "--device", "cpu", "--precision", "fp32"]
    return ["train", str(root), "--out", str(out), "--cache", str(cache), *options, *more]


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, SCRIPT, *arguments], stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 240
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists(), process.communicate()


@pytest.fixture(scope="module")
def whole(rendered_root, tmp_path_factory):
    """An uninterrupted training."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start(command(rendered_root, folder / "run", folder / "cache")))
    return folder


def test_after_a_kill_the_weights_are_the_same_to_the_last_bit(whole, rendered_root, tmp_path):
    arguments = command(rendered_root, tmp_path / "run", whole / "cache")
    process = start(arguments)
    wait_for(tmp_path / "run" / "checkpoints" / "last.state", process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert max(steps) < STEPS, "the training had ended before it was killed"
    finish(start([*arguments, "--resume"]))
    assert same_weights(tmp_path / "run", whole / "run")
    assert weights(tmp_path / "run", "best").keys() == weights(whole / "run", "best").keys()
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if row["kind"] == "validation"]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS


def test_ctrl_c_saves_and_the_run_goes_on(whole, rendered_root, tmp_path):
    arguments = command(rendered_root, tmp_path / "run", whole / "cache")
    process = start(arguments)
    wait_for(tmp_path / "run" / "checkpoints" / "last.state", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    finish(start([*arguments, "--resume"]))
    assert same_weights(tmp_path / "run", whole / "run")


def test_two_processes_train_one_network(rendered_root, whole, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    arguments = command(rendered_root, tmp_path / "run", whole / "cache")
    processes = []
    for rank in ("0", "1"):
        together = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank}
        together |= {"GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        together |= {"TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(
                [sys.executable, SCRIPT, *arguments],
                env=os.environ | together,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        finish(process)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    assert rows[-1]["step"] == STEPS
    assert len(losses) == STEPS // 10
    assert losses[-1] < losses[0]
