"""`predictions.csv` as BOP defines it (t in mm), and `skipped.jsonl`."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import DataError
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.types import InstanceKey, PoseEstimate

COLUMNS = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
HEADER_LINE = ",".join(COLUMNS) + "\n"
MM_PER_M = 1e3
MAX_ROTATION_DEFECT = 0.02
"""Of `rotation_defect`: other programs write few digits, but a matrix of zeros or a reflection is off by 1 or more."""


@dataclass(frozen=True)
class Prediction:
    """One row: a pose, its score 0-1 and the time of the whole image (-1 when unknown)."""

    scene_id: int
    im_id: int
    obj_id: int
    score: float
    T_cam_obj: Float[np.ndarray, "4 4"]
    time_s: float = -1.0


def prediction_line(prediction: Prediction) -> str:
    """One row, 9 significant digits."""
    T = prediction.T_cam_obj
    numbers = (prediction.score, T[:3, :3].reshape(-1), T[:3, 3] * MM_PER_M, prediction.time_s)
    fields = (" ".join(f"{x:.9g}" for x in np.atleast_1d(number)) for number in numbers)
    return ",".join((f"{prediction.scene_id},{prediction.im_id},{prediction.obj_id}", *fields)) + "\n"


def read_predictions(path: Path) -> list[Prediction]:
    """Every row of the file.

    Raises:
        DataError: the file is missing, has other columns, or a row is not of BOP's form (its line is named).
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            columns = _column_order(next(reader, []), path)
            return [
                _parse(row, columns, f"{path}, line {reader.line_num}")
                for row in reader
                if any(field.strip() for field in row)
            ]
    except FileNotFoundError:
        raise DataError(f"{path}: missing file. Run annotate or estimate first.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV text file ({error}). Pass a predictions.csv.") from None


def skipped_row(key: InstanceKey, reason: str) -> dict[str, Any]:
    """One row of `skipped.jsonl`."""
    return {**key._asdict(), "reason": reason}


def read_skipped(path: Path) -> Iterator[PoseEstimate]:
    """The rows of `skipped.jsonl`: no pose, because.

    Raises:
        DataError: the file is missing, or a line lacks the key or the reason.
    """
    for name, row in read_lines(path):
        yield PoseEstimate.none(key_of(row, name), str(row.get("reason", "")))


def key_of(row: dict, name: str) -> InstanceKey:
    """The instance key of a JSON row; `name` says which row in the message.

    Raises:
        DataError: a field of the key is missing or not an integer.
    """
    try:
        return InstanceKey(str(row["split"]), *(int(row[field]) for field in InstanceKey._fields[1:]))
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{name}: expected the key {', '.join(InstanceKey._fields)}, got {sorted(row)}. Restore the line."
        ) from None


def _column_order(header: Sequence[str], path: Path) -> list[int]:
    names = [name.strip() for name in header]
    if missing := [column for column in COLUMNS[:-1] if column not in names]:
        raise DataError(
            f"{path}, line 1: no column {', '.join(missing)}; got {','.join(names)}. "
            f"Write the header {','.join(COLUMNS)}."
        )
    return [names.index(column) for column in COLUMNS if column in names]


def _parse(row: Sequence[str], columns: Sequence[int], name: str) -> Prediction:
    try:
        fields = [row[column] for column in columns]
        scene_id, im_id, obj_id = (int(field) for field in fields[:3])
        score, time_s = float(fields[3]), float(fields[6]) if len(fields) > 6 else -1.0
        R, t_mm = (np.array(field.split(), np.float64) for field in fields[4:6])
    except (ValueError, IndexError) as error:
        raise DataError(f"{name}: {error}; expected {','.join(COLUMNS)}. Correct the line.") from None
    if R.size != 9 or t_mm.size != 3:
        raise DataError(f"{name}: R has {R.size} numbers, t {t_mm.size}; expected 9 and 3. Correct the line.")
    T_cam_obj = transform_of(R, t_mm)
    if not np.isfinite([score, *T_cam_obj.reshape(-1)]).all():
        raise DataError(f"{name}: a number is not finite. Leave out instances without a pose.")
    if (defect := rotation_defect(T_cam_obj[:3, :3])) > MAX_ROTATION_DEFECT:
        raise DataError(
            f"{name}: R is no rotation (off by {defect:.2g}). Leave out instances without a pose."
        )
    return Prediction(scene_id, im_id, obj_id, score, T_cam_obj, time_s)


def transform_of(R: object, t_mm: object) -> Float[np.ndarray, "4 4"]:
    """`T_cam_obj` in metres from 9 numbers row-major and 3 in millimetres."""
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, :3] = np.asarray(R, np.float64).reshape(3, 3)
    T_cam_obj[:3, 3] = np.asarray(t_mm, np.float64).reshape(3) / MM_PER_M
    return T_cam_obj


def rotation_defect(R: Float[np.ndarray, "3 3"]) -> float:
    """Largest entry of R R^T - I; a reflection counts as 2."""
    return 2.0 if np.linalg.det(R) < 0 else float(np.abs(R @ R.T - np.eye(3)).max())
