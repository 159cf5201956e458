"""What a training logged, as small panels: one a quantity, every one of them; what has no curve is said in words."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from selfpose6d.reporting.charts import legend
from selfpose6d.reporting.page import Chart, Panel
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.viz.plots import Curve, learning_panel

MOST_POINTS = 300
"""Of a curve: more do not show at the width of a panel, and make the page large."""
_NO_QUANTITY = ("step", "kind", "stage", "note")
_GROUPS = {
    "Error and quality": ("_m", "right", "right_logit", "confidence", "agreement", "mean_iou"),
    "Gradients": ("gradient_norm", "gradient_of_"),
    "Schedule and speed": ("learning_rate", "samples_per_s", "frames_per_s", "instances", "frames"),
}
"""Titles, with what the names of their quantities are, begin or end with; all others are losses."""
_LOSSES = "Losses"


@dataclass
class _Series:
    """What was logged of one quantity, by kind of row."""

    points: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    @property
    def values(self) -> list[float]:
        """Of all kinds."""
        return [value for points in self.points.values() for _, value in points]


def learning_charts(run: RunFiles) -> list[Chart]:
    """All that a training run logged; none where there is no log."""
    series, notes, not_drawn = (
        _read(row for _, row in read_lines(run.log)) if run.log.is_file() else ({}, [], {})
    )
    curves = {name: one for name, one in series.items() if len(set(one.values)) > 1}
    not_drawn |= {
        f"{'/'.join(one.points)} {name}": f"always {one.values[0]:g}"
        for name, one in series.items()
        if name not in curves
    }
    charts = []
    for title in (_LOSSES, *_GROUPS):
        chosen = {name: one for name, one in curves.items() if _group(name) == title}
        kinds = list(dict.fromkeys(kind for one in chosen.values() for kind in one.points))
        panels = [
            Panel(name, learning_panel([_curve(one, kind) for kind in kinds])) for name, one in chosen.items()
        ]
        if panels:
            charts.append(
                Chart(f"Training: {title[0].lower()}{title[1:]}", panels, _thinned(chosen), legend(kinds))
            )
    said = [*notes, *(f"{name}: {why}" for name, why in not_drawn.items())]
    return [*charts, Chart("Training: also logged", (), "; ".join(said) + ".")] if said else charts


def _read(rows: Iterable[Mapping]) -> tuple[dict[str, _Series], list[str], dict[str, str]]:
    """Series by quantity, notes, and quantities without a number, with what is there instead."""
    series: dict[str, _Series] = {}
    notes, without = [], {}
    for row in rows:
        kind = str(row.get("kind", ""))
        if "note" in row:
            notes.append(f"{kind}: {row['note']}".removeprefix(": "))
        for name, value in row.items():
            if name in _NO_QUANTITY:
                continue
            if isinstance(value, int | float) and math.isfinite(value) and "step" in row:
                points = series.setdefault(name, _Series()).points.setdefault(kind, [])
                points.append((row["step"], float(value)))
            else:
                without[name] = "no number" if "step" in row else "without a step"
    return series, notes, {name: why for name, why in without.items() if name not in series}


def _group(name: str) -> str:
    for title, words in _GROUPS.items():
        if any(
            name == word or name.startswith(word) or (word[0] == "_" and name.endswith(word))
            for word in words
        ):
            return title
    return _LOSSES


def _curve(series: _Series, kind: str) -> Curve:
    """The series of one kind, empty where it has none: at most `MOST_POINTS`, each the mean of neighbours."""
    points = np.array(series.points.get(kind, ()), np.float64).reshape(-1, 2)
    parts = np.array_split(points, min(MOST_POINTS, max(1, len(points))))
    means = np.array([part.mean(axis=0) for part in parts if len(part)]).reshape(-1, 2)
    return Curve(means[:, 0], means[:, 1])


def _thinned(series: Mapping[str, _Series]) -> str:
    longest = max(len(points) for one in series.values() for points in one.points.values())
    return (
        f"Means of {longest / MOST_POINTS:.0f} rows and more a point." if longest >= 1.5 * MOST_POINTS else ""
    )
