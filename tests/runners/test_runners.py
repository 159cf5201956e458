"""Every runner writes the same shards, also where a worker is killed midway; what a worker says comes through."""

import os
from pathlib import Path

import pytest
from shard_work import MakeWork

from selfpose6d.errors import DataError, UsageError
from selfpose6d.runners.local import LocalRunner
from selfpose6d.runners.ray_cluster import RayRunner
from selfpose6d.runners.runner import MAX_ATTEMPTS, ShardTask
from selfpose6d.runners.slurm import SlurmRunner
from selfpose6d.runs.config import code_version
from selfpose6d.runs.shards import Shard, ShardFiles, plan_shards
from selfpose6d.selection import FrameId, FrameIds

FRAMES = FrameIds(FrameId(2, im_id) for im_id in range(1, 25))
SHARDS = list(plan_shards(FRAMES, 3))
MIDDLE = FrameId(2, 11)
TEST_PATH = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
"""Where workers find what the tests have them do."""


def rows(folder: Path) -> dict[str, bytes]:
    files = ShardFiles(folder)
    return {shard.name: files.rows(shard.name).read_bytes() for shard in SHARDS if files.is_done(shard.name)}


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("alone")
    done = list(LocalRunner(1).run(ShardTask(folder, MakeWork(), code_version()), SHARDS))
    assert done == [shard.name for shard in SHARDS]
    return rows(folder)


def test_no_cluster_is_said(tmp_path):
    """First in this file: later ones have a cluster, which any address finds."""
    pytest.importorskip("ray", reason="ray (extra cluster) is not installed")
    task = ShardTask(tmp_path, MakeWork(), code_version())
    with pytest.raises(UsageError, match=r"no cluster at --address 127\.0\.0\.1:9"):
        list(RayRunner("127.0.0.1:9").run(task, SHARDS))


@pytest.fixture(scope="module")
def ray_cluster():
    """A cluster of two cores on this machine, for all tests here."""
    ray = pytest.importorskip("ray", reason="ray (extra cluster) is not installed")
    quiet = {"include_dashboard": False, "logging_level": "ERROR", "log_to_driver": False}
    ray.init(address="local", num_cpus=2, runtime_env={"env_vars": {"PYTHONPATH": TEST_PATH}}, **quiet)
    yield
    ray.shutdown()


def test_two_processes_write_what_one_writes(tmp_path, expected):
    list(LocalRunner(2).run(ShardTask(tmp_path, MakeWork(), code_version()), SHARDS))
    assert rows(tmp_path) == expected


def test_ray_writes_what_one_process_writes_although_a_worker_is_killed(tmp_path, expected, ray_cluster):
    killed = tmp_path / "killed"
    task = ShardTask(tmp_path / "shards", MakeWork(MIDDLE, killed, seconds=0.02), code_version())
    done = list(RayRunner("local", 2).run(task, SHARDS))
    assert killed.exists()
    assert sorted(done) == sorted(expected)
    assert rows(task.folder) == expected


def test_a_shard_that_kills_whoever_does_it_is_named(tmp_path, ray_cluster):
    task = ShardTask(tmp_path, MakeWork(MIDDLE), code_version())
    with pytest.raises(UsageError, match=f"shard 000002_000010-000012: the worker died {MAX_ATTEMPTS} times"):
        list(RayRunner("local", 1).run(task, SHARDS[2:5]))
    assert list(rows(tmp_path)) == [SHARDS[2].name]


@pytest.mark.parametrize(
    ("make_work", "code", "error", "said"),
    [
        (MakeWork(fails_at=MIDDLE), code_version(), DataError, "no such mesh"),
        (MakeWork(), "0.0.1", UsageError, r"the run was started by 0\.0\.1\. Install one version"),
    ],
)
def test_what_a_worker_on_the_cluster_says_comes_through(tmp_path, ray_cluster, make_work, code, error, said):
    with pytest.raises(error, match=said):
        list(RayRunner("local", 1).run(ShardTask(tmp_path, make_work, code), SHARDS[3:4]))
    assert rows(tmp_path) == {}


def test_jobs_write_what_one_process_writes_although_one_is_killed(tmp_path, expected, monkeypatch):
    pytest.importorskip("submitit", reason="submitit (extra cluster) is not installed")
    monkeypatch.setenv("PYTHONPATH", TEST_PATH)
    killed = tmp_path / "killed"
    task = ShardTask(tmp_path / "shards", MakeWork(MIDDLE, killed), code_version())
    list(SlurmRunner(2, tmp_path / "slurm", cluster="local").run(task, SHARDS))
    assert killed.exists()
    assert rows(task.folder) == expected


@pytest.mark.parametrize(("shards_each", "ends"), [(1, True), (0, False)])
def test_jobs_that_end_at_their_time_limit_go_on_while_shards_are_done(
    tmp_path, monkeypatch, shards_each, ends
):
    """Each job ends after so many shards; there are more shards than attempts."""
    files, attempts = ShardFiles(tmp_path / "shards"), []

    def attempt(runner, task, left):
        attempts.append(len(left))
        for shard in left[:shards_each]:
            files.write(shard.name, ())
            yield shard.name

    monkeypatch.setattr(SlurmRunner, "_attempt", attempt)
    many = [Shard(f"000000_{i:06d}-{i:06d}", 0, (i,)) for i in range(MAX_ATTEMPTS + 3)]
    task = ShardTask(files.folder, MakeWork(MIDDLE, tmp_path / "killed"), code_version())
    work = SlurmRunner(1, tmp_path / "slurm").run(task, many)
    if ends:
        assert list(work) == [shard.name for shard in many]
    else:
        with pytest.raises(UsageError, match=f"died {MAX_ATTEMPTS} times"):
            list(work)
        assert len(attempts) == MAX_ATTEMPTS
