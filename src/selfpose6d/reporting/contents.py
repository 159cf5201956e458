"""What stands on the page of `report`: everything that the run's files and the data set allow."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.evaluation.evaluate import Evaluation, evaluate
from selfpose6d.evaluation.inputs import Reference, load_reference, read_estimates
from selfpose6d.evaluation.instances import Estimates
from selfpose6d.reporting.charts import accuracy_chart, learning_charts, reliability_charts
from selfpose6d.reporting.page import Figure, Gallery, Report
from selfpose6d.reporting.pictures import entry_picture, frame_pictures, instance_entries, open_studio
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.reporting.run_summary import read_run_skipped, reason_table, status_table
from selfpose6d.reporting.tables import TextTable, comparison_table, object_table
from selfpose6d.types import PoseEstimate
from selfpose6d.viz.contact_sheet import draw_contact_sheet
from selfpose6d.viz.image_files import write_png

STRIP_NOTE = "ObservedImages, rendering at the estimated pose, outline."
SHEET_NAMES = {"worst": "contact_sheet_worst.png", "rejected": "contact_sheet_rejected.png"}


def gather(sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    """Everything that can be said of the run; what cannot is a note on the page.

    `compare` are more runs, `pictures` how many frames, worst and rejected instances are shown, each.

    Raises:
        UsageError: the run has neither predictions nor a training log.
        DataError: a file of the run is broken.
    """
    learning = learning_charts(sources.training)
    report = Report(sources.run.resolve().name, _facts(sources), charts=learning)
    if sources.has_predictions:
        return _with_predictions(report, sources, compare, pictures)
    if learning:
        return report
    raise UsageError(
        f"nothing to report: {sources.run} has neither predictions.csv nor log.jsonl. "
        "Pass the --out of annotate, estimate or train."
    )


def _with_predictions(report: Report, sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    reference, evaluations, notes = _evaluate(sources, compare)
    main = next(iter(evaluations.values()), None)
    estimates = main.estimates if main else read_estimates(sources.run)[0]
    names = reference.names if reference else {}
    galleries, missing = _galleries(sources, estimates, main, names, pictures)
    charts = [accuracy_chart(evaluations), *reliability_charts(evaluations)] if evaluations else []
    return replace(
        report,
        figures=_figures(main) if main else (),
        tables=_tables(evaluations, estimates, read_run_skipped(sources.run), names),
        charts=[*charts, *report.charts],
        galleries=galleries,
        notes=[*notes, *missing],
    )


def _facts(sources: RunSources) -> dict[str, str]:
    facts = {"run": str(sources.run.resolve())}
    if sources.reference is not None:
        chosen = sources.reference.selection.describe()
        facts["data set"] = f"{sources.reference.root}, split {sources.reference.split} {chosen}".strip()
    if (config := sources.config) is not None:
        used = _flat(config.options)
        facts["made by"] = (
            f"{config.command}, selfpose6d {config.version} {(config.commit or '')[:12]}".strip()
        )
        facts["options"] = ", ".join(f"{name} {value}" for name, value in used.items()) or "defaults"
    return facts


def _flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options in use; those of a group under `group.name`."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif value not in (None, [], ""):
            flat[prefix + name] = value
    return flat


def _evaluate(
    sources: RunSources, compare: Sequence[Path]
) -> tuple[Reference | None, dict[str, Evaluation], list[str]]:
    """Score the runs where there are true poses; else say why not."""
    if sources.reference is None:
        return (
            None,
            {},
            ["Not scored and no pictures: the run does not say its data set; pass --dataset DIR."],
        )
    runs = [sources.run, *compare]
    try:
        reference = load_reference(sources.reference)
        return reference, {_title(run, runs): evaluate(run, reference) for run in runs}, []
    except SelfPose6DError as error:
        return None, {}, [f"Not scored: {error}"]


def _title(run: Path, runs: list[Path]) -> str:
    """The folder's name where it is enough to tell the runs apart."""
    return run.name if [other.name for other in runs].count(run.name) == 1 else str(run)


def _figures(evaluation: Evaluation) -> list[Figure]:
    results = evaluation.results
    pooled = results.pooled
    figures = [
        Figure(f"{pooled.adds_auc:.1f}", "ADD-S AUC, pooled"),
        Figure(f"{pooled.add_auc:.1f}", "ADD AUC, pooled"),
        Figure(f"{pooled.add_or_adds_auc:.1f}", "ADD(-S) AUC, pooled"),
        Figure(f"{results.instances}", f"instances, {results.missed} missed"),
    ]
    if np.isfinite(results.certified_share):
        figures.append(Figure(f"{100 * results.certified_share:.0f} %", "certified"))
    if np.isfinite(results.certified_precision):
        figures.append(Figure(f"{100 * results.certified_precision:.1f} %", "of certified within 2 cm"))
    return figures


def _tables(
    evaluations: Mapping[str, Evaluation],
    estimates: Estimates,
    skipped: list[PoseEstimate],
    names: Mapping[int, str],
) -> list[tuple[str, TextTable]]:
    results = {title: evaluation.results for title, evaluation in evaluations.items()}
    tables = [
        ("Scores by object", object_table(run, names, toolbox=True)) for run in list(results.values())[:1]
    ]
    if len(results) > 1:
        tables.append(("Runs side by side", comparison_table(results, toolbox=True)))
    if estimates.status.any() or skipped:
        tables.append(("Certificates", status_table(estimates, skipped, names)))
    reasons = reason_table(estimates, skipped)
    return [*tables, ("Why instances are not certified", reasons)] if reasons.rows else tables


def _galleries(
    sources: RunSources,
    estimates: Estimates,
    evaluation: Evaluation | None,
    names: Mapping[int, str],
    count: int,
) -> tuple[list[Gallery], list[str]]:
    """Frames, the worst and the rejected; contact sheets of these are written beside the page."""
    if sources.reference is None or not count or not len(estimates):
        return [], []
    try:
        studio = open_studio(sources.open_dataset(), estimates, names)
    except SelfPose6DError as error:
        return [], [f"No pictures: {error}"]
    galleries = [Gallery("Frames", "", frame_pictures(studio, estimates, count))]
    for name, title, rows in _chosen(estimates, evaluation):
        entries = instance_entries(studio, estimates, rows[:count].tolist(), evaluation)
        if entries:
            write_png(sources.run / SHEET_NAMES[name], draw_contact_sheet(studio.meshes, entries))
            galleries.append(Gallery(title, STRIP_NOTE, [entry_picture(studio, entry) for entry in entries]))
    return galleries, []


def _chosen(estimates: Estimates, evaluation: Evaluation | None) -> list[tuple[str, str, np.ndarray]]:
    """Rows of the worst estimates, farthest first, and of the rejected and ambiguous, most confident first."""
    order = np.argsort(-estimates.confidence, kind="stable")
    status = estimates.status[order]
    turned_down = np.concatenate([order[status == "rejected"], order[status == "ambiguous"]])
    chosen = [("rejected", "Rejected and ambiguous instances", turned_down)]
    if evaluation is not None:
        scores = evaluation.scores
        found = np.flatnonzero(~scores.missed)
        worst = scores.estimate[found[np.argsort(-scores.add_or_adds_m[found], kind="stable")]]
        chosen.insert(0, ("worst", "Worst instances by ADD(-S)", worst))
    return chosen
