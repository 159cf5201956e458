"""`certificates.jsonl` (one automatic label a line) and `review.jsonl` (a person's verdicts)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from selfpose6d.errors import DataError
from selfpose6d.files import replacing
from selfpose6d.runs.json_lines import read_lines, to_line
from selfpose6d.runs.predictions import MM_PER_M, key_of, transform_of
from selfpose6d.types import (
    Alternative,
    Certificate,
    InstanceKey,
    LabeledPose,
    PoseEstimate,
    Status,
)

Verdict = Literal["accept", "reject"]
_MEASURES = ("margin", "rms_m", "coverage", "free_space", "colour")


def pose_row(pose: PoseEstimate) -> dict[str, Any]:
    """Key, confidence and pose; of a `LabeledPose` its whole certificate, fields in the file's order; then the
    poses on the way, if there are any.

    Raises:
        ValueError: the pose is not valid; it belongs among the skipped.
    """
    if not pose.valid:
        raise ValueError(f"{pose.key} has no pose: {pose.reason}")
    row: dict[str, Any] = pose.key._asdict()
    steps = [{"name": step.name} | _pose_fields(step.T_cam_obj) for step in pose.path]
    path = {"steps": steps} if steps else {}
    if not isinstance(pose, LabeledPose):
        return row | {"confidence": float(pose.confidence)} | _pose_fields(pose.T_cam_obj) | path
    certificate = pose.certificate
    row |= {"status": certificate.status, "reason": certificate.reason, "confidence": float(pose.confidence)}
    row |= {name: float(getattr(certificate, name)) for name in _MEASURES}
    row |= _pose_fields(pose.T_cam_obj)
    row["alternatives"] = [
        _pose_fields(other.T_cam_obj) | {"confidence": float(other.confidence)}
        for other in certificate.alternatives
    ]
    return row | {"time_s": float(pose.time_s)} | path


def write_certificates(path: Path, labels: Iterable[LabeledPose]) -> None:
    """Write the labels in their order; the file appears whole or not at all."""
    with replacing(path) as file:
        file.writelines(to_line(pose_row(label)) for label in labels)


def read_certificates(path: Path) -> Iterator[LabeledPose]:
    """The labels of a `certificates.jsonl`, one by one; null measures become NaN.

    Raises:
        DataError: the file is missing or a line is not of its form (with its line number).
    """
    for number, row in read_lines(path):
        yield label_of(row, f"{path}, line {number}")


def label_of(row: dict[str, Any], name: str) -> LabeledPose:
    """One row as a label; `name` says which row in the message.

    Raises:
        DataError: a field is missing or not of its form.
    """
    key = key_of(row, name)
    try:
        if row["status"] not in get_args(Status):
            raise ValueError(f"status {row['status']!r} is none of {', '.join(get_args(Status))}")
        confidence = _number(row["confidence"])
        alternatives = tuple(
            Alternative(transform_of(other["R"], other["t_mm"]), _number(other["confidence"]))
            for other in row.get("alternatives") or ()
        )
        measures = {field: _number(row.get(field)) for field in _MEASURES}
        certificate = Certificate(
            row["status"], str(row.get("reason") or ""), confidence, **measures, alternatives=alternatives
        )
        T_cam_obj = transform_of(row["R"], row["t_mm"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: not a certificate ({error!r}). Restore the line, or annotate again."
        ) from None
    return LabeledPose(
        key, T_cam_obj, confidence, certificate=certificate, time_s=_number(row.get("time_s", 0.0))
    )


def read_review(path: Path) -> dict[InstanceKey, Verdict]:
    """A person's verdicts: the key and `accept` or `reject`, as any field's value or as a field set to true.

    The last line about an instance counts. An absent file is an empty review.

    Raises:
        DataError: a line has no key or no single verdict (with its line number).
    """
    return {
        key_of(row, f"{path}, line {number}"): _verdict(row, f"{path}, line {number}")
        for number, row in (read_lines(path) if path.is_file() else ())
    }


def reviewed(label: LabeledPose, review: dict[InstanceKey, Verdict]) -> LabeledPose:
    """The label with the status that the review gives it, if it gives one."""
    verdict = review.get(label.key)
    if verdict is None:
        return label
    status: Status = "certified" if verdict == "accept" else "rejected"
    return replace(label, certificate=replace(label.certificate, status=status, reason=f"review: {verdict}"))


def _pose_fields(T_cam_obj: np.ndarray) -> dict[str, list[float]]:
    T = np.asarray(T_cam_obj, np.float64)
    return {"R": T[:3, :3].reshape(-1).tolist(), "t_mm": (T[:3, 3] * MM_PER_M).tolist()}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _verdict(row: dict[str, Any], name: str) -> Verdict:
    given: set[Verdict] = {
        verdict
        for verdict in get_args(Verdict)
        for field, value in row.items()
        if value == verdict or (field == verdict and value is True)
    }
    if len(given) != 1:
        raise DataError(f'{name}: expected one verdict, "accept" or "reject", got {row}. Correct the line.')
    return given.pop()
