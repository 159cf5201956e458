"""Shards on a Ray cluster. A worker that dies is started again, and its shard is done anew."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.extras import missing_extra
from selfpose6d.processes import WORKER_BYTES, use_one_thread
from selfpose6d.runners.runner import MAX_ATTEMPTS, ShardTask, dead_workers
from selfpose6d.runs.shards import Shard

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Of the workers: each has one core."""
REACHABLE_WITHIN_S = 10.0
GPU_SHARE = 0.25
"""Of a GPU, for one worker. A choice: each takes about 2 GB of it, and launches small kernels one after the other."""


@dataclass(frozen=True)
class RayRunner:
    """Actors of one core each on the cluster at `address`; `local` starts one on this machine for the run."""

    address: str = "auto"
    workers: int = 0
    """0: as many as the cluster has cores and memory for."""
    wants_gpu: bool | None = False
    """None: if the cluster has any."""

    def run(self, task: ShardTask, shards: Sequence[Shard]) -> Iterator[str]:
        """See `Runner.run`."""
        if not shards:
            return
        with _connected(self.address, self.workers) as ray:
            resources = ray.cluster_resources()
            on_gpu = resources.get("GPU", 0) > 0 if self.wants_gpu is None else self.wants_gpu
            count = min(self.workers or _fitting(resources), len(shards))
            make_actor = ray.remote(
                num_cpus=1,
                num_gpus=GPU_SHARE if on_gpu else 0,
                memory=WORKER_BYTES,
                max_restarts=-1,
                max_task_retries=MAX_ATTEMPTS - 1,
            )(_Worker)
            actors = [make_actor.remote(task) for _ in range(count)]
            try:
                yield from _done_by(ray, actors, shards)
            finally:
                for actor in actors:
                    ray.kill(actor)


class _Worker:
    """A process of the cluster; made anew where it is started again."""

    def __init__(self, task: ShardTask) -> None:
        self._task, self._work, self._error = task, None, None
        use_one_thread()
        try:
            self._work = task.start()
        except SelfPose6DError as error:  # an actor that cannot be made says less
            self._error = error

    def write(self, shard: Shard) -> str:
        """Do one shard."""
        if self._error is not None or self._work is None:
            raise self._error or UsageError("a worker without work")
        return self._task.write(self._work, shard)


def _done_by(ray: Any, actors: Sequence[Any], shards: Sequence[Shard]) -> Iterator[str]:
    """Each actor has one shard under way and gets the next one when that is done."""
    waiting = list(reversed(shards))
    under_way: dict[Any, tuple[Any, Shard]] = {}
    for actor in actors:
        shard = waiting.pop()
        under_way[actor.write.remote(shard)] = actor, shard
    while under_way:
        [ready], _ = ray.wait(list(under_way), num_returns=1)
        actor, shard = under_way.pop(ready)
        yield _result(ray, ready, shard)
        if waiting:
            following = waiting.pop()
            under_way[actor.write.remote(following)] = actor, following


def _result(ray: Any, reference: Any, shard: Shard) -> str:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SelfPose6DError):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        if "creation task" in said[0]:
            raise UsageError(
                f"--runner ray: a worker cannot be started ({said[-1].strip()}). Install the same packages on all "
                "machines."
            ) from None
        raise dead_workers([shard.name]) from None


def _fitting(resources: dict[str, float]) -> int:
    """Workers that the cluster has cores and memory for, one at least."""
    in_memory = resources.get("memory", float("inf")) // WORKER_BYTES
    return int(max(1, min(resources.get("CPU", 1), in_memory)))


def _require_reachable(address: str) -> None:
    """Ray itself tries for many minutes to reach a machine that does not answer.

    Raises:
        OSError: nobody answers there.
    """
    host, separator, port = address.rpartition(":")
    if separator and port.isdecimal():
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=REACHABLE_WITHIN_S).close()


@contextmanager
def _connected(address: str, workers: int) -> Iterator[Any]:
    """Ray, connected; what was connected already stays so."""
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise missing_extra("cluster", "ray", needed_by="--runner ray") from None
    if ray.is_initialized():
        yield ray
        return
    own = {"num_cpus": workers, "include_dashboard": False} if address == "local" and workers else {}
    quiet = {"logging_level": "ERROR", "log_to_driver": False, "configure_logging": True}
    try:
        _require_reachable(address)
        ray.init(address=address, runtime_env={"env_vars": ENVIRONMENT}, **own, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"--runner ray: no cluster at --address {address} ({' '.join(str(error).split())[:200]}). Start one with "
            "ray start --head, or pass --address local for one on this machine."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
