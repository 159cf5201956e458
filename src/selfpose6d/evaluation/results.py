"""From distances to the scores in `results.json`."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from selfpose6d.errors import DataError
from selfpose6d.evaluation.bop_recall import Recalls
from selfpose6d.evaluation.reliability import Reliability, number_or_nan, reliability
from selfpose6d.evaluation.score import ScoredTargets
from selfpose6d.files import replacing
from selfpose6d.metrics.auc import auc_exact, auc_toolbox, fraction_below
from selfpose6d.runs.json_lines import without_nan

CERTIFIED = "certified"


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
    """How many targets one object has, and what became of them."""

    instances: int
    missed: int
    certified: int
    certified_precision: float


@dataclass(frozen=True)
class Results:
    """Everything `results.json` says. What is certified is NaN where the run has no certificates."""

    pooled: Metrics
    mean: Metrics
    objects: Mapping[int, Metrics]
    counts: Mapping[int, ObjectCounts]
    instances: int
    missed: int
    certified_share: float
    certified_precision: float
    symmetric_ids: tuple[int, ...]
    points: str
    selection: Mapping[str, Any]
    reliability: Reliability
    content: str = ""
    """Names the predictions that were scored."""

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
            "precision_objects": {i: count.pop("certified_precision") for i, count in counts.items()},
            "symmetric_ids": list(self.symmetric_ids),
            "points": self.points,
            "selection": dict(self.selection),
            "reliability": self.reliability.to_json(),
            "counts_objects": counts,
            "content": self.content,
        }
        return without_nan(content)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Results":
        """What `to_json` made.

        Raises:
            KeyError, TypeError: it is something else.
        """
        metrics, precision = content["metrics"], content["precision_objects"]
        return cls(
            pooled=Metrics.from_json(metrics["pooled"]),
            mean=Metrics.from_json(metrics["mean"]),
            objects={int(obj_id): Metrics.from_json(row) for obj_id, row in metrics["objects"].items()},
            counts={
                int(obj_id): ObjectCounts(**counts, certified_precision=number_or_nan(precision[obj_id]))
                for obj_id, counts in content["counts_objects"].items()
            },
            instances=int(content["instances"]),
            missed=int(content["missed"]),
            certified_share=number_or_nan(content["certified_share"]),
            certified_precision=number_or_nan(content["certified_precision"]),
            symmetric_ids=tuple(content["symmetric_ids"]),
            points=str(content["points"]),
            selection=dict(content["selection"]),
            reliability=Reliability.from_json(content["reliability"]),
            content=str(content["content"]),
        )


def summarise(
    scores: ScoredTargets,
    symmetric_ids: tuple[int, ...],
    points: str,
    selection: Mapping[str, Any],
    has_certificates: bool,
    recalls: Recalls | None = None,
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
        symmetric_ids=symmetric_ids,
        points=points,
        selection=selection,
        reliability=reliability(scores),
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
        return Results.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not a results file ({error!r}). Run evaluate again.") from None


def _metrics(scores: ScoredTargets, rows: Bool[np.ndarray, "targets"], recalls: Recalls | None) -> Metrics:
    columns = {"adds": scores.adds_m, "add": scores.add_m, "add_or_adds": scores.add_or_adds_m}
    scored = {}
    for name, distance_m in columns.items():
        scored[f"{name}_auc"] = auc_exact(distance_m[rows])
        scored[f"{name}_auc_toolbox"] = auc_toolbox(distance_m[rows])
        scored[f"{name}_below_2cm"] = fraction_below(distance_m[rows])
    return Metrics(**scored, **(recalls.average(rows) if recalls else {}))


def _mean(rows: list[Metrics]) -> Metrics:
    def mean(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if None in values else float(np.mean(values)) if values else math.nan

    return Metrics(**{column.name: mean(column.name) for column in fields(Metrics)})  # pyright: ignore


def _counts(
    scores: ScoredTargets, targets: Bool[np.ndarray, "targets"], spurious: Bool[np.ndarray, "spurious"]
) -> ObjectCounts:
    """Of the chosen targets and spurious estimates; precision is the fraction of correct ones among all certified."""
    certified = targets & (scores.status == CERTIFIED)
    claimed = certified.sum() + (spurious & (scores.spurious.status == CERTIFIED)).sum()
    return ObjectCounts(
        instances=int(targets.sum()),
        missed=int((scores.missed & targets).sum()),
        certified=int(certified.sum()),
        certified_precision=float((certified & scores.correct).sum() / claimed) if claimed else math.nan,
    )
