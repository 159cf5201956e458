"""The labels of a run: `certificates.jsonl`, one a line, as they are or as a person's review corrects them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np

from selfpose6d.errors import MALFORMED, DataError, UsageError
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.runs.predictions import MM_PER_M, key_of, transform_of
from selfpose6d.runs.review import read_review, require_known, reviewed
from selfpose6d.types import (
    Alternative,
    Certificate,
    InstanceKey,
    LabeledPose,
    MaskQuality,
    PoseEstimate,
    PoseSource,
    Status,
)

_MEASURES = ("margin", "rms_m", "inlier_ratio", "noise_m", "coverage", "free_space", "colour", "score")
_CLAIM = ("risk", "bound")


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
    row |= {name: float(getattr(certificate, name)) for name in (*_MEASURES, *_CLAIM)}
    row |= {"calibration": certificate.calibration or None, "mask_quality": certificate.mask_quality}
    row |= {"source": certificate.source} if certificate.source else {}
    row |= _pose_fields(pose.T_cam_obj)
    row["alternatives"] = [
        _pose_fields(other.T_cam_obj) | {"confidence": float(other.confidence)}
        for other in certificate.alternatives
    ]
    return row | {"time_s": float(pose.time_s)} | path


def read_certificates(path: Path) -> Iterator[LabeledPose]:
    """The labels of a `certificates.jsonl`, one by one; measures that are null or, in older runs, absent become NaN.

    Raises:
        DataError: the file is missing or a line is not of its form (with its line number).
    """
    for name, row in read_lines(path):
        yield label_of(row, name)


def reviewed_labels(run: RunFiles) -> Iterator[LabeledPose]:
    """The labels of a run, one by one, as its `review.jsonl` corrects them, if it has one.

    Raises:
        DataError: a file is missing or broken, or a verdict is about an instance or alternative that the run has not.
    """
    review, met = read_review(run.review), set()
    for label in read_certificates(run.certificates):
        if label.key in review:
            met.add(label.key)
        yield reviewed(label, review)
    require_known(review, met)


def load_labels(
    run: Path, fingerprint: str, split: str, ambiguous: bool = False, meshes: str | None = None
) -> dict[InstanceKey, LabeledPose]:
    """The certified labels of a run by key, after the verdicts of `review.jsonl`.

    Args:
        run: the `--out` of an `annotate` run.
        fingerprint: `Dataset.fingerprint()` of the data set to train on.
        split: its split.
        ambiguous: also those that leave several poses open, where these are listed.
        meshes: `ModelFiles.content`; None: not compared.

    Raises:
        UsageError: the run is of another data set or split, or has no such label.
        DataError: a file of the run is missing or broken.
    """
    require_labels_of(run, fingerprint, split, meshes=meshes)
    files = RunFiles(run)
    known = {
        label.key: label
        for label in reviewed_labels(files)
        if label.certificate.status == "certified"
        or (ambiguous and label.certificate.status == "ambiguous" and label.certificate.alternatives)
    }
    if not known:
        raise UsageError(
            f"{run} has no certified label. Look at its {files.certificates.name} for the reasons."
        )
    return known


def require_labels_of(
    run: Path, fingerprint: str, split: str, option: str = "--labels", meshes: str | None = None
) -> None:
    """Refuse a run that is no `annotate` or `find` run of this data set and split; `option` is where it was given.

    Raises:
        UsageError: says what it is.
    """
    config, reader = read_config(run), "training reads" if option == "--labels" else "this is"
    makers = "annotate" if option == "--keep" else "annotate or find"
    if config.command not in makers.split(" or "):
        raise UsageError(
            f"{run} was made by {config.command}, not {makers}. Pass an {makers} run to {option}."
        )
    if config.data.split != split:
        raise UsageError(
            f"{run} labels split {config.data.split}, {reader} split {split}. Annotate split {split} first."
        )
    if config.data.fingerprint != fingerprint:
        raise UsageError(
            f"{run} labels another data set (fingerprint {config.data.fingerprint}, expected {fingerprint}). "
            "Annotate this data set first."
        )
    if config.data.has_other_meshes(meshes):
        raise UsageError(
            f"{run} was made with other meshes, textures or another models_info.json than the data set has now. "
            "Restore them, or annotate with these first."
        )


def label_of(row: dict[str, Any], name: str) -> LabeledPose:
    """The label of a row of `certificates.jsonl`; `name` says which row in messages.

    Raises:
        DataError: it is not of the file's form.
    """
    key = key_of(row, name)
    try:
        if row["status"] not in get_args(Status):
            raise ValueError(f"status {row['status']!r} is none of {', '.join(get_args(Status))}")
        if (mask_quality := row.get("mask_quality")) not in (None, *get_args(MaskQuality)):
            raise ValueError(f"mask_quality {mask_quality!r} is none of {', '.join(get_args(MaskQuality))}")
        if (source := row.get("source")) not in (None, *get_args(PoseSource)):
            raise ValueError(f"source {source!r} is none of {', '.join(get_args(PoseSource))}")
        confidence = _number(row["confidence"])
        alternatives = tuple(
            Alternative(transform_of(other["R"], other["t_mm"]), _number(other["confidence"]))
            for other in row.get("alternatives") or ()
        )
        certificate = Certificate(
            row["status"],
            str(row.get("reason") or ""),
            confidence,
            **{field: _number(row.get(field)) for field in (*_MEASURES, *_CLAIM)},
            calibration=str(row.get("calibration") or ""),
            mask_quality=mask_quality,
            alternatives=alternatives,
            source=source,
        )
        T_cam_obj = transform_of(row["R"], row["t_mm"])
    except MALFORMED as error:
        raise DataError(
            f"{name}: not a certificate ({error!r}). Restore the line, or annotate again."
        ) from None
    return LabeledPose(
        key, T_cam_obj, confidence, certificate=certificate, time_s=_number(row.get("time_s", 0.0))
    )


def _pose_fields(T_cam_obj: np.ndarray) -> dict[str, list[float]]:
    T = np.asarray(T_cam_obj, np.float64)
    return {"R": T[:3, :3].reshape(-1).tolist(), "t_mm": (T[:3, 3] * MM_PER_M).tolist()}


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
