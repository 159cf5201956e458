"""`selfpose6d evaluate RUN_OR_CSV DATASET`: score predictions, print the table, write `results.json`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import OmitArgPrefixes, Positional, Suppress

from selfpose6d.datasets.options import DataOptions
from selfpose6d.options import SURFACE_SEED, Several, Unset

if TYPE_CHECKING:
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

    Misses count as failures. Needs the true poses and the models of the data set; images only for --bop. Writes
    results.json and, by instance, instances.csv.
    """

    run_or_csv: Positional[Path]
    """The --out of annotate or estimate, or a predictions.csv in BOP's form."""
    data: OmitArgPrefixes[ScoredData]
    compare: Several[Path] = ()
    """More runs or predictions files, for a table side by side."""
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
    toolbox: bool = False
    """Also show the AUC as YCB_Video_toolbox computes it (it is always in results.json)."""
    out: Unset[Path] = None
    """The results file (default: results.json beside the predictions)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where --bop renders."""
    seed: int = SURFACE_SEED
    """Seed of --points surface."""

    def run(self) -> int:
        """Score every run, write its results, print the tables."""
        from rich.console import Console

        from selfpose6d.backend import resolve_device
        from selfpose6d.evaluation.evaluate import evaluate, results_path, write_evaluation
        from selfpose6d.evaluation.inputs import load_reference, predictions_path
        from selfpose6d.reporting.reliability_tables import claim_lines, reliability_table
        from selfpose6d.reporting.tables import comparison_table, scores_by_object, to_rich

        console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
        runs = [self.run_or_csv, *self.compare]
        for run in runs:
            predictions_path(run)
        recalls_on = resolve_device(self.device) if self.bop else None
        reference = load_reference(self._reference_options())
        results: dict[str, Results] = {}
        written = self.out or results_path(self.run_or_csv)
        for run in runs:
            evaluation = evaluate(run, reference, recalls_on, _tracked)
            write_evaluation(evaluation, written if run is runs[0] else results_path(run))
            results[str(run)] = evaluation.results
        for run, result in results.items():
            table = scores_by_object(result, reference.names, self.toolbox)
            console.print(to_rich(table, str(run), console.width))
            console.print(to_rich(reliability_table(result), "reliability", console.width))
            for line in claim_lines(result):
                console.print(line, highlight=False)
        if len(results) > 1:
            console.print(to_rich(comparison_table(results, self.toolbox), "side by side", console.width))
        console.print(_closing_line(reference, results[str(runs[0])]), highlight=False)
        print(f"written: {written}")
        return 0

    def _reference_options(self) -> "ReferenceOptions":
        """The options as given; split, selection and models as the run's own where they are left open."""
        from selfpose6d.evaluation.inputs import ReferenceOptions
        from selfpose6d.runs.config import read_config
        from selfpose6d.runs.files import RunFiles

        data: DataOptions = self.data
        if RunFiles(self.run_or_csv).config.is_file():
            of_run = DataOptions.of_run(read_config(self.run_or_csv))
            data = replace(
                data,
                split=data.split or of_run.split,
                selection=data.selection if data.selection.describe() else of_run.selection,
                models=data.models or of_run.models,
                model_unit=data.model_unit or of_run.model_unit,
            )
        return ReferenceOptions(data, self.targets, self.points, self.symmetric_ids, self.seed, self.right)


def _closing_line(reference: "Reference", results: "Results") -> str:
    chosen = reference.options.data.selection.describe()
    selection = f"only {chosen} (the run's selection unless given)" if chosen else "the whole split"
    return f"scored: {results.instances} instances, targets {reference.options.targets}, {selection}"


def _tracked(items: Sequence) -> Iterable:
    from selfpose6d.reporting.console import progress_bar

    with progress_bar() as progress:
        yield from progress.track(items, description="recalls")
