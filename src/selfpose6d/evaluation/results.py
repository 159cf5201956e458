"""From distances to the figures of `results.json`."""

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
from selfpose6d.evaluation.reliability import Reliability, reliability
from selfpose6d.evaluation.score import Scores
from selfpose6d.files import replacing
from selfpose6d.metrics.auc import auc_exact, auc_toolbox, share_below
from selfpose6d.runs.json_lines import without_nan

CERTIFIED = "certified"


@dataclass(frozen=True)
class Metrics:
    """The figures of one group of instances: areas and recalls 0-100 (`*_auc*`) or 0-1 (the rest)."""

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


@dataclass(frozen=True)
class ObjectCounts:
    """How many targets one object has, and what became of them."""

    instances: int
    missed: int
    certified: int
    certified_precision: float


@dataclass(frozen=True)
class Results:
    """Everything `results.json` says. Certified figures are NaN where the run has no certificates."""

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
        content = {
            "metrics": {
                "pooled": self.pooled.to_json(),
                "mean": self.mean.to_json(),
                "objects": {str(obj_id): row.to_json() for obj_id, row in self.objects.items()},
            },
            "instances": self.instances,
            "missed": self.missed,
            "certified_share": self.certified_share,
            "certified_precision": self.certified_precision,
            "precision_objects": {str(i): count.certified_precision for i, count in self.counts.items()},
            "symmetric_ids": list(self.symmetric_ids),
            "points": self.points,
            "selection": dict(self.selection),
            "reliability": self.reliability.to_json(),
            "counts_objects": {str(i): _without_precision(count) for i, count in self.counts.items()},
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
            pooled=_metrics_of(metrics["pooled"]),
            mean=_metrics_of(metrics["mean"]),
            objects={int(obj_id): _metrics_of(row) for obj_id, row in metrics["objects"].items()},
            counts={
                int(obj_id): ObjectCounts(**counts, certified_precision=_number(precision[obj_id]))
                for obj_id, counts in content["counts_objects"].items()
            },
            instances=int(content["instances"]),
            missed=int(content["missed"]),
            certified_share=_number(content["certified_share"]),
            certified_precision=_number(content["certified_precision"]),
            symmetric_ids=tuple(content["symmetric_ids"]),
            points=str(content["points"]),
            selection=dict(content["selection"]),
            reliability=Reliability.from_json(content["reliability"]),
            content=str(content["content"]),
        )


def summarise(
    scores: Scores,
    symmetric_ids: tuple[int, ...],
    points: str,
    selection: Mapping[str, Any],
    has_certificates: bool,
    recalls: Recalls | None = None,
) -> Results:
    """Figures per object, pooled over instances and as plain mean over objects."""
    obj_ids = np.unique(scores.obj_id).tolist()
    of_object = {obj_id: scores.obj_id == obj_id for obj_id in obj_ids}
    objects = {obj_id: _metrics(scores, rows, recalls) for obj_id, rows in of_object.items()}
    everything = np.ones(len(scores), bool)
    share, precision = _certified(scores) if has_certificates else (np.nan, np.nan)
    return Results(
        pooled=_metrics(scores, everything, recalls),
        mean=_mean(list(objects.values())),
        objects=objects,
        counts={obj_id: _counts(scores, obj_id) for obj_id in obj_ids},
        instances=len(scores),
        missed=int(scores.missed.sum()),
        certified_share=share,
        certified_precision=precision,
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


def _metrics_of(row: Mapping[str, float | None]) -> Metrics:
    recalls = {name for name in row if name == "ar" or name.startswith("ar_")}
    return Metrics(**{name: value if name in recalls else _number(value) for name, value in row.items()})  # pyright: ignore


def _number(value: float | None) -> float:
    """null is what cannot be measured."""
    return math.nan if value is None else float(value)


def _metrics(scores: Scores, rows: Bool[np.ndarray, "targets"], recalls: Recalls | None) -> Metrics:
    columns = {"adds": scores.adds_m, "add": scores.add_m, "add_or_adds": scores.add_or_adds_m}
    figures = {}
    for name, distance_m in columns.items():
        figures[f"{name}_auc"] = auc_exact(distance_m[rows])
        figures[f"{name}_auc_toolbox"] = auc_toolbox(distance_m[rows])
        figures[f"{name}_below_2cm"] = share_below(distance_m[rows])
    return Metrics(**figures, **(recalls.average(rows) if recalls else {}))


def _mean(rows: list[Metrics]) -> Metrics:
    def mean(name: str) -> float | None:
        values = [getattr(row, name) for row in rows]
        return None if None in values else float(np.mean(values)) if values else math.nan

    return Metrics(**{column.name: mean(column.name) for column in fields(Metrics)})  # pyright: ignore


def _certified(
    scores: Scores, rows: np.ndarray | None = None, obj_id: int | None = None
) -> tuple[float, float]:
    """Share of the targets that are certified, and share of correct ones among all certified poses."""
    rows = np.ones(len(scores), bool) if rows is None else rows
    certified = rows & (scores.status == CERTIFIED)
    spurious = scores.spurious.status == CERTIFIED
    if obj_id is not None:
        spurious = spurious & (scores.spurious.obj_id == obj_id)
    stated, right = certified.sum() + spurious.sum(), (certified & scores.correct).sum()
    return (
        float(certified.sum() / rows.sum()) if rows.any() else math.nan,
        float(right / stated) if stated else math.nan,
    )


def _counts(scores: Scores, obj_id: int) -> ObjectCounts:
    rows = scores.obj_id == obj_id
    return ObjectCounts(
        instances=int(rows.sum()),
        missed=int((scores.missed & rows).sum()),
        certified=int((rows & (scores.status == CERTIFIED)).sum()),
        certified_precision=_certified(scores, rows, obj_id)[1],
    )


def _without_precision(counts: ObjectCounts) -> dict[str, int]:
    return {"instances": counts.instances, "missed": counts.missed, "certified": counts.certified}
