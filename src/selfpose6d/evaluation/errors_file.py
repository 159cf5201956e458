"""`instances.csv`: what became of every target, one line each. `evaluate` writes it; everything else reads it."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.evaluation.instances import UNKNOWN, Columns
from selfpose6d.evaluation.score import ScoredTargets
from selfpose6d.files import open_text, replacing
from selfpose6d.types import InstanceKey

ROWS_AT_ONCE = 10_000
"""As Python's own numbers: ten times the memory of the columns."""
MISSED = "missed"
"""Status of a target without an estimate."""


@dataclass(frozen=True)
class InstanceErrors(Columns):
    """One row a target: its key, and how far its estimate is off. Infinite errors and no confidence where it is missed.

    `right_m` is the distance by which the evaluation says what is right: ADD(-S) unless it was asked for another.
    `mask_quality` is the certificate's, `mask_kind` the data set's. `prediction_row` counts the rows of
    `predictions.csv` from 0. Columns of the file by their names.
    """

    split: Shaped[np.ndarray, " targets"]
    scene_id: Int[np.ndarray, " targets"]
    im_id: Int[np.ndarray, " targets"]
    obj_id: Int[np.ndarray, " targets"]
    inst_id: Int[np.ndarray, " targets"]
    name: Shaped[np.ndarray, " targets"]
    add_m: Float[np.ndarray, " targets"]
    adds_m: Float[np.ndarray, " targets"]
    add_or_adds_m: Float[np.ndarray, " targets"]
    right_m: Float[np.ndarray, " targets"]
    diameter_m: Float[np.ndarray, " targets"]
    status: Shaped[np.ndarray, " targets"]
    confidence: Float[np.ndarray, " targets"]
    visible_fraction: Float[np.ndarray, " targets"]
    mask_quality: Shaped[np.ndarray, " targets"]
    mask_kind: Shaped[np.ndarray, " targets"]
    prediction_row: Int[np.ndarray, " targets"]

    @property
    def missed(self) -> Bool[np.ndarray, " targets"]:
        """Targets without an estimate."""
        return self.prediction_row == UNKNOWN

    def key(self, target: int) -> InstanceKey:
        """The whole key of one target."""
        ids = (int(getattr(self, name)[target]) for name in InstanceKey._fields[1:])
        return InstanceKey(str(self.split[target]), *ids)


_TEXT = ("split", "name", "status", "mask_quality", "mask_kind")
_INTEGERS = ("scene_id", "im_id", "obj_id", "inst_id", "prediction_row")


def instance_errors(
    scores: ScoredTargets,
    split: str,
    names: Mapping[int, str],
) -> InstanceErrors:
    """The scores as the file has them."""
    return InstanceErrors(
        split=np.broadcast_to(np.array(split, dtype=object), len(scores)),
        scene_id=scores.scene_id,
        im_id=scores.im_id,
        obj_id=scores.obj_id,
        inst_id=scores.inst_id,
        name=np.array([names.get(obj_id, "") for obj_id in scores.obj_id.tolist()], dtype=object),
        add_m=scores.add_m,
        adds_m=scores.adds_m,
        add_or_adds_m=scores.add_or_adds_m,
        right_m=scores.right_m,
        diameter_m=scores.diameter_m,
        status=np.where(scores.missed, MISSED, scores.status),
        confidence=scores.confidence,
        visible_fraction=scores.visible_fraction,
        mask_quality=scores.mask_quality,
        mask_kind=scores.mask_kind,
        prediction_row=scores.prediction_row,
    )


def write_instances(errors: InstanceErrors, path: Path) -> None:
    """Write the file, empty fields where nothing is known; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(vars(errors))
        for first in range(0, len(errors), ROWS_AT_ONCE):
            columns = [column[first : first + ROWS_AT_ONCE].tolist() for column in vars(errors).values()]
            writer.writerows(map(_text, row) for row in zip(*columns, strict=True))


def read_instances(path: Path) -> InstanceErrors:
    """The file's rows.

    Raises:
        DataError: it is missing or not of its form.
    """
    names = [column.name for column in fields(InstanceErrors)]
    try:
        with open_text(path) as file:
            columns = {name: values for name, *values in zip(*csv.reader(file), strict=True)}
        return InstanceErrors(**{name: _column(name, columns[name]) for name in names})
    except FileNotFoundError:
        raise DataError(f"{path}: missing file. Run evaluate first.") from None
    except (OSError, csv.Error, *MALFORMED) as error:
        raise DataError(f"{path}: not an instances.csv ({error!r}). Run evaluate again.") from None


def _column(name: str, values: list[str]) -> np.ndarray:
    if name in _TEXT:
        return np.array(values, dtype=object)
    if name in _INTEGERS:
        return np.array([int(value) if value else UNKNOWN for value in values], dtype=np.int64)
    return np.array([float(value) if value else math.nan for value in values], dtype=np.float64)


def _text(value: str | int | float) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.9g}"
    return "" if value == UNKNOWN else str(value)
