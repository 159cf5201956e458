"""What stands on the page of `report`: everything that the run's files and the data set allow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from selfpose6d.errors import SelfPose6DError, UsageError
from selfpose6d.evaluation.estimates import predictions_path, read_estimates
from selfpose6d.evaluation.evaluate import (
    Evaluation,
    evaluate,
    read_evaluation,
    results_path,
    write_evaluation,
)
from selfpose6d.evaluation.inputs import Reference, load_reference
from selfpose6d.evaluation.instances import Estimates
from selfpose6d.evaluation.results import Results
from selfpose6d.reporting.about_run import describe_run, names_of_objects, run_folders
from selfpose6d.reporting.charts import accuracy_chart, reliability_charts
from selfpose6d.reporting.differences import compared
from selfpose6d.reporting.galleries import draw_pictures
from selfpose6d.reporting.instance_list import instance_list
from selfpose6d.reporting.instances import RunInstance, run_instances
from selfpose6d.reporting.learning_charts import learning_charts
from selfpose6d.reporting.page import Report, Statistic, StatusCount
from selfpose6d.reporting.reliability_tables import (
    claim_lines,
    reliability_table,
    review_lines,
    source_lines,
)
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.reporting.run_summary import (
    STATUSES,
    read_run_skipped,
    reason_table,
    status_table,
    turned_away_table,
)
from selfpose6d.reporting.shown_text import unique_titles
from selfpose6d.reporting.tables import TextTable, comparison_table, detection_table, scores_by_object
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.types import PoseEstimate

NO_STATUS = "estimated"
"""Of a pose without certificate."""


def gather(sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    """Everything that can be said of the run; what cannot is a note on the page.

    `compare` are more runs, `pictures` how many frames and instances of each kind are shown.

    Raises:
        UsageError: the run has neither predictions nor a training log, or a run to compare with has no predictions.
        DataError: a file of the run is broken.
    """
    learning = learning_charts(sources.training)
    subtitle, about, options = describe_run(sources)
    report = Report(
        sources.run.resolve().name,
        subtitle,
        about,
        options,
        charts=learning,
        folders=run_folders(sources, tuple(compare)),
    )
    if sources.has_predictions:
        return _with_predictions(report, sources, compare, pictures)
    if learning:
        return report
    raise UsageError(
        f"nothing to report: {sources.run} has neither {sources.files.predictions.name} nor "
        f"{sources.files.log.name}. Pass the --out of annotate, estimate or train."
    )


def _with_predictions(report: Report, sources: RunSources, compare: Sequence[Path], pictures: int) -> Report:
    runs = [sources.run, *compare]
    for run in runs:
        predictions_path(run)
    titles, names = dict(zip(runs, unique_titles(runs), strict=True)), names_of_objects(sources)
    evaluations, not_scored = _evaluations(sources, titles)
    main, (estimates, _) = next(iter(evaluations.values()), None), read_estimates(sources.run)
    instances = {title: _instances(run, evaluations.get(title), names) for run, title in titles.items()}
    own = next(iter(instances.values()))
    differences, refused = compared(runs, sources.data, evaluations)
    drawn = draw_pictures(sources, instances, main.results.symmetric_ids if main else (), pictures)
    charts = [accuracy_chart(evaluations), *reliability_charts(evaluations)] if evaluations else []
    return replace(
        report,
        statuses=_statuses(own),
        statistics=_statistics(main) if main else (),
        galleries=drawn.galleries,
        instances=instance_list(own, drawn),
        tables=[
            *_tables(evaluations, estimates, read_run_skipped(sources.files), names),
            *_turned_away(sources, names),
            *differences,
        ],
        charts=[*charts, *report.charts],
        notes=_said_of(main),
        warnings=[*not_scored, *drawn.notes, *refused],
    )


def _instances(source: Path, evaluation: Evaluation | None, names: Mapping[int, str]) -> list[RunInstance]:
    estimates, _ = read_estimates(source)
    skipped = read_run_skipped(RunFiles(source)) if source.is_dir() else []
    return run_instances(source, estimates, skipped, evaluation.errors if evaluation else None, names)


def _statuses(instances: Sequence[RunInstance]) -> list[StatusCount]:
    """Every certificate's status, and the others that there are."""
    counts = Counter(one.status or NO_STATUS for one in instances)
    shown = STATUSES if any(counts[status] for status in STATUSES) else ()
    return [StatusCount(status, counts[status]) for status in dict.fromkeys([*shown, *counts])]


def _said_of(evaluation: Evaluation | None) -> list[str]:
    """What poses came from, what the run's certificates promise and what was measured of it, what a review changed."""
    if evaluation is None:
        return []
    results = evaluation.results
    claims = "; ".join(map(str.strip, claim_lines(results)))
    return [*source_lines(results), *([claims] if claims else []), *review_lines(results)]


def _evaluations(sources: RunSources, titles: Mapping[Path, str]) -> tuple[dict[str, Evaluation], list[str]]:
    """Every run against one reference: as `evaluate` wrote it, else evaluated now. Or why there are no scores."""
    reference = sources.reference
    if reference is None:
        return {}, ["Not scored and no pictures: the run does not say its data set; pass --dataset DIR."]
    loaded: Reference | None = None
    evaluations = {}
    try:
        for run, title in titles.items():
            evaluation = read_evaluation(run, loaded.options if loaded else reference)
            if evaluation is None:
                loaded = loaded or load_reference(reference)
                evaluation = evaluate(run, loaded)
                if run == sources.run and sources.results is None:  # an evaluation of other choice stays
                    with suppress(OSError):  # a folder that cannot be written is scored again next time
                        write_evaluation(evaluation, results_path(run))
            evaluations[title] = evaluation
    except SelfPose6DError as error:
        return {}, [f"Not scored: {error}"]
    return evaluations, []


def _statistics(evaluation: Evaluation) -> list[Statistic]:
    results = evaluation.results
    pooled = results.pooled
    statistics = [
        Statistic(f"{pooled.adds_auc:.1f}", "ADD-S AUC, pooled"),
        Statistic(f"{pooled.add_auc:.1f}", "ADD AUC, pooled"),
        Statistic(f"{pooled.add_or_adds_auc:.1f}", "ADD(-S) AUC, pooled"),
        Statistic(f"{results.instances}", f"targets, {results.missed} missed"),
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
        tables.append(("Runs side by side", comparison_table(results, names, toolbox=True, wide=True)))
    tables += [(_reliability_title(title, results), reliability_table(run)) for title, run in results.items()]
    if estimates.status.any() or skipped:
        tables.append(("Certificates", status_table(estimates, skipped, names)))
    tables += [
        ("Boxes and masks that were found", detection_table(run.detection))
        for run in results.values()
        if run.detection
    ]
    reasons = reason_table(estimates, skipped, names)
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
