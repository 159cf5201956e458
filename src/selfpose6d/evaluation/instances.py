"""What is scored, as columns: estimates and true poses, one row an instance. Metres, camera frame."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from selfpose6d.types import Certificate

NO_CERTIFICATE = ""
CERTIFIED = "certified"
UNKNOWN = -1
"""An index that nothing says."""


Table = TypeVar("Table")


@dataclass(frozen=True)
class Columns:
    """A table: one array a column, all of one length."""

    def __len__(self) -> int:
        return len(next(iter(vars(self).values())))

    def take(self: Table, rows: np.ndarray) -> Table:
        """The chosen rows (indices or a mask), in that order."""
        return type(self)(**{name: column[rows] for name, column in vars(self).items()})


def joined(tables: list[Table]) -> Table:
    """The rows of several tables of one kind, one after the other; the list is emptied, column by column: nothing is
    in memory twice. A column may be a table itself, or None in all of them.
    """
    parts, kind = [dict(vars(table)) for table in tables], type(tables[0])
    names = list(parts[0])
    tables.clear()
    return kind(**{name: _joined_column([part.pop(name) for part in parts]) for name in names})


def _joined_column(parts: list[Any]) -> Any:
    if parts[0] is None:
        return None
    return joined(parts) if isinstance(parts[0], Columns) else np.concatenate(parts)


def column_of(numbers: array, dtype: type[np.generic]) -> np.ndarray:
    """The numbers without another copy of them; those of millions of poses are what an evaluation's memory goes to."""
    return np.frombuffer(numbers, dtype) if numbers else np.empty(0, dtype)


class Claim(NamedTuple):
    """What a certificate promises: at this risk, by this calibration, no more than `bound` of the certified are wrong.

    `bound` is NaN where the calibration says none.
    """

    risk: float
    bound: float
    calibration: str


def claim_of(certificate: Certificate) -> Claim | None:
    """What a certificate promises, if it names a calibration or a risk."""
    if not certificate.calibration and math.isnan(certificate.risk):
        return None
    risk, bound = (math.nan if math.isnan(x) else x for x in (certificate.risk, certificate.bound))
    return Claim(risk, bound, certificate.calibration)  # one NaN object: equal claims compare equal


@dataclass(frozen=True)
class Estimates(Columns):
    """Estimated poses. `confidence` 0-1 orders them.

    `status`, `reason`, `inst_id`, `mask_quality`, `source` and `claim` are the certificate's; "", `UNKNOWN` and None
    where there is none. `row` counts the rows of the predictions file.
    """

    row: Int[np.ndarray, " estimates"]
    scene_id: Int[np.ndarray, " estimates"]
    im_id: Int[np.ndarray, " estimates"]
    obj_id: Int[np.ndarray, " estimates"]
    inst_id: Int[np.ndarray, " estimates"]
    confidence: Float[np.ndarray, " estimates"]
    T_cam_obj: Float[np.ndarray, "estimates 4 4"]
    status: Shaped[np.ndarray, " estimates"]
    reason: Shaped[np.ndarray, " estimates"]
    mask_quality: Shaped[np.ndarray, " estimates"]
    claim: Shaped[np.ndarray, " estimates"]
    source: Shaped[np.ndarray, " estimates"]


@dataclass(frozen=True)
class Truths(Columns):
    """True poses of every annotated instance. `counts` marks the targets: only they enter the scores."""

    scene_id: Int[np.ndarray, " truths"]
    im_id: Int[np.ndarray, " truths"]
    obj_id: Int[np.ndarray, " truths"]
    inst_id: Int[np.ndarray, " truths"]
    T_cam_obj: Float[np.ndarray, "truths 4 4"]
    counts: Bool[np.ndarray, " truths"]
    visible_fraction: Float[np.ndarray, " truths"]
    """NaN where the data set does not say it."""
    mask_kind: Shaped[np.ndarray, " truths"]
    """What a synthetic data set did to the mask ("exact", "eroded", ...), "" where it does not say it."""


def image_keys(rows: Estimates | Truths) -> list[tuple[int, int]]:
    """(scene_id, im_id) of each row."""
    return list(zip(rows.scene_id.tolist(), rows.im_id.tolist(), strict=True))


def image_columns(rows: Estimates | Truths) -> tuple[Int[np.ndarray, " rows"], ...]:
    """What names the image of each row."""
    return rows.scene_id, rows.im_id


def object_columns(rows: Estimates | Truths) -> tuple[Int[np.ndarray, " rows"], ...]:
    """What names the image and object of each row."""
    return rows.scene_id, rows.im_id, rows.obj_id


def shared_numbers(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " others"]]:
    """One number for each row of two tables with these columns; rows that are equal in all of them have the same."""
    numbers = np.zeros(len(first[0]) + len(second[0]), np.int64)
    for one, other in zip(first, second, strict=True):
        values = np.unique(np.concatenate([one, other]), return_inverse=True)[1].reshape(-1)
        numbers = numbers * (values.max(initial=0) + 1) + values
        numbers = np.unique(numbers, return_inverse=True)[1].reshape(-1)  # small again: no overflow
    return numbers[: len(first[0])], numbers[len(first[0]) :]
