"""`--shard i/n` and `merge`, and `--runner ray` with a worker killed midway: the files of one process, times apart."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from selfpose6d.cli.main import main

ICP = ("--method", "icp", "--overlays", "0")


@pytest.fixture(scope="module")
def rendered(five_frames) -> Path:
    """A small BOP root: two objects, five test frames."""
    return five_frames


@pytest.fixture(scope="module")
def alone(rendered, tmp_path_factory) -> Path:
    """A run of one process over `rendered`."""
    run = tmp_path_factory.mktemp("runs") / "alone"
    assert main(["annotate", str(rendered), "--out", str(run), *ICP, "--workers", "1"]) == 0
    return run


def without_times(run: Path) -> dict[str, list]:
    """Rows of all result files and of the journal."""
    found: dict[str, list] = {}
    for name in ("journal.jsonl", "certificates.jsonl", "skipped.jsonl"):
        rows = [json.loads(line) for line in (run / name).read_text().splitlines()]
        found[name] = [_plain(row) for row in rows]
    with (run / "predictions.csv").open() as file:
        found["predictions.csv"] = [
            {k: v for k, v in row.items() if k != "time"} for row in csv.DictReader(file)
        ]
    return found


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key != "time_s"}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def test_parts_of_a_run_merge_to_the_run_of_one_process(rendered, alone, tmp_path, capsys):
    run = tmp_path / "run"
    parts = ["annotate", str(rendered), "--out", str(run), *ICP, "--frames-per-shard", "1"]
    for part in ("2/3", "1/3"):
        assert main([*parts, "--shard", part]) == 0
    assert main(["merge", str(run)]) == 2
    assert "shards are missing" in capsys.readouterr().err
    assert not (run / "predictions.csv").exists()
    assert main([*parts, "--shard", "3/3"]) == 0
    before = {path.name: path.stat().st_mtime_ns for path in (run / "shards").iterdir()}
    assert main([*parts, "--shard", "3/3"]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in (run / "shards").iterdir()} == before
    assert main(["merge", str(run), "--overlays", "0", "--remove-shards"]) == 0
    assert without_times(run) == without_times(alone)
    assert not (run / "shards").exists()


def test_what_one_process_began_the_parts_finish(rendered, alone, tmp_path):
    run = tmp_path / "run"
    assert main(["annotate", str(rendered), "--out", str(run), *ICP, "--workers", "1"]) == 0
    lines = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (run / "journal.jsonl").write_bytes(b"".join(lines[:2]))
    assert main(["annotate", str(rendered), "--out", str(run), *ICP, "--shard", "1/1"]) == 0
    assert main(["merge", str(run), "--overlays", "0"]) == 0
    assert without_times(run) == without_times(alone)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--shard", "0/3"], "--shard must be i/n"),
        (["--shard", "4/3"], "--shard must be i/n"),
        (["--shard", "half"], "--shard must be i/n"),
        (["--shard", "1/2", "--runner", "ray"], "both share the work out"),
        (["--address", "auto"], "--address says where"),
        (["--frames-per-shard", "0"], "--frames-per-shard must be 1 or more"),
        (["--workers", "-1"], "--workers must be 0 or more"),
        (["--slurm", "x=1"], "--slurm has parameters"),
        (["--runner", "slurm", "--slurm", "x"], "expected NAME=VALUE"),
    ],
)
def test_options_that_make_no_sense_are_refused(rendered, tmp_path, capsys, words, said):
    assert main(["annotate", str(rendered), "--out", str(tmp_path / "run"), *ICP, *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_merge_of_a_run_without_shards_is_refused(alone, capsys):
    assert main(["merge", str(alone)]) == 2
    assert "has no manifest.json" in capsys.readouterr().err


def descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):  # a thread that has ended
                found += map(int, path.read_text().split())
    return found[1:]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def test_ray_with_a_worker_killed_midway(rendered, alone, tmp_path):
    pytest.importorskip("ray", reason="ray (extra cluster) is not installed")
    if not Path("/proc/self/task").is_dir():
        pytest.skip("skipped: workers are found by /proc, which this system has not")
    run = tmp_path / "run"
    words = ["annotate", str(rendered), "--out", str(run), *ICP, "--frames-per-shard", "1"]
    words += ["--runner", "ray", "--address", "local", "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "selfpose6d", *words])
    killed = None
    while process.poll() is None:
        workers = [pid for pid in descendants(process.pid) if "ray::_Worker" in command_line(pid)]
        if killed is None and workers:
            killed = workers[0]
            os.kill(killed, signal.SIGKILL)
        time.sleep(0.01)
    assert process.returncode == 0
    assert killed is not None
    assert without_times(run) == without_times(alone)
