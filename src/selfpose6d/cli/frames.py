"""What commands that work on one frame after the other share: one or several processes, and a journal."""

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
    records = map(make_work(models), left) if alone else map_in_processes(make_work, left, workers)
    keep_records(run, records, len(left), run.config.command)
