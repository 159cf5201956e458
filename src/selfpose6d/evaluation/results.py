"""From distances to the scores in `results.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool

from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.evaluation.bop_recall import Recalls
from selfpose6d.evaluation.claims import ClaimCheck
from selfpose6d.evaluation.compare import Comparison
from selfpose6d.evaluation.detection_ap import KINDS, AveragePrecision, DetectionScores
from selfpose6d.evaluation.instances import CERTIFIED
from selfpose6d.evaluation.reliability import Reliability, reliability
from selfpose6d.evaluation.score import RIGHT_BELOW, RightBelow, ScoredTargets
from selfpose6d.evaluation.shares import number_or_nan
from selfpose6d.evaluation.sources import Sources, sources_from_json, sources_to_json
from selfpose6d.files import replacing
from selfpose6d.json_files import read_json
from selfpose6d.metrics.auc import auc_exact, auc_toolbox, fraction_below
from selfpose6d.runs.json_lines import without_nan
from selfpose6d.runs.review import VerdictKind

RightBy = Literal["add-or-adds", "least-add"]
"""The distance that says whether a pose is right: ADD(-S), or the least ADD over the symmetries of models_info.json."""


@dataclass(frozen=True)
class Metrics:
    """The scores of one group of instances: areas and recalls 0-100 (`*_auc*`) or 0-1 (the rest)."""

    adds_auc: float
    add_auc: float
    add_or_adds_auc: float
    adds_auc_toolbox: float
    add_auc_toolbox: float
    add_or_adds_auc_toolbox: float
    adds_below_2cm: float
    add_below_2cm: float
    add_or_adds_below_2cm: float
    adds_below_10pct: float
    add_below_10pct: float
    add_or_adds_below_10pct: float
    ar: float | None = None
    ar_vsd: float | None = None
    ar_mssd: float | None = None
    ar_mspd: float | None = None

    def to_json(self) -> dict[str, float]:
        """Without the recalls where they were not measured."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, row: Mapping[str, float | None]) -> "Metrics":
        """What `to_json` made, null for NaN."""
        return cls(**{name: number_or_nan(value) for name, value in row.items()})


@dataclass(frozen=True)
class ObjectCounts:
    """How many targets one object has, and what became of them. Precision NaN where nothing is certified."""

    instances: int
    missed: int
    certified: int
    certified_precision: float
    certified_precision_below_10pct: float


@dataclass(frozen=True)
class Reviewed:
    """How many verdicts a person gave, and what the run had certified before them. Precision NaN where nothing was."""

    verdicts: Mapping[VerdictKind, int]
    certified_share: float
    certified_precision: float
    certified_precision_below_10pct: float

    def to_json(self) -> dict[str, Any]:
        """`review` of `results.json`."""
        return {
            "verdicts": dict(self.verdicts),
            "certified_share_before": self.certified_share,
            "certified_precision_before": self.certified_precision,
            "certified_precision_below_10pct_before": self.certified_precision_below_10pct,
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Reviewed":
        """What `to_json` made, null for NaN."""
        names = ("certified_share", "certified_precision", "certified_precision_below_10pct")
        verdicts = {kind: int(count) for kind, count in row["verdicts"].items()}
        return cls(verdicts, *(number_or_nan(row[f"{name}_before"]) for name in names))


@dataclass(frozen=True)
class Results:
    """Everything `results.json` says. What is certified is NaN where the run has no certificates.

    Metrics, counts and what is certified are after the run's review, if it has one. What certificates promise and state
    (`reliability`, `claims`, `sources`) is measured as the run made them: a person's verdicts are none of it.
    `right` says by which distance certified poses and the reliability are right or wrong; the metrics have their own.
    """

    pooled: Metrics
    mean: Metrics
    objects: Mapping[int, Metrics]
    counts: Mapping[int, ObjectCounts]
    instances: int
    missed: int
    certified_share: float
    certified_precision: float
    certified_precision_below_10pct: float
    right: RightBy
    symmetric_ids: tuple[int, ...]
    points: str
    selection: Mapping[str, Any]
    reliability: Mapping[RightBelow, Reliability]
    claims: tuple[ClaimCheck, ...] = ()
    content: str = ""
    """Names the predictions that were scored."""
    sources: Sources = field(default_factory=dict)
    detection: DetectionScores | None = None
    """Of the run's masks and boxes, where it found its objects itself."""
    comparisons: tuple[Comparison, ...] = ()
    """Other runs against this one, where they were scored together."""
    review: Reviewed | None = None
    """None where no person reviewed the run."""

    def to_json(self) -> dict[str, Any]:
        """The keys of `results.json`; what cannot be measured is None."""
        objects = {str(obj_id): row.to_json() for obj_id, row in self.objects.items()}
        counts = {str(obj_id): asdict(count) for obj_id, count in self.counts.items()}
        content = {
            "metrics": {"pooled": self.pooled.to_json(), "mean": self.mean.to_json(), "objects": objects},
            "instances": self.instances,
            "missed": self.missed,
            "certified_share": self.certified_share,
            "certified_precision": self.certified_precision,
            "certified_precision_below_10pct": self.certified_precision_below_10pct,
            "precision_objects": {i: count.pop("certified_precision") for i, count in counts.items()},
            "precision_objects_below_10pct": {
                i: count.pop("certified_precision_below_10pct") for i, count in counts.items()
            },
            "right": self.right,
            "symmetric_ids": list(self.symmetric_ids),
            "points": self.points,
            "selection": dict(self.selection),
            "reliability": self.reliability["below_2cm"].to_json()
            | {"below_10pct": self.reliability["below_10pct"].to_json()}
            | {"claims": [check.to_json() for check in self.claims]},
            "counts_objects": counts,
            "content": self.content,
            "sources": sources_to_json(self.sources),
            "detection": self.detection and {kind: asdict(one) for kind, one in self.detection.items()},
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "review": self.review and self.review.to_json(),
        }
        return without_nan(content)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Results":
        """What `to_json` made.

        Raises:
            KeyError, TypeError: it is something else.
        """
        metrics, measured = content["metrics"], content["reliability"]
        near, tenth = content["precision_objects"], content["precision_objects_below_10pct"]
        return cls(
            pooled=Metrics.from_json(metrics["pooled"]),
            mean=Metrics.from_json(metrics["mean"]),
            objects={int(obj_id): Metrics.from_json(row) for obj_id, row in metrics["objects"].items()},
            counts={
                int(obj_id): ObjectCounts(
                    **counts,
                    certified_precision=number_or_nan(near[obj_id]),
                    certified_precision_below_10pct=number_or_nan(tenth[obj_id]),
                )
                for obj_id, counts in content["counts_objects"].items()
            },
            instances=int(content["instances"]),
            missed=int(content["missed"]),
            certified_share=number_or_nan(content["certified_share"]),
            certified_precision=number_or_nan(content["certified_precision"]),
            certified_precision_below_10pct=number_or_nan(content["certified_precision_below_10pct"]),
            right=content["right"],
            symmetric_ids=tuple(content["symmetric_ids"]),
            points=str(content["points"]),
            selection=dict(content["selection"]),
            reliability={
                "below_2cm": Reliability.from_json(measured),
                "below_10pct": Reliability.from_json(measured["below_10pct"]),
            },
            claims=tuple(ClaimCheck.from_json(row) for row in measured["claims"]),
            content=str(content["content"]),
            sources=sources_from_json(content.get("sources") or {}),
            detection=_detection_from_json(content.get("detection")),
            comparisons=tuple(Comparison.from_json(row) for row in content.get("comparisons") or ()),
            review=Reviewed.from_json(row) if (row := content.get("review")) else None,
        )


def _detection_from_json(content: Mapping[str, Any] | None) -> DetectionScores | None:
    if not content:
        return None
    rows = {
        kind: {name: number_or_nan(value) for name, value in row.items()} for kind, row in content.items()
    }
    return {kind: AveragePrecision(**rows[kind]) for kind in KINDS}


def summarise(
    scores: ScoredTargets,
    symmetric_ids: tuple[int, ...],
    points: str,
    selection: Mapping[str, Any],
    has_certificates: bool,
    recalls: Recalls | None = None,
    claims: tuple[ClaimCheck, ...] = (),
) -> Results:
    """Scores per object, pooled over instances and as plain mean over objects."""
    obj_ids = np.unique(scores.obj_id).tolist()
    objects = {obj_id: _metrics(scores, scores.obj_id == obj_id, recalls) for obj_id in obj_ids}
    all_targets, all_spurious = np.ones(len(scores), bool), np.ones(len(scores.spurious), bool)
    total = _counts(scores, all_targets, all_spurious)
    return Results(
        pooled=_metrics(scores, all_targets, recalls),
        mean=_mean(list(objects.values())),
        objects=objects,
        counts={i: _counts(scores, scores.obj_id == i, scores.spurious.obj_id == i) for i in obj_ids},
        instances=total.instances,
        missed=total.missed,
        certified_share=total.certified / len(scores) if has_certificates and len(scores) else math.nan,
        certified_precision=total.certified_precision if has_certificates else math.nan,
        certified_precision_below_10pct=total.certified_precision_below_10pct
        if has_certificates
        else math.nan,
        right="add-or-adds" if scores.least_add_m is None else "least-add",
        symmetric_ids=symmetric_ids,
        points=points,
        selection=selection,
        reliability={below: reliability(scores, below) for below in RIGHT_BELOW},
        claims=claims,
    )


def write_results(results: Results, path: Path) -> None:
    """Write `results.json`; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(json.dumps(results.to_json(), indent=2, allow_nan=False) + "\n")


def read_results(path: Path) -> Results:
    """What `write_results` wrote.

    Raises:
        DataError: it is missing or of another form.
    """
    try:
        return Results.from_json(read_json(path))
    except (OSError, *MALFORMED) as error:
        raise DataError(f"{path}: not a results file ({error!r}). Run evaluate again.") from None


def _metrics(scores: ScoredTargets, rows: Bool[np.ndarray, " targets"], recalls: Recalls | None) -> Metrics:
    columns = {"adds": scores.adds_m, "add": scores.add_m, "add_or_adds": scores.add_or_adds_m}
    scored = {}
    for name, distance_m in columns.items():
        scored[f"{name}_auc"] = auc_exact(distance_m[rows])
        scored[f"{name}_auc_toolbox"] = auc_toolbox(distance_m[rows])
        for below in RIGHT_BELOW:
            scored[f"{name}_{below}"] = fraction_below(distance_m[rows], scores.limit_m(below)[rows])
    return Metrics(**scored, **(recalls.average(rows) if recalls else {}))


def _mean(rows: list[Metrics]) -> Metrics:
    def mean(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if None in values else float(np.mean(values)) if values else math.nan

    return Metrics(**{column.name: mean(column.name) for column in fields(Metrics)})  # pyright: ignore


def _counts(
    scores: ScoredTargets, targets: Bool[np.ndarray, " targets"], spurious: Bool[np.ndarray, " spurious"]
) -> ObjectCounts:
    """Of the chosen targets and spurious estimates; precision is the fraction of right ones among all certified."""
    certified = targets & (scores.status == CERTIFIED)
    claimed = certified.sum() + (spurious & (scores.spurious.status == CERTIFIED)).sum()
    right = (int((certified & scores.right(below)).sum()) for below in RIGHT_BELOW)
    below_2cm, below_10pct = (count / int(claimed) if claimed else math.nan for count in right)
    return ObjectCounts(
        instances=int(targets.sum()),
        missed=int((scores.missed & targets).sum()),
        certified=int(certified.sum()),
        certified_precision=below_2cm,
        certified_precision_below_10pct=below_10pct,
    )
