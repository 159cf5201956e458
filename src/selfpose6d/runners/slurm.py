"""Shards as a job array of SLURM, through submitit. Jobs that die are submitted again."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfpose6d.errors import UsageError
from selfpose6d.extras import missing_extra
from selfpose6d.processes import WORKER_BYTES, use_one_thread
from selfpose6d.runners.runner import MAX_ATTEMPTS, ShardTask, dead_workers
from selfpose6d.runs.shards import Shard, ShardFiles

JOB_BYTES = WORKER_BYTES + 700 * 10**6
"""Asked for each job: SLURM kills what takes more, and counts cached files too."""


@dataclass(frozen=True)
class SlurmRunner:
    """As many jobs of one core each; cluster `local` runs them on this machine, for tests."""

    jobs: int
    folder: Path
    """Of what jobs say and print."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of submitit's `update_parameters`, as `slurm_partition` and `timeout_min`."""
    cluster: str = "slurm"

    def run(self, task: ShardTask, shards: Sequence[Shard]) -> Iterator[str]:
        """See `Runner.run`."""
        files, left, attempts = ShardFiles(task.folder), list(shards), 0
        while left and attempts < MAX_ATTEMPTS:
            yield from self._attempt(task, left)
            before, left = left, [shard for shard in left if not files.is_done(shard.name)]
            # jobs that end at their time limit with a shard done go on
            attempts = 0 if len(left) < len(before) else attempts + 1
        if left:
            raise dead_workers([shard.name for shard in left], f"What the jobs said is in {self.folder}. ")

    def _attempt(self, task: ShardTask, shards: Sequence[Shard]) -> Iterator[str]:
        submitit = self._submitit()
        executor = submitit.AutoExecutor(folder=self.folder, cluster=self.cluster)
        executor.update_parameters(
            **{"cpus_per_task": 1, "mem_gb": JOB_BYTES / 1e9, "timeout_min": 24 * 60, **self.parameters}
        )
        count = min(self.jobs, len(shards))
        parts = [shards[i::count] for i in range(count)]
        jobs = executor.map_array(_work_on, [task] * count, parts)
        files = ShardFiles(task.folder)
        for job in submitit.helpers.as_completed(jobs):
            try:
                job.result()
            except submitit.core.utils.UncompletedJobError:  # killed, preempted, out of time
                pass
            except submitit.core.utils.FailedJobError as error:
                raise UsageError(f"a job failed: {str(error).strip().splitlines()[-1]}") from None
            yield from (shard.name for shard in parts[jobs.index(job)] if files.is_done(shard.name))

    def _submitit(self) -> Any:
        try:
            import submitit  # pyright: ignore[reportMissingImports]
            import submitit.helpers  # pyright: ignore[reportMissingImports]
        except ImportError:
            raise missing_extra("cluster", "submitit", needed_by="--runner slurm") from None
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UsageError(
                "--runner slurm: this machine has no sbatch. Call it on a login node of the cluster, or pass "
                "--address local for jobs on this machine."
            )
        return submitit


def _work_on(task: ShardTask, shards: Sequence[Shard]) -> None:
    """One job: its shards, those that others have done left out."""
    use_one_thread()
    files, work = ShardFiles(task.folder), task.start()
    for shard in shards:
        if not files.is_done(shard.name):
            task.write(work, shard)
