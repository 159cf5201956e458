"""The charts of `report` that compare runs: accuracy and reliability."""

from collections.abc import Iterable, Mapping

import numpy as np

from selfpose6d.evaluation.evaluate import Evaluation
from selfpose6d.evaluation.reliability import Reliability
from selfpose6d.evaluation.results import Results
from selfpose6d.metrics.auc import MAX_DISTANCE_M, accuracy_curve
from selfpose6d.reporting.page import Chart, LegendEntry, Panel
from selfpose6d.reporting.reliability_tables import BELOW_TITLES
from selfpose6d.viz.plots import (
    Curve,
    accuracy_panel,
    counts_panel,
    coverage_panel,
    curve_style,
    reliability_panel,
)

CM_PER_M = 100
THRESHOLDS_M = np.linspace(0, MAX_DISTANCE_M, 201)
"""Every half millimetre of the 10 cm."""


def accuracy_chart(evaluations: Mapping[str, Evaluation]) -> Chart:
    """The curves whose areas are the AUC, one line a run."""
    columns = {"ADD-S": "adds_m", "ADD": "add_m", "ADD(-S)": "add_or_adds_m"}
    panels = [
        Panel(title, accuracy_panel([_accuracy(getattr(run.errors, column)) for run in evaluations.values()]))
        for title, column in columns.items()
    ]
    note = "Pooled over instances; missed ones never count as found. Dotted: 2 cm."
    return Chart("Accuracy against threshold", panels, note, legend(evaluations))


def reliability_charts(evaluations: Mapping[str, Evaluation]) -> list[Chart]:
    """Whether the stated confidence holds, and what is gained by keeping the best-rated only; both ways to be right."""
    results = {name: run.results for name, run in evaluations.items()}
    calibration, coverage = [], []
    for below, title in BELOW_TITLES.items():
        measured = [result.reliability[below] for result in results.values()]
        calibration.append(
            Panel(f"right: {title}", reliability_panel([_calibration(one) for one in measured]))
        )
        curves = [Curve(one.coverage, one.precision, True) for one in measured]
        coverage.append(Panel(f"right: {title}", coverage_panel(curves)))
    counts = [result.reliability["below_2cm"].bin_count.tolist() for result in results.values()]
    errors = "; ".join(f"{name} {_errors(result)}" for name, result in results.items())
    return [
        Chart(
            "Stated confidence against measured correctness",
            [*calibration, Panel("how often it is stated", counts_panel(counts))],
            f"Expected calibration error: {errors}. Bars: exact 95 % intervals.",
            legend(evaluations),
        ),
        Chart(
            "What is left when only the best-rated are kept",
            coverage,
            "Coverage counts all targets, missed ones too: a curve ends where the estimates do.",
            legend(evaluations),
        ),
    ]


def legend(names: Iterable[str]) -> list[LegendEntry]:
    """Which curve is whose, in their order; none where there is one curve."""
    entries = [LegendEntry(name, curve_style(index)) for index, name in enumerate(names)]
    return entries if len(entries) > 1 else []


def _accuracy(distances_m: np.ndarray) -> Curve:
    return Curve(THRESHOLDS_M * CM_PER_M, accuracy_curve(distances_m, THRESHOLDS_M))


def _calibration(curve: Reliability) -> Curve:
    filled = curve.bin_count > 0
    interval = np.array([share.interval for share in curve.bins])[filled]
    return Curve(curve.bin_confidence[filled], curve.bin_correct[filled], True, interval)


def _errors(results: Results) -> str:
    measured = results.reliability
    return ", ".join(
        f"{measured[below].expected_calibration_error:.3f} ({title})" for below, title in BELOW_TITLES.items()
    )
