"""`predictions.csv` as BOP defines it (t in mm), and `skipped.jsonl`."""

import csv
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.files import open_text
from selfpose6d.geometry.nearest_rotation import nearest_rotation
from selfpose6d.json_files import whole_number
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.types import InstanceKey, PoseEstimate

Number = TypeVar("Number", int, float)
COLUMNS = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
HEADER_LINE = ",".join(COLUMNS) + "\n"
MM_PER_M = 1e3
MIN_DISTANCE_MM, MAX_DISTANCE_MM = 20.0, 20_000.0
"""Bounds of the median distance from the camera, as of depth images: outside, t is in another unit."""
MAX_FAULTS_SHOWN = 5


@dataclass(frozen=True)
class Prediction:
    """One row: a pose, its score 0-1 and the time of the whole image (-1 when unknown)."""

    scene_id: int
    im_id: int
    obj_id: int
    score: float
    T_cam_obj: Float[np.ndarray, "4 4"]
    time_s: float = -1.0
    row: int = -1
    """Of the file it was read from, blank lines not counted."""


def prediction_line(prediction: Prediction) -> str:
    """One row, 9 significant digits."""
    T = prediction.T_cam_obj
    numbers = (prediction.score, T[:3, :3].reshape(-1), T[:3, 3] * MM_PER_M, prediction.time_s)
    fields = (" ".join(f"{x:.9g}" for x in np.atleast_1d(number)) for number in numbers)
    return ",".join((f"{prediction.scene_id},{prediction.im_id},{prediction.obj_id}", *fields)) + "\n"


@dataclass
class RowCounts:
    """Rows of a file that were met, and those of them that could not be read."""

    total: int = 0
    left_out: int = 0


def iterate_predictions(path: Path, counts: RowCounts | None = None) -> Iterator[Prediction]:
    """The rows of the file, one in memory at a time, counted in `counts`. A row that cannot be read is left out with a
    warning that names it: its instance is missed.

    Raises:
        DataError: the file is missing, has other columns, or not one of its rows can be read.
    """
    faults: list[DataError] = []
    counts = RowCounts() if counts is None else counts
    for row in iterate_rows(path):
        counts.total += 1
        if isinstance(row, Prediction):
            yield row
            continue
        counts.left_out += 1
        if len(faults) < MAX_FAULTS_SHOWN:
            faults.append(row)
    if counts.total and counts.left_out == counts.total:
        raise faults[0]
    for fault in faults:
        warnings.warn(f"{fault} The row is left out: its instance counts as missed.", stacklevel=2)
    if counts.left_out > len(faults):
        shown = f"{counts.left_out} of {counts.total} rows"
        warnings.warn(f"{path}: {shown} cannot be read and are left out.", stacklevel=2)


def iterate_rows(path: Path) -> Iterator[Prediction | DataError]:
    """Every row of the file, or what is wrong with it, one in memory at a time.

    Raises:
        DataError: the file is missing or has other columns.
    """
    try:
        with open_text(path) as file:
            reader = csv.reader(file)
            columns = _column_order(next(reader, []), path)
            rows = (fields for fields in reader if any(field.strip() for field in fields))
            for row, fields in enumerate(rows):
                try:
                    prediction = _parse(fields, columns, f"{path}, line {reader.line_num}", row)
                except DataError as fault:
                    yield fault
                else:
                    yield prediction
    except FileNotFoundError:
        raise DataError(f"{path}: missing file. Run annotate or estimate first.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: not a CSV text file ({error}). Pass a predictions.csv.") from None


def require_millimetres(distances_m: Float[np.ndarray, " poses"], name: str) -> None:
    """Refuse lengths of translations that were written in another unit than millimetres; warn where some may be.

    Raises:
        DataError: the median distance from the camera is below 20 mm or above 20 m.
    """
    if not len(distances_m):
        return
    distances_mm = MM_PER_M * distances_m
    distance_mm = float(np.median(distances_mm))
    if not MIN_DISTANCE_MM <= distance_mm <= MAX_DISTANCE_MM:
        guess = "metres" if distance_mm < MIN_DISTANCE_MM else "micrometres"
        raise DataError(
            f"{name}: t must be in millimetres: the median distance from the camera would be {distance_mm:.3g} mm, "
            f"expected {MIN_DISTANCE_MM:g} to {MAX_DISTANCE_MM:g}. It seems to be in {guess}: convert it."
        )
    if near := np.count_nonzero(distances_mm < MIN_DISTANCE_MM):
        warnings.warn(
            f"{name}: {near} of {len(distances_mm)} poses are nearer to the camera than {MIN_DISTANCE_MM:g} mm. "
            "Write t in millimetres in every row.",
            stacklevel=2,
        )


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
        return InstanceKey(
            str(row["split"]), *(whole_number(row[field]) for field in InstanceKey._fields[1:])
        )
    except MALFORMED:
        raise DataError(
            f"{name}: expected the key {', '.join(InstanceKey._fields)}, got {sorted(row)}. Restore the line."
        ) from None


def _column_order(header: Sequence[str], path: Path) -> list[int]:
    names = [name.strip() for name in header]
    if missing := [column for column in COLUMNS[:-1] if column not in names]:
        raise DataError(
            f"{path}, line 1: no column {', '.join(missing)}; got {','.join(names)[:200]!r}. "
            f"Write the header {','.join(COLUMNS)}."
        )
    return [names.index(column) for column in COLUMNS if column in names]


def _parse(fields: Sequence[str], columns: Sequence[int], name: str, row: int) -> Prediction:
    if len(fields) <= max(columns[:6]):
        raise DataError(
            f"{name}: it has {len(fields)} fields, expected {','.join(COLUMNS)}. Correct the line."
        )
    given = (fields[column] for column in columns if column < len(fields))
    named: dict[str, str] = dict(zip(COLUMNS, given, strict=False))
    scene_id, im_id, obj_id = (_number(named, column, whole_number, name) for column in COLUMNS[:3])
    score = _number(named, "score", float, name)
    time_s = _number(named, "time", float, name) if named.get("time", "").strip() else -1.0
    R, t_mm = (_numbers(named, column, count, name) for column, count in (("R", 9), ("t", 3)))
    for column, numbers in (("score", [score]), ("R", R), ("t", t_mm)):
        if not np.isfinite(numbers).all():
            raise DataError(
                f"{name}, column {column}: a number is not finite. Leave out instances without a pose."
            )
    try:
        T_cam_obj = transform_of(R, t_mm)
    except ValueError as error:
        raise DataError(f"{name}, column R: {error}. Leave out instances without a pose.") from None
    return Prediction(scene_id, im_id, obj_id, score, T_cam_obj, time_s, row)


def _number(named: Mapping[str, str], column: str, kind: Callable[[str], Number], name: str) -> Number:
    try:
        return kind(named[column])
    except ValueError as error:
        raise DataError(f"{name}, column {column}: {error}. Correct the line.") from None


def _numbers(named: Mapping[str, str], column: str, count: int, name: str) -> Float[np.ndarray, " numbers"]:
    try:
        numbers = np.array(named[column].split(), np.float64)
    except ValueError as error:
        raise DataError(f"{name}, column {column}: {error}. Correct the line.") from None
    if numbers.size != count:
        raise DataError(
            f"{name}, column {column}: expected {count} numbers, got {numbers.size}. Correct the line."
        )
    return numbers


def transform_of(R: object, t_mm: object) -> Float[np.ndarray, "4 4"]:
    """`T_cam_obj` in metres from 9 numbers row-major and 3 in millimetres; the rotation nearest to the nine.

    Raises:
        ValueError: another count of numbers, not finite, or no rotation (`nearest_rotation`).
    """
    numbers, position_mm = np.asarray(R, np.float64), np.asarray(t_mm, np.float64)
    if numbers.size != 9 or position_mm.size != 3:
        raise ValueError(f"expected 9 numbers R and 3 of t, got {numbers.size} and {position_mm.size}")
    T_cam_obj = np.eye(4)
    T_cam_obj[:3, :3] = nearest_rotation(numbers.reshape(3, 3))
    T_cam_obj[:3, 3] = position_mm.reshape(3) / MM_PER_M
    if not np.isfinite(T_cam_obj).all():
        raise ValueError("t is not finite")
    return T_cam_obj
