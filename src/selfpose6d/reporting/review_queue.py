"""What a person reviews, in which order, and what was decided: every decision is on disk at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any, Literal

from filelock import FileLock, Timeout

from selfpose6d.errors import DataError, UsageError
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import without_nan
from selfpose6d.runs.review import (
    Verdict,
    VerdictKind,
    append_verdict,
    chosen_pose,
    read_review,
    require_known,
    take_back,
)
from selfpose6d.types import InstanceKey, LabeledPose, Status

Order = Literal["doubt", "confidence", "frame"]
"""doubt: ambiguous ones, then rejected ones that are nearly certified, then certified ones that are nearly not.
confidence: rising. frame: as in the data set."""
MEASURES = ("margin", "rms_m", "coverage", "free_space", "colour", "inlier_ratio", "noise_m")
_DOUBT: dict[Status, tuple[int, int]] = {"ambiguous": (0, 1), "rejected": (1, -1), "certified": (2, 1)}
"""Rank of a status, and whether confidence rises or falls within it."""


@dataclass(frozen=True)
class ReviewFilter:
    """Which instances are reviewed; nothing given means all."""

    statuses: tuple[Status, ...] = ()
    objects: tuple[str, ...] = ()
    """Names or ids."""
    reason: str = ""
    """A part of the certificate's reason, in any case."""
    confidence: tuple[float, float] = (0.0, 1.0)
    """Least and most."""
    order: Order = "doubt"

    def __post_init__(self) -> None:
        low, high = self.confidence
        if not low <= high:
            raise UsageError(f"the confidence range must rise, got {low:g} to {high:g}. Swap the two.")

    def keeps(self, label: LabeledPose, name: str) -> bool:
        """Whether the instance is to be reviewed."""
        certificate, (low, high) = label.certificate, self.confidence
        return (
            (not self.statuses or certificate.status in self.statuses)
            and (not self.objects or name in self.objects or str(label.key.obj_id) in self.objects)
            and self.reason.casefold() in certificate.reason.casefold()
            and low <= label.confidence <= high
        )


@contextmanager
def reviewing(run: RunFiles) -> Iterator[None]:
    """One review of a run at a time: two would not see each other's verdicts.

    Raises:
        UsageError: another process reviews the run.
    """
    lock = FileLock(run.review.with_name(f".{run.review.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{run.folder} is being reviewed already. End the other selfpose6d review first."
        ) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


class ReviewQueue:
    """The labels of a run and a person's verdicts on them. Several threads may use it."""

    def __init__(self, run: RunFiles, names: dict[int, str]) -> None:
        """`names` are the objects', by id.

        Raises:
            UsageError: the run has no certificates, or no pose at all.
            DataError: its certificates or its review are broken, or the review is of another run.
        """
        if not run.certificates.is_file():
            raise UsageError(
                f"{run.folder} has no {run.certificates.name}: nothing to review. Pass the --out of annotate, find or "
                "estimate --verify."
            )
        self._path, self._lock = run.review, RLock()
        self.labels: Sequence[LabeledPose] = list(read_certificates(run.certificates))
        if not self.labels:
            raise UsageError(f"{run.folder} has no pose to review: see {run.skipped.name} for the reasons.")
        self.names = names
        self._index = {label.key: index for index, label in enumerate(self.labels)}
        self._review = self._read()

    def name(self, index: int) -> str:
        """The object's name, its id where it has none."""
        obj_id = self.labels[index].key.obj_id
        return self.names.get(obj_id) or f"object {obj_id}"

    def verdict(self, index: int) -> Verdict | None:
        """The verdict that counts."""
        return self._review.get(self.labels[index].key)

    def select(self, wanted: ReviewFilter) -> list[int]:
        """Indices of the labels to review, in their order.

        Raises:
            UsageError: an object is none of the run's.
        """
        known = {self.name(index) for index in range(len(self.labels))}
        known |= {str(label.key.obj_id) for label in self.labels}
        if unknown := [name for name in wanted.objects if name not in known]:
            raise UsageError(
                f"no object {unknown[0]!r} in this run: expected one of {', '.join(sorted(known))}."
            )
        kept = [i for i, label in enumerate(self.labels) if wanted.keeps(label, self.name(i))]
        return sorted(kept, key=lambda index: _sort_key(self.labels[index], wanted.order))

    def decide(self, index: int, verdict: Verdict) -> Verdict:
        """Write a verdict and return it; it is on disk then.

        Raises:
            UsageError: it chooses an alternative that is not there.
        """
        label = self.labels[index]
        if verdict.accepts:
            try:
                chosen_pose(label, verdict)
            except DataError:
                others = len(label.certificate.alternatives)
                raise UsageError(f"no alternative {verdict.alternative}: there are {others}.") from None
        with self._lock:
            verdict = append_verdict(self._path, label.key, verdict)
            self._review[label.key] = verdict
        return verdict

    def undo(self) -> int | None:
        """Take the last verdict back; which instance it was about, None where there is none.

        Raises:
            DataError: the file is not what it was.
        """
        with self._lock:
            key = take_back(self._path)
            self._review = self._read()
        return None if key is None else self._index[key]

    @property
    def num_decided(self) -> int:
        """How many instances have a verdict."""
        return len(self._review)

    def details(self, index: int) -> dict[str, Any]:
        """What a page shows of an instance, as JSON."""
        label, certificate = self.labels[index], self.labels[index].certificate
        row = label.key._asdict() | {"index": index, "name": self.name(index)}
        row |= {"status": certificate.status, "reason": certificate.reason, "confidence": label.confidence}
        row["measures"] = {name: getattr(certificate, name) for name in MEASURES}
        row["alternatives"] = [other.confidence for other in certificate.alternatives]
        row["verdict"] = verdict_json(self.verdict(index))
        return without_nan(row)

    def _read(self) -> dict[InstanceKey, Verdict]:
        review = read_review(self._path)
        require_known(review, self._index)
        for key, verdict in review.items():
            if verdict.accepts:
                chosen_pose(self.labels[self._index[key]], verdict)
        return review


def verdict_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """A verdict as a page shows it."""
    if verdict is None:
        return None
    return {"kind": verdict.kind, "alternative": verdict.alternative, "time": verdict.time}


def kind_of(name: Any) -> VerdictKind:
    """The verdict that a page names.

    Raises:
        UsageError: it is none.
    """
    for kind in ("accept", "reject", "alternative", "pose"):
        if name == kind:
            return kind
    raise UsageError(f"no verdict {name!r}: expected accept, reject, alternative or pose.")


def _sort_key(label: LabeledPose, order: Order) -> tuple:
    if order == "frame":
        return label.key
    if order == "confidence":
        return (label.confidence, label.key)
    rank, sign = _DOUBT[label.certificate.status]
    return (rank, sign * label.confidence, label.key)
