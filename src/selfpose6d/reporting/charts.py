"""The charts of `report`: accuracy and reliability of every run, and what training logged."""

from collections.abc import Mapping

import numpy as np

from selfpose6d.evaluation.evaluate import Evaluation
from selfpose6d.evaluation.reliability import Reliability
from selfpose6d.evaluation.results import Results
from selfpose6d.metrics.auc import MAX_DISTANCE_M, accuracy_curve
from selfpose6d.reporting.page import Chart
from selfpose6d.reporting.reliability_tables import BELOW_TITLES
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.viz.plots import Curve, accuracy_panels, coverage_chart, learning_chart, reliability_chart

CM_PER_M = 100
THRESHOLDS_M = np.linspace(0, MAX_DISTANCE_M, 201)
"""Every half millimetre of the 10 cm."""
NOT_LOGGED_QUANTITIES = ("step", "kind")
MOST_LEARNING_PANELS = 12
"""The first ones logged; they still fit on a page."""


def accuracy_chart(evaluations: Mapping[str, Evaluation]) -> Chart:
    """The curves whose areas are the AUC, one line a run."""
    panels = {
        title: {name: _accuracy(getattr(run.errors, column), name) for name, run in evaluations.items()}
        for title, column in (("ADD-S", "adds_m"), ("ADD", "add_m"), ("ADD(-S)", "add_or_adds_m"))
    }
    note = "Pooled over instances; missed ones never count as found. Dotted: 2 cm."
    return Chart("Accuracy against threshold", accuracy_panels(panels), note)


def reliability_charts(evaluations: Mapping[str, Evaluation]) -> list[Chart]:
    """Whether the stated confidence holds, and what is gained by keeping the best-rated only; both ways to be right."""
    results = {name: run.results for name, run in evaluations.items()}
    calibration, coverage = {}, {}
    for below, title in BELOW_TITLES.items():
        measured = {name: result.reliability[below] for name, result in results.items()}
        calibration[title] = {name: _calibration(curve, name) for name, curve in measured.items()}
        coverage[title] = {
            n: Curve(curve.coverage, curve.precision, n, True) for n, curve in measured.items()
        }
    counts = {name: result.reliability["below_2cm"].bin_count.tolist() for name, result in results.items()}
    errors = "; ".join(f"{name} {_errors(result)}" for name, result in results.items())
    return [
        Chart(
            "Stated confidence against measured correctness",
            reliability_chart(calibration, counts),
            f"Expected calibration error: {errors}. Bars: exact 95 % intervals.",
        ),
        Chart(
            "What is left when only the best-rated are kept",
            coverage_chart(coverage),
            "Coverage counts all targets, missed ones too: a curve ends where the estimates do.",
        ),
    ]


def learning_charts(run: RunFiles) -> list[Chart]:
    """What a training run logged, one panel a quantity; none where there is no log."""
    series: dict[str, tuple[list[float], list[float]]] = {}
    for _, row in read_lines(run.log) if run.log.is_file() else ():
        for name, value in row.items():
            if name not in NOT_LOGGED_QUANTITIES and isinstance(value, int | float) and "step" in row:
                steps, values = series.setdefault(f"{row.get('kind', '')} {name}".strip(), ([], []))
                steps.append(row["step"])
                values.append(value)
    panels = {name: Curve(*points) for name, points in list(series.items())[:MOST_LEARNING_PANELS]}
    return [Chart("Training", learning_chart(panels))] if panels else []


def _accuracy(distances_m: np.ndarray, name: str) -> Curve:
    return Curve(THRESHOLDS_M * CM_PER_M, accuracy_curve(distances_m, THRESHOLDS_M), name)


def _calibration(curve: Reliability, name: str) -> Curve:
    filled = curve.bin_count > 0
    interval = np.array([share.interval for share in curve.bins])[filled]
    return Curve(curve.bin_confidence[filled], curve.bin_correct[filled], name, True, interval)


def _errors(results: Results) -> str:
    measured = results.reliability
    return ", ".join(
        f"{measured[below].expected_calibration_error:.3f} ({title})" for below, title in BELOW_TITLES.items()
    )
