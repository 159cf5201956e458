"""What all runners share: the work on a shard, and who does it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from selfpose6d.errors import UsageError
from selfpose6d.runs.config import code_version
from selfpose6d.runs.journal import JournalRecord
from selfpose6d.runs.shards import Shard, ShardFiles
from selfpose6d.selection import FrameId

Work = Callable[[FrameId], JournalRecord]
"""Makes the journal's record of a frame."""
MAX_ATTEMPTS = 4
"""At a shard whose worker dies: one that does not fit into memory would kill workers for ever."""


@dataclass(frozen=True)
class ShardTask:
    """What a worker needs for any shard of a run; travels between machines that share the run's folder."""

    folder: Path
    """Of the shards."""
    make_work: Callable[[], Work]
    code: str
    """Version of the code that started the run."""

    def start(self) -> Work:
        """What does the frames, made once in each worker.

        Raises:
            UsageError: this machine has another version of the code.
        """
        if (here := code_version()) != self.code:
            raise UsageError(
                f"a worker has selfpose6d {here}, the run was started by {self.code}. Install one version on all "
                "machines."
            )
        return self.make_work()

    def write(self, work: Work, shard: Shard) -> str:
        """Work on a shard and write it; gives its name."""
        ShardFiles(self.folder).write(shard.name, map(work, shard.frame_ids()))
        return shard.name


class Runner(Protocol):
    """Has shards done by workers that may die and be tried again: a shard is done once or more often."""

    def run(self, task: ShardTask, shards: Sequence[Shard]) -> Iterator[str]:
        """Do all shards; gives the name of each when it is written, in any order.

        Raises:
            UsageError: the workers cannot be had, or a shard kills whoever works on it.
            SelfPose6DError: what a worker raises.
        """
        ...


def dead_workers(shards: Sequence[str], said: str = "") -> UsageError:
    """The error for shards whose workers died again and again; `said` is a sentence on what is known of it."""
    others = f" and {len(shards) - 1} more" if len(shards) > 1 else ""
    return UsageError(
        f"shard {shards[0]}{others}: the worker died {MAX_ATTEMPTS} times (killed for its memory?). {said}Look at its "
        "frames alone with --scenes and --frames, or start fewer --workers; the same command goes on."
    )
