"""`selfpose6d evaluate RUN_OR_CSV ... DATASET`: score predictions, print the tables, write `results.json`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import OmitArgPrefixes, Positional, Suppress

from selfpose6d.cli.output import add_result
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import NoMasksError
from selfpose6d.options import SURFACE_SEED, Several, Unset

if TYPE_CHECKING:
    from selfpose6d.evaluation.evaluate import Evaluation
    from selfpose6d.evaluation.inputs import Reference, ReferenceOptions
    from selfpose6d.evaluation.results import Results

PIPED_WIDTH = 160
"""Columns of the table where there is no terminal: all of them side by side."""


@dataclass(frozen=True)
class ScoredData(DataOptions):
    """A data set with true poses. Without selection, that of the run, if it has one."""

    dataset: Positional[Path]
    """BOP root or YCB-Video root."""
    split: Unset[str] = None
    """Split to score (default: the run's, else the layout's only one, else test)."""
    models: Unset[Path] = None
    """Folder of mesh files (default: the run's, else the data set's own models/)."""
    detections: Suppress[Unset[Path]] = None


@dataclass(frozen=True)
class Command:
    """Score predictions: ADD-S, ADD and ADD(-S) side by side, certified fraction and precision, reliability.

    Poses and certificates are taken as the run's review.jsonl corrects them, if it has one.

    Misses count as failures. Needs the true poses and the models of the data set; images only for --bop. Writes
    results.json and, by instance, instances.csv. Several runs (RUN_A RUN_B ... DATASET) are shown side by side, with
    how much better each is than the first and 95 % intervals of paired resamples.
    """

    run_or_csv: Positional[Path]
    """The --out of annotate or estimate, or a predictions.csv in BOP's form."""
    data: OmitArgPrefixes[ScoredData]
    compare: Several[Path] = ()
    """More runs or predictions files on the same instances, to compare with the first. They may also stand between it
    and the data set: evaluate RUN_A RUN_B DATASET."""
    targets: Unset[Literal["all", "bop19"]] = None
    """Which instances count: those of test_targets_bop19.json, or all with a visible mask (default: bop19
    where the file exists and the split is a test split, else all)."""
    points: Literal["auto", "surface"] = "auto"
    """Model points: the data set's points file, else the vertices (auto), or 2620 samples of the surface."""
    symmetric_ids: Unset[tuple[int, ...]] = None
    """Objects for which ADD(-S) takes ADD-S (default: those that models_info.json declares symmetric, else
    YCB-Video's five)."""
    right: Literal["add-or-adds", "least-add"] = "add-or-adds"
    """Distance by which certified poses are right or wrong: ADD(-S), or the least ADD over the symmetries that
    models_info.json declares (of an object without any: ADD). The metrics stay as they are."""
    bop: bool = False
    """Also measure BOP's average recall: VSD, MSSD, MSPD."""
    detections: Unset[Path] = None
    """Detections file whose boxes and masks are scored too, by COCO's average precision as BOP has it (default: that of
    the first run, if it found its objects itself). Reads the data set's masks."""
    toolbox: bool = False
    """Also show the AUC as YCB_Video_toolbox computes it (it is always in results.json)."""
    out: Unset[Path] = None
    """The results file (default: results.json beside the predictions)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where --bop renders."""
    seed: int = SURFACE_SEED
    """Seed of --points surface, and of the resamples that runs are compared by."""

    def run(self) -> int:
        """Score every run, write its results, print the tables."""
        from selfpose6d.backend import resolve_device
        from selfpose6d.evaluation.evaluate import evaluate, results_path, write_evaluation
        from selfpose6d.evaluation.inputs import load_reference, predictions_path
        from selfpose6d.reporting.console import plain_console
        from selfpose6d.reporting.differences import difference_table, difference_title
        from selfpose6d.reporting.reliability_tables import (
            claim_lines,
            reliability_table,
            review_lines,
            source_lines,
        )
        from selfpose6d.reporting.tables import comparison_table, detection_table, scores_by_object, to_rich
        from selfpose6d.runs.in_use import warn_if_in_use

        console = plain_console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
        runs = [self.run_or_csv, *self.compare]
        for run in runs:
            warn_if_in_use(run)
            predictions_path(run)
        recalls_on = resolve_device(self.device) if self.bop else None
        reference = load_reference(self._reference_options())
        evaluations = [evaluate(run, reference, recalls_on, _tracked) for run in runs]
        evaluations[0] = self._with_detections(evaluations[0], reference)
        evaluations = self._compared(runs, evaluations, reference)
        written = self.out or results_path(self.run_or_csv)
        for run, evaluation in reversed(
            list(zip(runs, evaluations, strict=True))
        ):  # of one folder's files the first wins
            write_evaluation(evaluation, written if run is runs[0] else results_path(run))
        results = {str(run): one.results for run, one in zip(runs, evaluations, strict=True)}
        for run, result in results.items():
            table = scores_by_object(result, reference.names, self.toolbox)
            console.print(to_rich(table, str(run), console.width))
            console.print(to_rich(reliability_table(result), "reliability", console.width))
            if result.detection:
                console.print(to_rich(detection_table(result.detection), "detection", console.width))
            for line in (*source_lines(result), *claim_lines(result), *review_lines(result)):
                console.print(line, highlight=False)
        if len(results) > 1:
            console.print(
                to_rich(
                    comparison_table(results, reference.names, self.toolbox), "side by side", console.width
                )
            )
        for comparison in evaluations[0].results.comparisons:
            table = difference_table(comparison)
            console.print(to_rich(table, difference_title(comparison), console.width))
        console.print(_closing_line(reference, results[str(runs[0])]), highlight=False)
        print(f"written: {written}")
        add_result(results=written, runs={run: result.to_json() for run, result in results.items()})
        return 1 if _many_rows_unreadable(evaluations) else 0

    def _with_detections(self, evaluation: "Evaluation", reference: "Reference") -> "Evaluation":
        """With the scores of the detections, where there are any, and true masks.

        Raises:
            UsageError: there is no such file.
            NoMasksError: `--detections` is given, and there are no masks.
        """
        from selfpose6d.checks import require_existing
        from selfpose6d.evaluation.detection_ap import detection_scores
        from selfpose6d.runs.files import RunFiles

        path = RunFiles(self.run_or_csv).detections
        if self.detections is not None:
            path = require_existing(self.detections, "detections file", "Correct --detections.")
        elif not path.is_file():
            return evaluation
        try:
            dataset = reference.options.data.open(reference.options.split)
        except NoMasksError:
            if self.detections is not None:
                raise
            return evaluation
        vertices_m = {obj_id: reference.models.load(obj_id).vertices_m for obj_id in reference.points}
        scores = detection_scores(path, dataset, reference.truths, vertices_m)
        return replace(evaluation, results=replace(evaluation.results, detection=scores))

    def _compared(
        self, runs: Sequence[Path], evaluations: "list[Evaluation]", reference: "Reference"
    ) -> "list[Evaluation]":
        """The evaluations, in the first what the other runs have more than its own."""
        from selfpose6d.evaluation.compare import compare, require_asked

        if len(runs) == 1:
            return evaluations
        for run in runs:
            require_asked(run, evaluations[0].errors, reference.options.data)
        (first, *others), (baseline, *more) = evaluations, map(str, runs)
        compared = [
            compare(first.errors, other.errors, (baseline, run), self.seed)
            for run, other in zip(more, others, strict=True)
        ]
        return [replace(first, results=replace(first.results, comparisons=tuple(compared))), *others]

    def _reference_options(self) -> "ReferenceOptions":
        """The options as given; split, selection and models as the run's own where they are left open."""
        from selfpose6d.evaluation.inputs import ReferenceOptions
        from selfpose6d.runs.config import read_config
        from selfpose6d.runs.files import RunFiles

        data: DataOptions = self.data
        if RunFiles(self.run_or_csv).config.is_file():
            of_run = DataOptions.of_run(read_config(self.run_or_csv))
            is_given = replace(data.selection, sensor=None).describe()  # a sensor leaves the frames open
            chosen = data.selection if is_given else of_run.selection
            data = replace(
                data,
                split=data.split or of_run.split,
                selection=replace(chosen, sensor=data.selection.sensor or of_run.selection.sensor),
                models=data.models or of_run.models,
                model_unit=data.model_unit or of_run.model_unit,
            )
        return ReferenceOptions(data, self.targets, self.points, self.symmetric_ids, self.seed, self.right)


def _many_rows_unreadable(evaluations: "Iterable[Evaluation]") -> bool:
    """Whether a tenth or more of the rows of a predictions file were left out; the warnings have said which."""
    from selfpose6d.cli.frames import UNUSABLE_SHARE

    counts = [evaluation.rows for evaluation in evaluations]
    return any(rows.left_out and rows.left_out >= UNUSABLE_SHARE * rows.total for rows in counts)


def rewrite_arguments(arguments: Sequence[str]) -> list[str]:
    """`RUN_A RUN_B ... DATASET` at the front as `RUN_A DATASET --compare RUN_B ...`: what the parser takes."""
    leading = list(takewhile(lambda word: not word.startswith("-"), arguments))
    if len(leading) < 3:
        return list(arguments)
    first, *others, dataset = leading
    return [first, dataset, "--compare", *others, *arguments[len(leading) :]]


def _closing_line(reference: "Reference", results: "Results") -> str:
    chosen = reference.options.data.selection.describe()
    selection = f"only {chosen} (the run's selection unless given)" if chosen else "the whole split"
    return f"scored: {results.instances} instances, targets {reference.options.targets}, {selection}"


def _tracked(items: Sequence) -> Iterable:
    from selfpose6d.reporting.console import progress_bar

    with progress_bar() as progress:
        yield from progress.track(items, description="recalls")
