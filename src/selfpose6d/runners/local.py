"""Shards on this machine: in this process, or in several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from selfpose6d.processes import map_in_processes
from selfpose6d.runners.runner import ShardTask
from selfpose6d.runs.shards import Shard


@dataclass(frozen=True)
class _ShardWork:
    """Makes the work of one process."""

    task: ShardTask

    def __call__(self) -> "_Started":
        return _Started(self.task)


class _Started:
    """The work of one process."""

    def __init__(self, task: ShardTask) -> None:
        self._task, self._work = task, task.start()

    def __call__(self, shard: Shard) -> str:
        return self._task.write(self._work, shard)


@dataclass(frozen=True)
class LocalRunner:
    """This many processes; one: this process itself."""

    workers: int

    def run(self, task: ShardTask, shards: Sequence[Shard]) -> Iterator[str]:
        """See `Runner.run`."""
        make_work = _ShardWork(task)
        if self.workers == 1 and shards:
            yield from map(make_work(), shards)
        elif shards:
            yield from map_in_processes(make_work, shards, self.workers)
