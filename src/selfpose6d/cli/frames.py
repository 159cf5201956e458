"""What commands that work on one frame after the other share: one or several processes, and a journal."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.objects.store import ObjectStore
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.journal import JournalRecord
    from selfpose6d.selection import FrameId

    Work = Callable[[FrameId], JournalRecord]
    """Makes the journal's record of a frame."""

UNUSABLE_SHARE = 0.1
"""Of the instances or frames that were asked for: from here on the command ends with exit code 1."""
FRAMES_WORTH_PROCESSES = 16
"""With fewer frames it does not pay to start processes: each imports and compiles for some seconds."""


def work_on_frames(
    run: "RunFolder",
    dataset: "Dataset",
    make_work: "Callable[..., Work]",
    models: "ObjectStore",
    workers: int,
    device: str,
) -> None:
    """Journal the frames that the run's journal does not hold yet; `workers` 0: as many processes as it pays.

    `make_work` makes what does a frame; called anew, without objects, in every process.
    """
    from selfpose6d.processes import default_workers, map_in_processes
    from selfpose6d.reporting.console import keep_records

    left = [frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal]
    if not workers:
        workers = default_workers(device) if len(left) >= FRAMES_WORTH_PROCESSES else 1
    alone = workers == 1
    records = (
        map(make_work(models), left) if alone else map_in_processes(make_work, left, workers, in_order=False)
    )
    keep_records(run, records, len(left), run.config.command)


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
