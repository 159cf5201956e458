"""`review.jsonl`: what a person said of a run's poses, one verdict a line; the last line about an instance counts."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import nan
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.runs.json_lines import append_line, drop_last_line, read_lines
from selfpose6d.runs.predictions import (
    MM_PER_M,
    key_of,
    transform_of,
)
from selfpose6d.types import Certificate, InstanceKey, LabeledPose

VerdictKind = Literal["accept", "reject", "alternative", "pose"]
"""The pose is right; no pose of it is; one of the listed alternatives is right; a corrected pose is."""
VERDICT_KINDS: tuple[VerdictKind, ...] = get_args(VerdictKind)
PREFIX = "review: "
"""How the reason of a reviewed label begins."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a person said of one instance."""

    kind: VerdictKind
    alternative: int | None = None
    """Of kind `alternative`: its index in the certificate's `alternatives`, from 0, the winner's."""
    T_cam_obj: Float[np.ndarray, "4 4"] | None = None
    """Of kind `pose`: the corrected pose."""
    time: str = ""
    """When, in ISO 8601; "" where nothing says it."""
    place: str = field(default="review")
    """`FILE, line N` for messages."""

    @property
    def accepts(self) -> bool:
        """Whether the instance has a right pose now."""
        return self.kind != "reject"

    @property
    def reason(self) -> str:
        """What the reviewed label gives as its reason."""
        return f"{PREFIX}{self.kind}" + ("" if self.alternative is None else f" {self.alternative}")

    def row(self, key: InstanceKey) -> dict[str, Any]:
        """The line of `review.jsonl` as an object."""
        row = key._asdict() | {"verdict": self.kind}
        if self.alternative is not None:
            row["alternative"] = self.alternative
        if (T := self.T_cam_obj) is not None:
            row |= {"R": T[:3, :3].reshape(-1).tolist(), "t_mm": (T[:3, 3] * MM_PER_M).tolist()}
        return row | {"time": self.time}


Review = Mapping[InstanceKey, Verdict]
"""The verdict that counts of every instance that has one."""


def read_review(path: Path) -> dict[InstanceKey, Verdict]:
    """A person's verdicts. An absent file is an empty review; a last line that a kill tore is left out with a warning.

    Lines of earlier versions, also typed by hand, are read: `accept` or `reject` as any field's value or as a field
    set to true.

    Raises:
        DataError: a line has no key, not one verdict, or not what its verdict needs (with its line number).
    """
    rows = read_lines(path, may_be_torn=True) if path.is_file() else ()
    return {key_of(row, place): _verdict(row, place) for place, row in rows}


def append_verdict(path: Path, key: InstanceKey, verdict: Verdict) -> Verdict:
    """Add a verdict, with the present time where it has none, and return it; it is on disk then.

    A kill midway leaves a torn last line, which readers leave out and the next verdict replaces.
    """
    verdict = replace(verdict, time=verdict.time or datetime.now(UTC).isoformat(timespec="seconds"))
    append_line(path, verdict.row(key))
    return verdict


def take_back(path: Path) -> InstanceKey | None:
    """Remove the last verdict, so that the one before it counts again. Says whose it was; None: there is none."""
    row = drop_last_line(path) if path.is_file() else None
    return None if row is None else key_of(row, str(path))


def require_known(review: Review, keys: Collection[InstanceKey]) -> None:
    """Refuse verdicts about instances that the run has no pose of.

    Raises:
        DataError: names the first of them.
    """
    for key, verdict in review.items():
        if key not in keys:
            raise DataError(
                f"{verdict.place}: {describe_key(key)} has no pose in this run. Correct the key or remove the line."
            )


def describe_key(key: InstanceKey) -> str:
    """The key in words, for messages."""
    return f"object {key.obj_id}, instance {key.inst_id} of split {key.split}, scene {key.scene_id}, image {key.im_id},"


def reviewed(label: LabeledPose, review: Review) -> LabeledPose:
    """The label as the review corrects it, if it says something of it.

    Rejected: only `status` and `reason` change. Otherwise it is certified, at the pose that was accepted, with
    confidence 1: a person said that it is right, so training gives it its full weight. It then has no alternatives and
    no `risk`, `bound` and `calibration`, which promise nothing of a person's choice; and where another pose was chosen,
    none of the measures, which are those of the pose before.

    Raises:
        DataError: the verdict chooses an alternative that the label does not have (with its line number).
    """
    verdict = review.get(label.key)
    if verdict is None:
        return label
    certificate = label.certificate
    if not verdict.accepts:
        return replace(label, certificate=replace(certificate, status="rejected", reason=verdict.reason))
    T_cam_obj = chosen_pose(label, verdict)
    if T_cam_obj is not label.T_cam_obj:
        kept = certificate
        certificate = Certificate("certified", "", 1.0, nan, nan, nan, nan, nan, noise_m=kept.noise_m)
        certificate = replace(certificate, mask_quality=kept.mask_quality)
    certificate = replace(certificate, status="certified", reason=verdict.reason, confidence=1.0)
    certificate = replace(certificate, risk=nan, bound=nan, calibration="", alternatives=())
    return replace(label, T_cam_obj=T_cam_obj, confidence=1.0, certificate=certificate)


def chosen_pose(label: LabeledPose, verdict: Verdict) -> Float[np.ndarray, "4 4"]:
    """The pose that an accepting verdict says is right.

    Raises:
        DataError: it is an alternative that the label does not have (with its line number).
    """
    if verdict.T_cam_obj is not None:
        return verdict.T_cam_obj
    if verdict.alternative is None:
        return label.T_cam_obj
    others = label.certificate.alternatives
    if verdict.alternative >= len(others):
        raise DataError(
            f"{verdict.place}: {describe_key(label.key)} has {len(others)} alternatives, counted from 0, "
            f"got alternative {verdict.alternative}. Correct the line."
        )
    return others[verdict.alternative].T_cam_obj


def count_verdicts(review: Review) -> dict[VerdictKind, int]:
    """How many verdicts that count are of which kind."""
    counts = Counter(verdict.kind for verdict in review.values())
    return {kind: counts[kind] for kind in VERDICT_KINDS}


def _verdict(row: dict[str, Any], place: str) -> Verdict:
    kind, time = _kind(row, place), str(row.get("time") or "")
    if kind == "alternative":
        index = row.get("alternative")
        if not isinstance(index, int) or isinstance(index, bool) or index < 0:
            raise DataError(f"{place}: alternative must be an index from 0, got {index!r}. Correct the line.")
        return Verdict(kind, alternative=index, time=time, place=place)
    if kind == "pose":
        return Verdict(kind, T_cam_obj=_pose(row, place), time=time, place=place)
    return Verdict(kind, time=time, place=place)


def _kind(row: dict[str, Any], place: str) -> VerdictKind:
    if (kind := row.get("verdict")) in VERDICT_KINDS:
        return kind
    given: set[VerdictKind] = {
        verdict
        for verdict in ("accept", "reject")
        for name, value in row.items()
        if value == verdict or (name == verdict and value is True)
    }
    if len(given) != 1:
        raise DataError(
            f'{place}: expected one "verdict" of {", ".join(VERDICT_KINDS)}, got {row}. Correct the line.'
        )
    return given.pop()


def _pose(row: dict[str, Any], place: str) -> Float[np.ndarray, "4 4"]:
    try:
        T_cam_obj = transform_of(row["R"], row["t_mm"])
    except MALFORMED as error:
        raise DataError(
            f"{place}: a corrected pose needs R (9 numbers) and t_mm (3), got {row} ({error!r}). Correct the line."
        ) from None
    return T_cam_obj
