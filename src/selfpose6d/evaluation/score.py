"""Distances of estimates to true poses: the table from which every number of a result is computed.

Where an image shows several instances of one object, each estimate takes, by falling confidence, the free true pose of
least ADD(-S). All annotated instances take part, so that the estimate of one that is no target does not use up
another's true pose.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from selfpose6d.errors import DataError
from selfpose6d.evaluation.instances import (
    NO_CERTIFICATE,
    UNKNOWN,
    Columns,
    Estimates,
    Truths,
    image_columns,
    object_columns,
    shared_numbers,
)
from selfpose6d.meshes.mesh import convex_diameter_m
from selfpose6d.metrics.auc import CORRECT_BELOW_DIAMETERS, CORRECT_BELOW_M
from selfpose6d.metrics.pose_errors import add, adds, least_add

PointsOf = Mapping[int, Float[np.ndarray, "points 3"]]
"""Model points in metres by object id."""
SymmetriesOf = Mapping[int, Float[np.ndarray, "symmetries 4 4"]]
"""Motions that map an object onto itself (metres, the identity among them) by object id."""
RightBelow = Literal["below_2cm", "below_10pct"]
"""What counts as right: within 2 cm, or within a tenth of the object's diameter. Everything is reported both ways."""
RIGHT_BELOW: tuple[RightBelow, ...] = get_args(RightBelow)
UNMATCHED = -1
PAIRS_AT_ONCE = 4_096
"""Whose poses and distances are in memory together: measured in one go, they are half of an evaluation's memory."""


@dataclass(frozen=True)
class Pairs(Columns):
    """Row indices of estimates and true poses that share image and object."""

    estimate: Int[np.ndarray, " pairs"]
    truth: Int[np.ndarray, " pairs"]


@dataclass(frozen=True)
class ScoredTargets:
    """One row a target. A missed one has infinite distances, NaN confidence, no status and `estimate` -1.

    `estimate` is the row in the estimates that were scored, `prediction_row` that in their file, `truth` the row in the
    true poses; of `joined` tables the first and last still count within each part. What is kept of an estimate and a
    true pose is all but the poses themselves.
    """

    scene_id: Int[np.ndarray, " targets"]
    im_id: Int[np.ndarray, " targets"]
    inst_id: Int[np.ndarray, " targets"]
    obj_id: Int[np.ndarray, " targets"]
    add_m: Float[np.ndarray, " targets"]
    adds_m: Float[np.ndarray, " targets"]
    least_add_m: Float[np.ndarray, " targets"] | None
    """ADD to the nearest of the true poses that the declared symmetries allow; None where that is not asked for."""
    diameter_m: Float[np.ndarray, " targets"]
    symmetric: Bool[np.ndarray, " targets"]
    confidence: Float[np.ndarray, " targets"]
    status: Shaped[np.ndarray, " targets"]
    mask_quality: Shaped[np.ndarray, " targets"]
    claim: Shaped[np.ndarray, " targets"]
    source: Shaped[np.ndarray, " targets"]
    mask_kind: Shaped[np.ndarray, " targets"]
    visible_fraction: Float[np.ndarray, " targets"]
    estimate: Int[np.ndarray, " targets"]
    prediction_row: Int[np.ndarray, " targets"]
    truth: Int[np.ndarray, " targets"]
    spurious: Estimates
    """Estimates of objects that the image does not show (once more): always wrong, never a target."""

    def __len__(self) -> int:
        return len(self.obj_id)

    @property
    def add_or_adds_m(self) -> Float[np.ndarray, " targets"]:
        """ADD(-S): ADD-S for objects of the symmetric set, ADD otherwise."""
        return np.where(self.symmetric, self.adds_m, self.add_m)

    @property
    def missed(self) -> Bool[np.ndarray, " targets"]:
        """Targets without an estimate."""
        return self.estimate == UNMATCHED

    @property
    def right_m(self) -> Float[np.ndarray, " targets"]:
        """The distance that says what is right: ADD(-S), or the least ADD where that is asked for."""
        return self.add_or_adds_m if self.least_add_m is None else self.least_add_m

    def right(self, below: RightBelow) -> Bool[np.ndarray, " targets"]:
        """Which estimates are near enough. A missed target is not, nor one of unknown diameter below a part of it."""
        return self.right_m < self.limit_m(below)

    def limit_m(self, below: RightBelow) -> Float[np.ndarray, " targets"]:
        """How far each estimate may be off."""
        if below == "below_2cm":
            return np.full(len(self), CORRECT_BELOW_M)
        return CORRECT_BELOW_DIAMETERS * self.diameter_m


def score(
    estimates: Estimates,
    truths: Truths,
    points_m: PointsOf,
    symmetric_ids: Set[int],
    symmetries: SymmetriesOf | None = None,
) -> ScoredTargets:
    """Match and measure. Estimates in images without any target are left out: nothing is asked there.

    With `symmetries` what is right goes by the least ADD over them (of an object without any: ADD); without, by
    ADD(-S). The assignment is by ADD(-S) in both cases.

    Raises:
        DataError: an object has no model points.
    """
    _require_points(points_m, truths)
    inside = np.flatnonzero(_in_target_images(estimates, truths))
    candidates = estimates if len(inside) == len(estimates) else estimates.take(inside)
    estimate_of = _assignment(candidates, truths, points_m, symmetric_ids)
    targets = np.flatnonzero(truths.counts)
    is_found = estimate_of[targets] != UNMATCHED
    pairs = Pairs(estimate_of[targets[is_found]], targets[is_found])
    taken = np.zeros(len(candidates), bool)
    taken[estimate_of[estimate_of != UNMATCHED]] = True
    least_m = None
    if symmetries is not None:
        least_m = _measured(least_add, pairs, candidates, truths, points_m, symmetries)
    return ScoredTargets(
        scene_id=truths.scene_id[targets],
        im_id=truths.im_id[targets],
        inst_id=truths.inst_id[targets],
        obj_id=truths.obj_id[targets],
        add_m=_scatter(_measured(add, pairs, candidates, truths, points_m), is_found, np.inf),
        adds_m=_scatter(_measured(adds, pairs, candidates, truths, points_m), is_found, np.inf),
        least_add_m=None if least_m is None else _scatter(least_m, is_found, np.inf),
        diameter_m=_by_object(truths.obj_id[targets], lambda obj_id: convex_diameter_m(points_m[obj_id])),
        symmetric=np.isin(truths.obj_id[targets], sorted(symmetric_ids)),
        confidence=_scatter(candidates.confidence[pairs.estimate], is_found, np.nan),
        status=_scatter(candidates.status[pairs.estimate].astype(object), is_found, NO_CERTIFICATE),
        mask_quality=_scatter(candidates.mask_quality[pairs.estimate].astype(object), is_found, ""),
        claim=_scatter(candidates.claim[pairs.estimate], is_found, None),
        source=_scatter(candidates.source[pairs.estimate], is_found, ""),
        mask_kind=truths.mask_kind[targets],
        visible_fraction=truths.visible_fraction[targets],
        estimate=_scatter(inside[pairs.estimate], is_found, UNMATCHED),
        prediction_row=_scatter(candidates.row[pairs.estimate], is_found, UNKNOWN),
        truth=targets,
        spurious=candidates.take(~taken),
    )


def _require_points(points_m: PointsOf, truths: Truths) -> None:
    missing = sorted(set(truths.obj_id.tolist()) - set(points_m))
    if missing:
        raise DataError(
            f"model points missing for objects {missing}: expected a model for each annotated object. "
            "Pass --models DIR with a file for every object, or select others with --objects."
        )


def _in_target_images(estimates: Estimates, truths: Truths) -> np.ndarray:
    of_estimates, of_truths = shared_numbers(image_columns(estimates), image_columns(truths))
    return np.isin(of_estimates, of_truths[truths.counts])


def _assignment(
    estimates: Estimates, truths: Truths, points_m: PointsOf, symmetric_ids: Set[int]
) -> np.ndarray:
    pairs = _candidate_pairs(estimates, truths)
    competing = np.bincount(pairs.estimate, minlength=len(estimates))[pairs.estimate] > 1
    competing |= np.bincount(pairs.truth, minlength=len(truths))[pairs.truth] > 1
    symmetric = np.isin(truths.obj_id[pairs.truth], sorted(symmetric_ids))
    distance_m = np.zeros(len(pairs))
    for metric, wanted in ((adds, competing & symmetric), (add, competing & ~symmetric)):
        distance_m[wanted] = _measured(metric, pairs.take(wanted), estimates, truths, points_m)
    return _assign(pairs, distance_m, estimates.confidence, len(truths))


def _candidate_pairs(estimates: Estimates, truths: Truths) -> Pairs:
    """Every estimate with every true pose of the same object in the same image."""
    of_estimates, of_truths = shared_numbers(object_columns(estimates), object_columns(truths))
    order = np.argsort(of_truths, kind="stable")
    first = np.searchsorted(of_truths[order], of_estimates, side="left")
    count = np.searchsorted(of_truths[order], of_estimates, side="right") - first
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return Pairs(np.repeat(np.arange(len(of_estimates)), count), order[np.repeat(first, count) + within])


def _assign(
    pairs: Pairs,
    distance_m: Float[np.ndarray, " pairs"],
    confidence: Float[np.ndarray, " estimates"],
    num_truths: int,
) -> Int[np.ndarray, " truths"]:
    """Row of the estimate that each true pose is compared with, `UNMATCHED` where it has none.

    `distance_m` is the ADD(-S) of each pair; equal confidences go by the order of the rows.
    """
    order = np.lexsort((distance_m, pairs.estimate, -confidence[pairs.estimate]))
    estimate_of = np.full(num_truths, UNMATCHED)
    served = np.zeros(len(confidence), bool)
    for pair in order:
        estimate, truth = pairs.estimate[pair], pairs.truth[pair]
        if not served[estimate] and estimate_of[truth] == UNMATCHED:
            estimate_of[truth] = estimate
            served[estimate] = True
    return estimate_of


def _measured(
    metric: Callable[..., np.ndarray],
    pairs: Pairs,
    estimates: Estimates,
    truths: Truths,
    points_m: PointsOf,
    symmetries: SymmetriesOf | None = None,
) -> Float[np.ndarray, " pairs"]:
    distance_m = np.full(len(pairs), np.inf)
    obj_id = truths.obj_id[pairs.truth]
    for obj in np.unique(obj_id).tolist():
        of_object = np.flatnonzero(obj_id == obj)
        more = () if symmetries is None else (symmetries.get(obj, np.eye(4)[None]),)
        for first in range(0, len(of_object), PAIRS_AT_ONCE):
            rows = of_object[first : first + PAIRS_AT_ONCE]
            T_est, T_true = estimates.T_cam_obj[pairs.estimate[rows]], truths.T_cam_obj[pairs.truth[rows]]
            distance_m[rows] = metric(T_est, T_true, points_m[obj], *more)
    return distance_m


def _by_object(obj_id: Int[np.ndarray, " rows"], value: Callable[[int], float]) -> Float[np.ndarray, " rows"]:
    values = {obj: value(obj) for obj in np.unique(obj_id).tolist()}
    return np.array([values[obj] for obj in obj_id.tolist()], dtype=np.float64)


def _scatter(values: np.ndarray, is_found: np.ndarray, missing: object) -> np.ndarray:
    column = np.full(len(is_found), missing, dtype=values.dtype)
    column[is_found] = values
    return column
