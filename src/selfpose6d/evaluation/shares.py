"""Counted fractions with their uncertainty: every fraction of right poses is one of these."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from selfpose6d.metrics.intervals import clopper_pearson


@dataclass(frozen=True)
class Share:
    """How many there are, and which fraction of them is right: NaN of none."""

    count: int
    right: int

    @classmethod
    def of(cls, is_right: Bool[np.ndarray, " rows"]) -> "Share":
        """Of these rows."""
        return cls(len(is_right), int(is_right.sum()))

    @property
    def correct(self) -> float:
        """The fraction, 0-1."""
        return self.right / self.count if self.count else math.nan

    @property
    def error(self) -> float:
        """The fraction of wrong ones, 0-1."""
        return (self.count - self.right) / self.count if self.count else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Where the fraction lies with 95 % confidence, if the rows are independent; 0 to 1 of none."""
        low, high = clopper_pearson(self.right, self.count).tolist()
        return low, high

    def to_json(self) -> dict[str, Any]:
        """Counts, fraction (NaN of none) and interval."""
        return {
            "count": self.count,
            "right": self.right,
            "correct": self.correct,
            "interval": list(self.interval),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Share":
        """What `to_json` made."""
        return cls(int(row["count"]), int(row["right"]))


def number_or_nan(value: float | None) -> float:
    """A number of a JSON file; null is what cannot be measured."""
    return math.nan if value is None else float(value)
