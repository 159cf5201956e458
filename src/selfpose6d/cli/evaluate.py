"""`selfpose6d evaluate RUN_OR_CSV DATASET`: score predictions, print the table, write `results.json`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import OmitArgPrefixes, Positional

from selfpose6d.selection import Selection

if TYPE_CHECKING:
    from selfpose6d.evaluation.inputs import Reference, ReferenceOptions
    from selfpose6d.evaluation.results import Results

RESULTS_NAME = "results.json"
SURFACE_SEED = 0
PIPED_WIDTH = 160


@dataclass(frozen=True)
class Command:
    """Score predictions: ADD-S, ADD and ADD(-S) side by side, certified share and precision.

    Misses count as failures. Needs the true poses and the models of the data set; images only for --bop.
    """

    run_or_csv: Positional[Path]
    """The --out of annotate or estimate, or a predictions.csv in BOP's form."""
    dataset: Positional[Path]
    """BOP root or YCB-Video root with true poses."""
    compare: tuple[Path, ...] = ()
    """More runs or predictions files, for a table side by side."""
    split: str | None = None
    """The split to score (default: the run's, else test)."""
    targets: Literal["all", "bop19"] | None = None
    """Which instances count: those of test_targets_bop19.json, or all with a visible mask (default: bop19
    where the file exists and the split is a test split, else all)."""
    points: Literal["auto", "surface"] = "auto"
    """Model points: the data set's points file, else the vertices (auto), or 2620 samples of the surface."""
    symmetric_ids: tuple[int, ...] | None = None
    """Objects for which ADD(-S) takes ADD-S (default: those that models_info.json declares symmetric, else
    YCB-Video's five)."""
    bop: bool = False
    """Also measure BOP's average recall: VSD, MSSD, MSPD."""
    toolbox: bool = False
    """Also show the AUC as YCB_Video_toolbox computes it (it is always in results.json)."""
    out: Path | None = None
    """The results file (default: results.json beside the predictions)."""
    models: Path | None = None
    """Folder of models (default: the run's, else the data set's models/)."""
    model_unit: Literal["mm", "m"] | None = None
    """Unit of the models where the data set does not say it."""
    selection: OmitArgPrefixes[Selection] = field(default_factory=Selection)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where --bop renders."""
    seed: int = SURFACE_SEED
    """Seed of --points surface."""

    def run(self) -> int:
        """Score every run, write its results, print the tables."""
        from rich.console import Console

        from selfpose6d.cli.device import resolve_device
        from selfpose6d.evaluation.evaluate import evaluate
        from selfpose6d.evaluation.inputs import load_reference, predictions_path
        from selfpose6d.evaluation.results import write_results
        from selfpose6d.reporting.tables import comparison_table, object_table, to_rich

        console = Console(width=None if _is_terminal() else PIPED_WIDTH)
        runs = [self.run_or_csv, *self.compare]
        for run in runs:
            predictions_path(run)
        recalls_on = resolve_device(self.device) if self.bop else None
        reference = load_reference(self._reference_options())
        results: dict[str, Results] = {}
        for run in runs:
            results[str(run)] = evaluate(run, reference, recalls_on, _tracked).results
            path = predictions_path(run).with_name(RESULTS_NAME)
            write_results(results[str(run)], self.out if self.out and run is runs[0] else path)
        for run, result in results.items():
            console.print(
                to_rich(object_table(result, reference.names, self.toolbox), str(run), console.width)
            )
        if len(results) > 1:
            console.print(to_rich(comparison_table(results, self.toolbox), "side by side", console.width))
        console.print(_closing_line(reference, results[str(runs[0])]), highlight=False)
        print(f"written: {self.out or predictions_path(runs[0]).with_name(RESULTS_NAME)}")
        return 0

    def _reference_options(self) -> "ReferenceOptions":
        """The options as given; split, selection and models as the run's own where they are left open."""
        from selfpose6d.evaluation.inputs import (
            ReferenceOptions,
            recorded_config,
            recorded_path,
            recorded_selection,
            recorded_unit,
        )

        config = recorded_config(self.run_or_csv)
        is_open = not self.selection.describe()
        return ReferenceOptions(
            root=self.dataset,
            split=self.split or (config.split if config else "test"),
            selection=recorded_selection(config) if config and is_open else self.selection,
            targets=self.targets,
            points=self.points,
            symmetric_ids=self.symmetric_ids,
            models_dir=self.models or recorded_path(config, "models"),
            model_unit=self.model_unit or recorded_unit(config),
            surface_seed=self.seed,
        )


def _closing_line(reference: "Reference", results: "Results") -> str:
    chosen = reference.options.selection.describe()
    selection = f"only {chosen} (the run's selection unless given)" if chosen else "the whole split"
    return f"scored: {results.instances} instances, targets {reference.targets}, {selection}"


def _tracked(items: Sequence) -> Iterable:
    from selfpose6d.reporting.console import progress_bar

    with progress_bar() as progress:
        yield from progress.track(items, description="recalls")


def _is_terminal() -> bool:
    import sys

    return sys.stdout.isatty()
