"""What a long command has finished, frame by frame: `journal.jsonl`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfpose6d.json_files import whole_number
from selfpose6d.runs.certificates import pose_row
from selfpose6d.runs.frame_lines import FrameLines
from selfpose6d.runs.predictions import skipped_row
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey, PoseEstimate

_ORDER = {"obj_id", "inst_id"}
"""What found objects are sorted by."""


@dataclass(frozen=True)
class JournalRecord:
    """One frame's rows of `certificates.jsonl` and `skipped.jsonl`; `error` where it could not be read.

    Where objects were found, not given: `detections` has the mask of each label, in their order, and `turned_away` what
    was tried besides.
    """

    frame_id: FrameId
    labels: tuple[dict[str, Any], ...] = ()
    skipped: tuple[dict[str, Any], ...] = ()
    time_s: float = 0.0
    error: str = ""
    detections: tuple[dict[str, Any], ...] = ()
    turned_away: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The journal's line as an object."""
        row = {"frame": self.frame_id, "labels": self.labels, "skipped": self.skipped, "time_s": self.time_s}
        more = {"error": self.error, "detections": self.detections, "turned_away": self.turned_away}
        return row | {name: value for name, value in more.items() if value}


def finished_record(
    frame_id: FrameId, poses: Sequence[PoseEstimate], skipped: Sequence[PoseEstimate], time_s: float
) -> JournalRecord:
    """The record of a frame that was worked on; poses that are not valid join the skipped."""
    return JournalRecord(
        frame_id,
        tuple(pose_row(pose) for pose in poses if pose.valid),
        tuple(skipped_row(pose.key, pose.reason) for pose in (*skipped, *poses) if not pose.valid),
        time_s,
    )


def unreadable_record(frame_id: FrameId, keys: Sequence[InstanceKey], reason: str) -> JournalRecord:
    """The record of a frame that could not be read: its instances are skipped; a later run tries it again."""
    return JournalRecord(frame_id, skipped=tuple(skipped_row(key, reason) for key in keys), error=reason)


class Journal(FrameLines[JournalRecord]):
    """An append-only file of records."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal; drops a torn last line.

        Raises:
            DataError: a line before the last is broken.
        """
        super().__init__(path, _parse)

    def records(self) -> Iterator[JournalRecord]:
        """The last record of every frame, sorted by frame, one in memory at a time.

        Found objects, which are numbered within their frame while frames are worked on in any order, have their row in
        `detections.json` as `inst_id`: rows are sorted by frame and object.
        """
        first = 0
        for record in super().records():
            yield _numbered(record, first)
            first += len(record.detections)


def _numbered(record: JournalRecord, first: int) -> JournalRecord:
    if not record.detections:
        return record
    rows = zip(record.labels, record.detections, strict=True)
    ordered = sorted(rows, key=lambda row: (row[0]["obj_id"], row[0]["inst_id"]))
    labels, found = zip(*ordered, strict=True)
    return replace(
        record,
        labels=tuple(label | {"inst_id": first + k} for k, label in enumerate(labels)),
        detections=tuple(mask | {"inst_id": first + k} for k, mask in enumerate(found)),
    )


def _parse(row: dict[str, Any]) -> JournalRecord:
    scene_id, im_id = map(whole_number, row["frame"])
    labels, skipped, detections, turned_away = (
        tuple(map(dict, row.get(name, ()))) for name in ("labels", "skipped", "detections", "turned_away")
    )
    if detections and (len(detections) != len(labels) or not all(label.keys() >= _ORDER for label in labels)):
        raise ValueError(f"{len(detections)} detections of {len(labels)} labels")
    for label in labels if detections else ():
        label.update({name: whole_number(label[name]) for name in _ORDER})
    frame_id, time_s = FrameId(scene_id, im_id), float(row["time_s"])
    return JournalRecord(
        frame_id, labels, skipped, time_s, str(row.get("error", "")), detections, turned_away
    )
