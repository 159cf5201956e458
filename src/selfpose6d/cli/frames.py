"""What commands that work on one frame after the other share: who does the frames, a journal or shards, exit codes."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from selfpose6d.cli.running import RunningOptions
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.runners.runner import Work
    from selfpose6d.runs.config import RunConfig
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.manifest import Manifest
    from selfpose6d.runs.outputs import ResultFiles
    from selfpose6d.runs.shards import Shard, ShardFiles
    from selfpose6d.selection import FrameId, FrameIds

UNUSABLE_SHARE = 0.1
"""Of the instances or frames that were asked for: from here on the command ends with exit code 1."""
FRAMES_WORTH_PROCESSES = 16
"""With fewer frames it does not pay to start processes: each imports and compiles for some seconds."""


@dataclass(frozen=True)
class FrameWork:
    """The frames of a run, and what does one of them."""

    run: "RunFolder"
    dataset: "Dataset"
    results: "ResultFiles"
    here: "Callable[[], Work]"
    """Makes what does a frame in this process."""
    elsewhere: "Callable[[], Work]"
    """The same in other processes, to which it travels."""
    device: str
    """The command's option."""

    def count_left(self) -> int:
        """Frames that the run's journal does not hold yet: the selection is part of the run."""
        return len(self.dataset.frame_ids()) - len(self.run.journal)

    def left(self) -> "Iterator[FrameId]":
        """These frames, one by one."""
        return (frame_id for frame_id in self.dataset.frame_ids() if frame_id not in self.run.journal)


def expect_workers(dataset: "Dataset", running: "RunningOptions", device: str) -> None:
    """Where processes will do the frames, let them import what they need while this one prepares the objects."""
    from selfpose6d.processes import get_workers_ready

    if running.runner == "local" and workers_for(len(dataset.frame_ids()), running, device) > 1:
        get_workers_ready()


def open_run(
    out: Path, config: "RunConfig", running: "RunningOptions"
) -> "AbstractContextManager[RunFolder]":
    """The run's folder, for this process alone; the parts of a run (`--shard`) are written beside each other."""
    from contextlib import nullcontext

    from selfpose6d.runs.folder import RunFolder

    if running.shard is not None:
        return nullcontext(RunFolder.open(out, config))
    return RunFolder.working(out, config)


def work_on_frames(work: FrameWork, running: "RunningOptions", workers: int) -> bool:
    """Do what the run does not hold yet; False where other parts of it are left to others.

    `workers`: processes of this machine, where the frames go into the journal one by one.
    """
    all_seen = work.run.journal.num_seen == len(work.dataset.frame_ids())
    if running.shard is not None or (running.in_shards() and not all_seen):
        return _work_on_shards(work, running)
    from selfpose6d.processes import map_in_processes
    from selfpose6d.reporting.console import keep_records

    if count := work.count_left():
        left = work.left()
        alone = workers == 1
        records = (
            map(work.here(), left)
            if alone
            else map_in_processes(work.elsewhere, left, workers, in_order=False)
        )
        keep_records(work.run, records, count, work.run.config.command)
    return True


def workers_for(num_frames: int, running: "RunningOptions", device: str) -> int:
    """`--workers` as given; 0: as many processes as it pays to start, one for shards."""
    from selfpose6d.processes import default_workers

    pays = num_frames >= FRAMES_WORTH_PROCESSES and not running.in_shards()
    return running.workers or (default_workers(device) if pays else 1)


def _work_on_shards(work: FrameWork, running: "RunningOptions") -> bool:
    """Do this machine's part of the shards, or all of them on a cluster; then the rows of all go into the journal."""
    from selfpose6d.cli.output import add_result
    from selfpose6d.reporting.console import progress_bar
    from selfpose6d.runners.runner import ShardTask
    from selfpose6d.runs.config import code_version
    from selfpose6d.runs.manifest import share_manifest
    from selfpose6d.runs.merge import missing_shards
    from selfpose6d.runs.shards import ShardFiles

    run, files = work.run, ShardFiles(work.run.files.shards.absolute())
    manifest = plan_manifest(work, running.frames_per_shard)
    share_manifest(run.files.manifest, manifest)
    shards = _shards_left(work, running, files)
    task = ShardTask(files.folder, work.elsewhere, code_version())
    done = running.make_runner(run.files.folder, work.device).run(task, shards)
    with progress_bar("shards") as progress:
        for _ in progress.track(done, total=len(shards), description=run.config.command):
            pass
    if running.shard is None:
        merge(run, manifest)
        return True
    missing = missing_shards(files, manifest.shards)
    add_result(run=run.files.folder, shards_written=len(shards), shards_missing=len(missing))
    print(f"part {running.shard}: {len(shards)} shards written, {len(missing)} of the run's are missing")
    print(f"next, when none is missing: selfpose6d merge {run.files.folder}")
    return False


def plan_manifest(work: FrameWork, frames_per_shard: int) -> "Manifest":
    """What the shards of this run are made of."""
    from selfpose6d.runs.manifest import Manifest
    from selfpose6d.runs.shards import plan_shards

    names = (shard.name for shard in plan_shards(work.dataset.frame_ids(), frames_per_shard))
    return Manifest.of_run(
        work.run.config, work.dataset.models.content, frames_per_shard, work.results, names
    )


def merge(run: "RunFolder", manifest: "Manifest", frame_ids: "FrameIds | None" = None) -> None:
    """The rows of all shards into the journal, with a bar; `frame_ids`: as `require_whole` takes them."""
    from selfpose6d.reporting.console import progress_bar
    from selfpose6d.runs.merge import merge_shards

    with progress_bar("shards") as progress:
        task = progress.add_task("merge", total=len(manifest.shards))
        merge_shards(run, manifest, lambda: progress.advance(task), frame_ids)


def _shards_left(work: FrameWork, running: "RunningOptions", files: "ShardFiles") -> "list[Shard]":
    """The shards of this part that are not done, without the frames that the journal holds already."""
    from selfpose6d.runs.shards import plan_shards

    index, count = running.part() or (0, 1)
    shards = plan_shards(work.dataset.frame_ids(), running.frames_per_shard)
    own = islice(shards, index, None, count)
    return [shard.without(work.run.journal) for shard in own if not files.is_done(shard.name)]


def finish_run(run: "RunFolder", dataset: "Dataset", results: "ResultFiles", overlays: int) -> None:
    """Write the result files of a run whose frames are done, and draw some of them."""
    from selfpose6d.reporting.found import draw_found
    from selfpose6d.reporting.overlays import draw_overlays

    run.write_results(results, dataset.object_names())
    run.write_frame_names(dataset.frame_names())
    if overlays:
        draw_overlays(run.files, dataset, overlays)
        if results.found:
            draw_found(run.files, dataset, overlays)


def warn_about_sizes(dataset: "Dataset") -> None:
    """Say before the work what a few frames show of the whole: a wrong unit, depth scale or camera."""
    from selfpose6d.datasets.doctor.sample import check_sample
    from selfpose6d.datasets.object_label import with_object_names
    from selfpose6d.reporting.console import warn

    for problem in check_sample(dataset):
        warn(with_object_names(problem.message, dataset.object_names()))


def report_counts(run: "RunFolder", finds: bool = False) -> int:
    """Say for `--json` what a finished run holds; its exit code: 1 where a tenth or more could not be read or
    used, or there was no instance at all.

    `finds`: the run looks for its objects itself; those that it does not find are no unusable input, unreadable frames
    are.
    """
    from selfpose6d.cli.output import add_result
    from selfpose6d.datasets.masks import REMEDY_NO_INSTANCE, no_instance
    from selfpose6d.reporting.console import warn

    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for record in run.journal.records():
        counts["frames"] += 1
        counts["unreadable_frames"] += bool(record.error)
        counts["instances"] += len(record.labels) + len(record.skipped)
        counts["skipped"] += len(record.skipped)
        counts["unusable"] += len(record.skipped) if record.error or not finds else 0
        counts.update(row["status"] for row in record.labels if "status" in row)
        reasons.update([record.error] if record.error else (row["reason"] for row in record.skipped))
    names = ("frames", "unreadable_frames", "instances", "certified", "ambiguous", "rejected", "skipped")
    add_result(run=run.files.folder, **{name: counts[name] for name in names})
    for unusable, asked, what in (
        (counts["unusable"], counts["instances"], "instances"),
        (counts["unreadable_frames"], counts["frames"], "frames"),
    ):
        if asked and unusable >= UNUSABLE_SHARE * asked:
            warn(
                f"{unusable} of {asked} {what} could not be read or used; {run.files.skipped.name} says why. "
                f"Most often: {reasons.most_common(1)[0][0]}"
            )
            return 1
    if counts["frames"] and not counts["instances"] and not finds:
        warn(f"{no_instance(counts['frames'])}. {REMEDY_NO_INSTANCE}")
        return 1
    return 0
