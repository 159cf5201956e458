"""Who works on the frames of annotate, find and estimate: the same options everywhere."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from selfpose6d.errors import UsageError
from selfpose6d.options import Several, Unset

if TYPE_CHECKING:
    from selfpose6d.runners.runner import Runner

Options = TypeVar("Options")


@dataclass(frozen=True)
class RunningOptions:
    """Where frames are worked on. Whoever does it, the result files are the same."""

    workers: int = 0
    """Processes (0: for many frames one a core, as memory allows, else one; estimate: one). Each takes 0.8 GB; on CUDA
    they share the GPU, and each takes about 3 GB and 2 GB of the GPU's. With --runner ray: actors of the cluster (0: as
    many as it has cores and memory for); with slurm: jobs (default: 16)."""
    runner: Literal["local", "ray", "slurm"] = "local"
    """local: this machine. ray: a Ray cluster. slurm: a job array, waited for. All machines share data set and run
    folder at the same paths; a worker that dies is started again."""
    address: Unset[str] = None
    """Of the Ray cluster: auto (default), local (one for this run, on this machine), or HOST:PORT. With --runner slurm:
    local runs the jobs on this machine."""
    slurm: Several[str] = ()
    """Parameters of the jobs as submitit names them: slurm_partition=cpu timeout_min=600 mem_gb=2."""
    shard: Unset[str] = None
    """i/n, from 1/n to n/n: do only the i-th of n parts and write its shards, for any queue of jobs; selfpose6d merge
    joins them when all are there."""
    frames_per_shard: int = 100
    """Frames of a shard, with --runner or --shard: what a worker that dies loses at most."""

    def require_valid(self) -> None:
        """Refuse values that make no sense, and options of another runner.

        Raises:
            UsageError: names the option.
        """
        if self.workers < 0:
            raise UsageError(f"--workers must be 0 or more, got {self.workers}. 0 chooses by itself.")
        if self.frames_per_shard < 1:
            raise UsageError(f"--frames-per-shard must be 1 or more, got {self.frames_per_shard}.")
        if self.shard is not None and self.runner != "local":
            raise UsageError(f"--shard and --runner {self.runner} both share the work out. Pass one of them.")
        if self.address is not None and self.runner == "local":
            raise UsageError("--address says where --runner ray or slurm works. Add --runner.")
        if self.runner == "slurm" and self.address not in (None, "local"):
            raise UsageError(
                f"--address must be local with --runner slurm, got {self.address}. Leave it out."
            )
        if self.slurm and self.runner != "slurm":
            raise UsageError("--slurm has parameters of --runner slurm. Add it, or leave them out.")
        self.part()
        self.slurm_parameters()

    def part(self) -> tuple[int, int] | None:
        """Which of how many parts, counted from 0; None: all of them.

        Raises:
            UsageError: it is not of the form i/n.
        """
        if self.shard is None:
            return None
        match = re.fullmatch(r"(\d+)/(\d+)", self.shard)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(f"--shard must be i/n with i from 1 to n, as 2/8, got {self.shard}.")
        return int(match[1]) - 1, int(match[2])

    def slurm_parameters(self) -> dict[str, Any]:
        """The parameters of jobs; whole numbers as such.

        Raises:
            UsageError: one is not of the form NAME=VALUE.
        """
        if wrong := [word for word in self.slurm if "=" not in word]:
            raise UsageError(f"--slurm: expected NAME=VALUE, got {wrong[0]}.")
        pairs = (word.split("=", 1) for word in self.slurm)
        return {name: int(value) if value.isdecimal() else value for name, value in pairs}

    def in_shards(self) -> bool:
        """Whether the run is written in shards, not frame by frame."""
        return self.shard is not None or self.runner != "local"

    def make_runner(self, run: Path, device: str) -> "Runner":
        """The runner that is asked for; `device` is the command's option."""
        from selfpose6d.runners.local import LocalRunner
        from selfpose6d.runners.ray_cluster import RayRunner
        from selfpose6d.runners.slurm import SlurmRunner
        from selfpose6d.runs.files import RunFiles

        if self.runner == "ray":
            wants_gpu = None if device == "auto" else device == "cuda"
            return RayRunner(self.address or "auto", self.workers, wants_gpu)
        if self.runner == "slurm":
            folder = RunFiles(run.absolute()).slurm
            return SlurmRunner(self.workers or 16, folder, self.slurm_parameters(), self.address or "slurm")
        return LocalRunner(self.workers or 1)


def with_absolute_paths(options: Options) -> Options:
    """The same options for a worker in another folder, on this machine or one that has the same files there."""
    if isinstance(options, Path):
        return options.absolute()  # pyright: ignore[reportReturnType]
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return options
    named = {field.name: getattr(options, field.name) for field in dataclasses.fields(options) if field.init}
    return dataclasses.replace(options, **{name: with_absolute_paths(value) for name, value in named.items()})
