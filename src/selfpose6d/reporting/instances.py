"""The instances of a run as people read of them: what became of each, joined from all the run's files."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.object_label import object_label, with_object_names
from selfpose6d.evaluation.errors_file import MISSED, InstanceErrors
from selfpose6d.evaluation.estimates import predictions_path
from selfpose6d.evaluation.instances import Estimates
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.review import PREFIX, read_review
from selfpose6d.types import Alternative, PoseEstimate

SKIPPED = "skipped"
MOST_LISTED = 2000
"""Of a page: more make one that phones cannot open; the run's files have them all."""
DOUBT = ("ambiguous", "rejected", SKIPPED, MISSED, "", "certified")
"""Statuses in the order in which they are looked at."""


class Place(NamedTuple):
    """Where an instance is; `inst_id` is `UNKNOWN` where nothing says it."""

    scene_id: int
    im_id: int
    obj_id: int
    inst_id: int


@dataclass(frozen=True)
class RunInstance:
    """One instance: its best pose (None without one), what is claimed of it, and how far it is off, where known.

    All of it as a person's review corrects it, where there is one; `reason` then says what the run had claimed.
    `status` is the certificate's ("" none), `skipped`, or `missed` for a target that the run says nothing of. `row`
    counts the rows of the predictions file.
    """

    place: Place
    name: str
    """With its id: `mug (14)`."""
    status: str
    reason: str
    confidence: float = math.nan
    T_cam_obj: Float[np.ndarray, "4 4"] | None = None
    alternatives: tuple[Alternative, ...] = ()
    row: int | None = None
    add_m: float = math.nan
    adds_m: float = math.nan
    add_or_adds_m: float = math.nan
    true_place: Place | None = None
    """The key of the true pose that it was scored by."""
    verdict: str = ""
    """A person's, where there is one."""

    @property
    def where(self) -> str:
        """Scene and image in words."""
        return f"scene {self.place.scene_id}, image {self.place.im_id}"


class _Evidence(NamedTuple):
    """What the certificates and the review know beyond the estimates."""

    alternatives: tuple[Alternative, ...]
    verdict: str = ""
    claimed: str = ""
    """What the run had said before the review."""


def run_instances(
    source: Path,
    estimates: Estimates,
    skipped: Iterable[PoseEstimate],
    errors: InstanceErrors | None,
    names: Mapping[int, str],
) -> list[RunInstance]:
    """All instances of a run folder or a predictions file, doubtful ones first.

    Raises:
        DataError: the certificates are broken.
    """
    evidence = _evidence(source, names) if estimates.status.any() else {}
    target_of = (
        {} if errors is None else {int(row): i for i, row in enumerate(errors.prediction_row) if row >= 0}
    )
    found = [
        _estimated(estimates, i, evidence, errors, target_of.get(int(estimates.row[i])), names)
        for i in range(len(estimates))
    ]
    found += [
        RunInstance(
            Place(*one.key[1:]),
            object_label(one.key.obj_id, names),
            SKIPPED,
            with_object_names(one.reason, names),
        )
        for one in skipped
    ]
    if errors is not None:
        known = {one.place for one in found if one.status == SKIPPED}
        missed = (Place(*errors.key(i)[1:]) for i in np.flatnonzero(errors.missed).tolist())
        found += [
            RunInstance(place, object_label(place.obj_id, names), MISSED, "no estimate")
            for place in missed
            if place not in known
        ]
    return sorted(found, key=_doubt)


def _doubt(one: RunInstance) -> tuple:
    """Ambiguous and rejected ones by falling confidence, nearest to being certified first; certified ones by rising."""
    confidence = 0.0 if math.isnan(one.confidence) else one.confidence
    sign = 1 if one.status in ("certified", "") else -1
    return DOUBT.index(one.status), sign * confidence, one.place


def _estimated(
    estimates: Estimates,
    i: int,
    evidence: Mapping[Place, _Evidence],
    errors: InstanceErrors | None,
    target: int | None,
    names: Mapping[int, str],
) -> RunInstance:
    ids = (estimates.scene_id, estimates.im_id, estimates.obj_id, estimates.inst_id)
    place = Place(*(int(column[i]) for column in ids))
    estimated = RunInstance(
        place,
        object_label(place.obj_id, names),
        str(estimates.status[i]),
        with_object_names(str(estimates.reason[i]), names),
        float(estimates.confidence[i]),
        estimates.T_cam_obj[i],
        row=int(estimates.row[i]),
    )
    if (known := evidence.get(place)) is not None:
        reason = known.claimed if known.verdict else estimated.reason
        estimated = replace(estimated, alternatives=known.alternatives, verdict=known.verdict, reason=reason)
    if errors is None or target is None:
        return estimated
    off_m = (float(column[target]) for column in (errors.add_m, errors.adds_m, errors.add_or_adds_m))
    add_m, adds_m, add_or_adds_m = off_m
    true_place = Place(*errors.key(target)[1:])
    return replace(estimated, add_m=add_m, adds_m=adds_m, add_or_adds_m=add_or_adds_m, true_place=true_place)


def _evidence(source: Path, names: Mapping[int, str]) -> dict[Place, _Evidence]:
    """Of the instances that are ambiguous or reviewed."""
    run = RunFiles(predictions_path(source).parent)
    review, found = read_review(run.review), {}
    for label in read_certificates(run.certificates):
        certificate, verdict = label.certificate, review.get(label.key)
        if verdict is not None:
            reason = with_object_names(certificate.reason, names)
            claimed = f"was {certificate.status}" + (f": {reason}" if reason else "")
            found[Place(*label.key[1:])] = _Evidence((), verdict.reason.removeprefix(PREFIX), claimed)
        elif certificate.alternatives:
            found[Place(*label.key[1:])] = _Evidence(certificate.alternatives)
    return found
