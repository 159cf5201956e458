"""Which poses of a run are exported, frame by frame: certified ones, and what a person said of them."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from pathlib import Path
from typing import Literal

from selfpose6d.errors import UsageError
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import read_skipped
from selfpose6d.runs.review import read_review, require_known, reviewed
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey, LabeledPose, PoseEstimate

ExportedStatus = Literal["certified", "reviewed", "ambiguous", "rejected"]
"""What a pose is exported as: by its certificate, or because a person accepted or corrected it."""


@dataclass(frozen=True)
class LeftOut:
    """An instance without an accepted label, and why."""

    key: InstanceKey
    reason: str


@dataclass(frozen=True)
class FrameLabels:
    """The instances of one frame that a run knows, sorted by `inst_id` and object."""

    frame_id: FrameId
    accepted: tuple[LabeledPose, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def read_frame_labels(run: Path, statuses: Collection[ExportedStatus]) -> Iterator[FrameLabels]:
    """The labels of every frame that the run has an instance in, sorted by frame, one frame in memory at a time.

    A person's verdict goes before the certificate: what was rejected is left out whatever `statuses` say, and what was
    accepted is `reviewed`, at the pose that the verdict gives it.

    Raises:
        UsageError: the run is not finished, or has no certificates.
        DataError: a file of it is broken, or its review says something of an instance that it does not have.
    """
    files = RunFiles(run)
    if not (files.certificates.is_file() and files.skipped.is_file()):
        raise UsageError(
            f"{run} has no {files.certificates.name}: it is no finished run of annotate or find, or of estimate with "
            "--verify. Run its command again until it ends."
        )
    review = read_review(files.review)
    if review:
        labelled = (label.key for label in read_certificates(files.certificates))
        require_known(review, {key for key in labelled if key in review})
    labels = (
        (label.key, label if label.key not in review else reviewed(label, review), label.key in review)
        for label in read_certificates(files.certificates)
    )
    skipped = ((pose.key, pose, False) for pose in read_skipped(files.skipped))
    ordered = merge(labels, skipped, key=lambda row: _frame(row[0]))
    for frame_id, rows in groupby(ordered, key=lambda row: _frame(row[0])):
        yield _sorted_out(frame_id, sorted(rows, key=lambda row: (row[0].inst_id, row[0].obj_id)), statuses)


def _sorted_out(
    frame_id: FrameId,
    rows: Iterable[tuple[InstanceKey, PoseEstimate, bool]],
    statuses: Collection[ExportedStatus],
) -> FrameLabels:
    accepted, left_out = [], []
    for key, pose, is_reviewed in rows:
        if not isinstance(pose, LabeledPose):
            left_out.append(LeftOut(key, f"skipped: {pose.reason}"))
            continue
        status = pose.certificate.status
        if is_reviewed and status == "certified":
            status = "reviewed"
        if status in statuses and not (is_reviewed and status == "rejected"):
            accepted.append(pose)
        else:
            left_out.append(LeftOut(key, f"{status}: {pose.certificate.reason}".removesuffix(": ")))
    return FrameLabels(frame_id, tuple(accepted), tuple(left_out))


def _frame(key: InstanceKey) -> FrameId:
    return FrameId(key.scene_id, key.im_id)
