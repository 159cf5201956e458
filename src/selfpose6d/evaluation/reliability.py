"""Does the stated confidence mean anything? Stated confidence against measured correctness."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from selfpose6d.evaluation.instances import CERTIFIED, Columns
from selfpose6d.evaluation.score import RightBelow, ScoredTargets
from selfpose6d.evaluation.shares import Share, number_or_nan

BINS = 10
COVERAGES = np.arange(1, 21) / 20
"""Of all targets: every twentieth, fine enough to read a coverage that a certificate reaches."""


@dataclass(frozen=True)
class Stated(Columns):
    """Every estimate of a target and every spurious one, which is never right: what it says, and whether it is so."""

    confidence: Float[np.ndarray, " estimates"]
    right: Bool[np.ndarray, " estimates"]
    status: Shaped[np.ndarray, " estimates"]
    mask_quality: Shaped[np.ndarray, " estimates"]
    mask_kind: Shaped[np.ndarray, " estimates"]
    is_target: Bool[np.ndarray, " estimates"]


@dataclass(frozen=True)
class Group:
    """A part of the estimates, and the certified ones among them; `missed` of its targets have no estimate."""

    estimates: Share
    certified: Share
    missed: int
    expected_calibration_error: float

    def to_json(self) -> dict[str, Any]:
        """The estimates' counts, and by name the rest."""
        return self.estimates.to_json() | {
            "certified": self.certified.to_json(),
            "missed": self.missed,
            "expected_calibration_error": self.expected_calibration_error,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Group":
        """What `to_json` made, null for NaN."""
        certified, error = Share.from_json(row["certified"]), number_or_nan(row["expected_calibration_error"])
        return cls(Share.from_json(row), certified, int(row["missed"]), error)


@dataclass(frozen=True)
class Reliability:
    """Confidence against correctness of all estimates, spurious ones being wrong; for one meaning of right.

    Bins are equal parts of 0-1. `precision` is the fraction of right ones among the best-rated estimates that reach
    `coverage`, the fraction of *all* targets, missed ones too; NaN where the estimates do not reach it. Estimates of
    equal confidence are kept in equal parts.
    """

    bin_confidence: Float[np.ndarray, " bins"]
    """Mean of each bin, NaN of an empty one."""
    bins: tuple[Share, ...]
    coverage: Float[np.ndarray, " coverages"]
    precision: Float[np.ndarray, " coverages"]
    everything: Group
    by_status: dict[str, Share]
    by_mask_quality: dict[str, Group]
    """By what the certificates say of the masks; empty where they say nothing."""
    by_mask_kind: dict[str, Group]
    """By what the data set did to the masks; empty where it does not say it. Spurious estimates are in none."""

    @property
    def bin_count(self) -> Int[np.ndarray, " bins"]:
        """Estimates in each bin."""
        return np.array([share.count for share in self.bins], dtype=np.int64)

    @property
    def bin_correct(self) -> Float[np.ndarray, " bins"]:
        """Fraction of right ones in each bin, NaN of an empty one."""
        return np.array([share.correct for share in self.bins], dtype=np.float64)

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of stated and measured, over the bins by their counts; NaN without estimates."""
        return self.everything.expected_calibration_error

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, NaN where there is nothing to measure."""
        rows = zip(self.bin_confidence.tolist(), self.bins, strict=True)
        return {
            "bins": [{"confidence": stated} | share.to_json() for stated, share in rows],
            "expected_calibration_error": self.expected_calibration_error,
            "coverage": self.coverage.tolist(),
            "coverage_of": "all targets",
            "precision": self.precision.tolist(),
            "all": self.everything.to_json(),
            "status": {name: share.to_json() for name, share in self.by_status.items()},
            "by_mask_quality": {name: group.to_json() for name, group in self.by_mask_quality.items()},
            "by_mask_kind": {name: group.to_json() for name, group in self.by_mask_kind.items()},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Reliability":
        """What `to_json` made, null for NaN.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(
            bin_confidence=np.array([row["confidence"] for row in content["bins"]], dtype=np.float64),
            bins=tuple(Share.from_json(row) for row in content["bins"]),
            coverage=np.array(content["coverage"], dtype=np.float64),
            precision=np.array(content["precision"], dtype=np.float64),
            everything=Group.from_json(content["all"]),
            by_status={name: Share.from_json(row) for name, row in content["status"].items()},
            by_mask_quality={n: Group.from_json(row) for n, row in content["by_mask_quality"].items()},
            by_mask_kind={n: Group.from_json(row) for n, row in content["by_mask_kind"].items()},
        )


def reliability(scores: ScoredTargets, below: RightBelow = "below_2cm") -> Reliability:
    """Measure over every estimate of a target and every spurious one; missed targets state no confidence."""
    stated = _stated(scores, below)
    bin_of = _bin_of(stated.confidence)
    missed_kind = scores.mask_kind[scores.missed]
    return Reliability(
        bin_confidence=np.array([_mean(stated.confidence[bin_of == i]) for i in range(BINS)]),
        bins=tuple(Share.of(stated.right[bin_of == i]) for i in range(BINS)),
        coverage=COVERAGES,
        precision=_precision_at(COVERAGES, stated, len(scores)),
        everything=_group(stated, int(scores.missed.sum())),
        by_status=_by_name(stated, stated.status, lambda part, _: Share.of(part.right)),
        by_mask_quality=_by_name(stated, stated.mask_quality, lambda part, _: _group(part, 0)),
        by_mask_kind=_by_name(
            stated, stated.mask_kind, lambda part, name: _group(part, int(np.sum(missed_kind == name)))
        ),
    )


def _stated(scores: ScoredTargets, below: RightBelow) -> Stated:
    found, spurious = ~scores.missed, scores.spurious
    nothing = np.zeros(len(spurious), bool)
    return Stated(
        confidence=np.concatenate([scores.confidence[found], spurious.confidence]).clip(0, 1),
        right=np.concatenate([scores.right(below)[found], nothing]),
        status=_texts(scores.status[found], spurious.status),
        mask_quality=_texts(scores.mask_quality[found], spurious.mask_quality),
        mask_kind=_texts(scores.mask_kind[found], np.full(len(spurious), "")),
        is_target=np.concatenate([~scores.missed[found], nothing]),
    )


def _texts(*parts: np.ndarray) -> np.ndarray:
    return np.concatenate([part.astype(object) for part in parts])


def _by_name(stated: Stated, name_of: np.ndarray, measure: Callable[[Stated, str], Any]) -> dict[str, Any]:
    names = sorted(set(name_of.tolist()) - {""})
    return {name: measure(stated.take(name_of == name), name) for name in names}


def _group(stated: Stated, missed: int) -> Group:
    certified = Share.of(stated.right[stated.status == CERTIFIED])
    return Group(Share.of(stated.right), certified, missed, _calibration_error(stated))


def _bin_of(confidence: Float[np.ndarray, " estimates"]) -> Int[np.ndarray, " estimates"]:
    return np.minimum((confidence * BINS).astype(int), BINS - 1)


def _calibration_error(stated: Stated) -> float:
    if not len(stated):
        return math.nan
    excess = np.bincount(_bin_of(stated.confidence), weights=stated.confidence - stated.right, minlength=BINS)
    return float(np.abs(excess).sum() / len(stated))


def _precision_at(coverages: np.ndarray, stated: Stated, num_targets: int) -> Float[np.ndarray, " coverages"]:
    """Kept and right ones grow in proportion between one stated confidence and the next lower one."""
    _, level = np.unique(-stated.confidence, return_inverse=True)
    columns = stated.is_target, np.ones(len(stated)), stated.right
    targets, kept, right = (np.append(0, np.cumsum(np.bincount(level, weights=column))) for column in columns)
    targets, first = np.unique(targets, return_index=True)  # levels of spurious ones alone add no target
    wanted = coverages * num_targets
    reached = (wanted <= targets[-1] + 1e-9) & (wanted > 0)
    precision = np.full(len(coverages), math.nan)
    num_kept = np.interp(wanted[reached], targets, kept[first])
    precision[reached] = np.interp(wanted[reached], targets, right[first]) / num_kept
    return precision


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
