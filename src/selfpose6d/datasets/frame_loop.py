"""Every frame of a data set through one function, into a run's journal: what annotate and estimate share."""

import time
from collections.abc import Callable, Sequence

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import DataError
from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import JournalRecord, finished_record, unreadable_record
from selfpose6d.selection import FrameId
from selfpose6d.types import Frame, PoseEstimate

FindPoses = Callable[[Frame], Sequence[PoseEstimate]]


def frames_left(dataset: Dataset, run: RunFolder) -> list[FrameId]:
    """The frames that the journal does not hold yet."""
    return [frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal]


def process_frame(dataset: Dataset, frame_id: FrameId, find_poses: FindPoses) -> JournalRecord:
    """One frame's poses, or why it could not be read."""
    start_s = time.perf_counter()
    try:
        frame = dataset.load_frame(frame_id)
    except DataError as error:
        return unreadable_record(frame_id, dataset.instance_keys(frame_id), str(error))
    return finished_record(frame_id, find_poses(frame), frame.skipped, time.perf_counter() - start_s)
