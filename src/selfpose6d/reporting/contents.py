"""What stands on the page of `report`: everything that the run's files and the data set allow."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.evaluation.errors_file import InstanceErrors
from selfpose6d.evaluation.evaluate import (
    Evaluation,
    evaluate,
    read_evaluation,
    results_path,
    write_evaluation,
)
from selfpose6d.evaluation.inputs import Reference, load_reference, read_estimates
from selfpose6d.evaluation.instances import Estimates
from selfpose6d.evaluation.results import Results
from selfpose6d.image_files import write_png
from selfpose6d.reporting.charts import accuracy_chart, learning_charts, reliability_charts
from selfpose6d.reporting.differences import compared
from selfpose6d.reporting.page import Gallery, Report, Statistic
from selfpose6d.reporting.pictures import (
    entry_picture,
    frame_pictures,
    instance_entries,
    mask_pictures,
    open_renderer,
)
from selfpose6d.reporting.reliability_tables import claim_lines, reliability_table, source_lines
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.reporting.run_summary import read_run_skipped, reason_table, status_table, turned_away_table
from selfpose6d.reporting.tables import TextTable, comparison_table, detection_table, scores_by_object
from selfpose6d.runs.config import flat_options
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.types import PoseEstimate
from selfpose6d.viz.contact_sheet import draw_contact_sheet

STRIP_NOTE = "Observed image, rendering at the estimated pose, outline."


def gather(sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    """Everything that can be said of the run; what cannot is a note on the page.

    `compare` are more runs, `pictures` how many frames, worst and rejected instances are shown, each.

    Raises:
        UsageError: the run has neither predictions nor a training log.
        DataError: a file of the run is broken.
    """
    learning = learning_charts(sources.training)
    report = Report(sources.run.resolve().name, _metadata(sources), charts=learning)
    if sources.has_predictions:
        return _with_predictions(report, sources, compare, pictures)
    if learning:
        return report
    raise UsageError(
        f"nothing to report: {sources.run} has neither {sources.files.predictions.name} nor "
        f"{sources.files.log.name}. Pass the --out of annotate, estimate or train."
    )


def _with_predictions(report: Report, sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    evaluations, notes = _evaluations(sources, compare)
    main, (estimates, _) = next(iter(evaluations.values()), None), read_estimates(sources.run)
    names = _names(main)
    differences, refused = compared([sources.run, *compare], sources.data, evaluations)
    galleries, missing = _galleries(sources, estimates, main, names, pictures)
    charts = [accuracy_chart(evaluations), *reliability_charts(evaluations)] if evaluations else []
    return replace(
        report,
        statistics=_statistics(main) if main else (),
        tables=[
            *_tables(evaluations, estimates, read_run_skipped(sources.files), names),
            *_turned_away(sources, names),
            *differences,
        ],
        charts=[*charts, *report.charts],
        galleries=galleries,
        notes=[*notes, *missing, *refused, *(source_lines(main.results) if main else ()), *_claims(main)],
    )


def _claims(evaluation: Evaluation | None) -> list[str]:
    """What the run's certificates promise and what was measured of it, one note a claim."""
    lines = claim_lines(evaluation.results) if evaluation else []
    return [" ".join(lines)] if lines else []


def _metadata(sources: RunSources) -> dict[str, str]:
    metadata = {"run": str(sources.run.resolve())}
    if (data := sources.data) is not None:
        chosen = data.selection.describe()
        metadata["data set"] = f"{data.dataset}, split {data.split or 'test'} {chosen}".strip()
    if (config := sources.config) is not None:
        used = {name: value for name, value in flat_options(config.options) if value not in (None, [], "")}
        metadata["made by"] = (
            f"{config.command}, selfpose6d {config.version} {(config.commit or '')[:12]}".strip()
        )
        metadata["options"] = ", ".join(f"{name} {value}" for name, value in used.items()) or "defaults"
    return metadata


def _evaluations(sources: RunSources, compare: Sequence[Path]) -> tuple[dict[str, Evaluation], list[str]]:
    """Every run against one reference: as `evaluate` wrote it, else evaluated now. Or why there are no scores."""
    runs, reference = [sources.run, *compare], sources.reference
    if reference is None:
        return {}, ["Not scored and no pictures: the run does not say its data set; pass --dataset DIR."]
    loaded: Reference | None = None
    evaluations = {}
    try:
        for run in runs:
            evaluation = read_evaluation(run, loaded.options if loaded else reference)
            if evaluation is None:
                loaded = loaded or load_reference(reference)
                evaluation = evaluate(run, loaded)
                if run == sources.run and sources.results is None:  # an evaluation of other choice stays
                    with suppress(OSError):  # a folder that cannot be written is scored again next time
                        write_evaluation(evaluation, results_path(run))
            evaluations[_title(run, runs)] = evaluation
    except SelfPose6DError as error:
        return {}, [f"Not scored: {error}"]
    return evaluations, []


def _names(evaluation: Evaluation | None) -> dict[int, str]:
    """Object names by id, where they are known."""
    if evaluation is None:
        return {}
    pairs = zip(evaluation.errors.obj_id.tolist(), evaluation.errors.name.tolist(), strict=True)
    return {obj_id: name for obj_id, name in pairs if name}


def _title(run: Path, runs: list[Path]) -> str:
    """The folder's name where it is enough to tell the runs apart."""
    return run.name if [other.name for other in runs].count(run.name) == 1 else str(run)


def _statistics(evaluation: Evaluation) -> list[Statistic]:
    results = evaluation.results
    pooled = results.pooled
    statistics = [
        Statistic(f"{pooled.adds_auc:.1f}", "ADD-S AUC, pooled"),
        Statistic(f"{pooled.add_auc:.1f}", "ADD AUC, pooled"),
        Statistic(f"{pooled.add_or_adds_auc:.1f}", "ADD(-S) AUC, pooled"),
        Statistic(f"{results.instances}", f"instances, {results.missed} missed"),
    ]
    if np.isfinite(results.certified_share):
        statistics.append(Statistic(f"{100 * results.certified_share:.0f} %", "certified"))
    if np.isfinite(results.certified_precision):
        below = {"2 cm": results.certified_precision, "10 % of d": results.certified_precision_below_10pct}
        for limit, precision in below.items():
            statistics.append(Statistic(f"{100 * precision:.1f} %", f"of certified within {limit}"))
    return statistics


def _tables(
    evaluations: Mapping[str, Evaluation],
    estimates: Estimates,
    skipped: list[PoseEstimate],
    names: Mapping[int, str],
) -> list[tuple[str, TextTable]]:
    results = {title: evaluation.results for title, evaluation in evaluations.items()}
    tables = [
        ("Scores by object", scores_by_object(run, names, True, wide=True))
        for run in list(results.values())[:1]
    ]
    if len(results) > 1:
        tables.append(("Runs side by side", comparison_table(results, toolbox=True, wide=True)))
    tables += [(_reliability_title(title, results), reliability_table(run)) for title, run in results.items()]
    if estimates.status.any() or skipped:
        tables.append(("Certificates", status_table(estimates, skipped, names)))
    tables += [
        ("Boxes and masks that were found", detection_table(run.detection))
        for run in results.values()
        if run.detection
    ]
    reasons = reason_table(estimates, skipped)
    return [*tables, ("Why instances are not certified", reasons)] if reasons.rows else tables


def _turned_away(sources: RunSources, names: Mapping[int, str]) -> list[tuple[str, TextTable]]:
    """What was tried where objects were found, and why it is not among them."""
    path = sources.files.turned_away
    if not path.is_file():
        return []
    table = turned_away_table((row for _, row in read_lines(path)), names)
    return [("What was tried and turned away", table)] if table.rows else []


def _reliability_title(title: str, results: Mapping[str, Results]) -> str:
    return "Reliability" if len(results) == 1 else f"Reliability of {title}"


def _galleries(
    sources: RunSources,
    estimates: Estimates,
    evaluation: Evaluation | None,
    names: Mapping[int, str],
    count: int,
) -> tuple[list[Gallery], list[str]]:
    """Frames, the worst and the rejected; contact sheets of these are written beside the page."""
    if sources.data is None or not count or not len(estimates):
        return [], []
    errors = evaluation.errors if evaluation else None
    chosen = [(name, title, rows[:count]) for name, title, rows in _chosen(estimates, errors)]
    outlined = estimates.take(np.concatenate([rows for _, _, rows in chosen]))
    try:
        renderer = open_renderer(sources.open_dataset(), estimates, names, outlined)
    except SelfPose6DError as error:
        return [], [f"No pictures: {error}"]
    galleries = [Gallery("Frames", "", frame_pictures(renderer, estimates, count))]
    if masks := mask_pictures(sources.files.masks, count):
        galleries.append(Gallery("What was found", "Grey boxes: tried and turned away.", masks))
    for name, title, rows in chosen:
        entries = instance_entries(renderer, estimates, rows.tolist(), errors)
        if entries:
            write_png(sources.files.contact_sheet(name), draw_contact_sheet(renderer.meshes, entries))
            galleries.append(
                Gallery(title, STRIP_NOTE, [entry_picture(renderer, entry) for entry in entries])
            )
    return galleries, []


def _chosen(estimates: Estimates, errors: InstanceErrors | None) -> list[tuple[str, str, np.ndarray]]:
    """Rows of the worst estimates, farthest first, and of the rejected and ambiguous, most confident first."""
    order = np.argsort(-estimates.confidence, kind="stable")
    status = estimates.status[order]
    uncertified = np.concatenate([order[status == "rejected"], order[status == "ambiguous"]])
    chosen = [("rejected", "Rejected and ambiguous instances", uncertified)]
    if errors is not None:
        found = np.flatnonzero(~errors.missed)
        worst = errors.prediction_row[found[np.argsort(-errors.add_or_adds_m[found], kind="stable")]]
        chosen.insert(0, ("worst", "Worst instances by ADD(-S)", worst))
    return chosen
