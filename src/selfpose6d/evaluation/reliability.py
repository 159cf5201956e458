"""Does the stated confidence mean anything? Stated confidence against measured correctness."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.evaluation.instances import NO_CERTIFICATE
from selfpose6d.evaluation.score import ScoredTargets

BINS = 10
COVERAGES = np.arange(1, BINS + 1) / BINS


@dataclass(frozen=True)
class Reliability:
    """Confidence against correctness (ADD(-S) under 2 cm) of all estimates, spurious ones being wrong.

    Bins are equal parts of 0-1; an empty one holds NaN. `precision` is the fraction of correct ones among the
    `coverage` best-rated estimates.
    """

    bin_confidence: Float[np.ndarray, "bins"]
    bin_correct: Float[np.ndarray, "bins"]
    bin_count: Int[np.ndarray, "bins"]
    expected_calibration_error: float
    coverage: Float[np.ndarray, "coverages"]
    precision: Float[np.ndarray, "coverages"]
    by_status: dict[str, tuple[int, float]]
    """Estimates and fraction of correct ones for each certificate status."""

    def to_json(self) -> dict:
        """Plain lists and numbers, NaN where there is nothing to measure."""
        columns = self.bin_confidence.tolist(), self.bin_correct.tolist(), self.bin_count.tolist()
        bins = zip(*columns, strict=True)
        return {
            "bins": [{"confidence": stated, "correct": correct, "count": n} for stated, correct, n in bins],
            "expected_calibration_error": self.expected_calibration_error,
            "coverage": self.coverage.tolist(),
            "precision": self.precision.tolist(),
            "status": {
                name: {"count": n, "correct": correct} for name, (n, correct) in self.by_status.items()
            },
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Reliability":
        """What `to_json` made, null for NaN.

        Raises:
            KeyError, TypeError: it is something else.
        """
        bins = content["bins"]
        return cls(
            bin_confidence=np.array([row["confidence"] for row in bins], dtype=np.float64),
            bin_correct=np.array([row["correct"] for row in bins], dtype=np.float64),
            bin_count=np.array([row["count"] for row in bins], dtype=np.int64),
            expected_calibration_error=number_or_nan(content["expected_calibration_error"]),
            coverage=np.array(content["coverage"], dtype=np.float64),
            precision=np.array(content["precision"], dtype=np.float64),
            by_status={name: (row["count"], row["correct"]) for name, row in content["status"].items()},
        )


def reliability(scores: ScoredTargets) -> Reliability:
    """Measure over every estimate of a target and every spurious one; missed targets state no confidence."""
    confidence, correct, status = _stated(scores)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    count = np.bincount(bin_of, minlength=BINS)
    bin_confidence = _bin_means(bin_of, confidence, count)
    bin_correct = _bin_means(bin_of, correct, count)
    gap = np.abs(bin_confidence - bin_correct)[count > 0]
    return Reliability(
        bin_confidence=bin_confidence,
        bin_correct=bin_correct,
        bin_count=count,
        expected_calibration_error=float(gap @ count[count > 0] / len(confidence))
        if len(confidence)
        else np.nan,
        coverage=COVERAGES,
        precision=_precision_at(COVERAGES, confidence, correct),
        by_status={
            str(name): (int(np.sum(status == name)), float(correct[status == name].mean()))
            for name in np.unique(status.astype(str))
            if name != NO_CERTIFICATE
        },
    )


def _stated(scores: ScoredTargets) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidence, correctness and certificate status of every estimate but those of other instances."""
    found, spurious = ~scores.missed, scores.spurious
    confidence = np.concatenate([scores.confidence[found], spurious.confidence]).clip(0, 1)
    correct = np.concatenate([scores.correct[found], np.zeros(len(spurious), bool)])
    return confidence, correct, np.concatenate([scores.status[found], spurious.status.astype(object)])


def _bin_means(bin_of: np.ndarray, values: np.ndarray, count: np.ndarray) -> Float[np.ndarray, "bins"]:
    total = np.bincount(bin_of, weights=values.astype(float), minlength=BINS)
    return np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0)


def _precision_at(coverages: np.ndarray, confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    if not len(confidence):
        return np.full(len(coverages), np.nan)
    best_first = np.argsort(-confidence, kind="stable")
    precision = np.cumsum(correct[best_first]) / np.arange(1, len(correct) + 1)
    return precision[np.ceil(coverages * len(correct)).astype(int) - 1]


def number_or_nan(value: float | None) -> float:
    """A number of a JSON file; null is what cannot be measured."""
    return math.nan if value is None else float(value)
