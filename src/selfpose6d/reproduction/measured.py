"""What was measured of each column, gathered from its run folders."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.results import Results, read_results
from selfpose6d.reproduction.columns import Workshop
from selfpose6d.reproduction.plan import Column, Training
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines


@dataclass(frozen=True)
class TrainingFacts:
    """How a network was trained, as its run folder says; None and "" where it does not."""

    recipe: str
    size: str
    steps: int | None
    minutes: float | None
    """Of its training here; None of a run that was taken."""
    batch: int | None
    taken_from: Path | None = None


@dataclass(frozen=True)
class MeasuredColumn:
    """A column with its scores; `results` None and a reason where there are none."""

    column: Column
    results: Results | None
    training: TrainingFacts | None
    predictions_from: Path | None = None
    """The run whose poses these are, where it was taken."""
    missing_because: str = ""


def gather(shop: Workshop, reasons: Mapping[str, str]) -> tuple[MeasuredColumn, ...]:
    """Every column, scored or not; `reasons` says why some could not be made."""
    return tuple(_measured(shop, column, reasons.get(column.name, "")) for column in shop.plan.columns)


def _measured(shop: Workshop, column: Column, reason: str) -> MeasuredColumn:
    taken = shop.taken.predictions.get(column.name)
    path = shop.results_path(column)
    results = None
    if f"evaluate {column.name}" in shop.steps:
        results = read_results(path)
    facts = None
    if column.training is not None and taken is None:
        with suppress(SelfPose6DError):  # not trained yet
            facts = _training_facts(shop, column.training)
    return MeasuredColumn(column, results, facts, taken, reason or ("" if results else "not made yet"))


def _training_facts(shop: Workshop, training: Training) -> TrainingFacts:
    folder, taken = shop.model_folder(training), shop.taken.models.get(training.name)
    options: Mapping[str, Any] = read_config(folder).options
    settings = options.get("recipe_settings") or {}
    wall_s = shop.steps.wall_s(f"train {training.name}")
    return TrainingFacts(
        str(options.get("recipe", training.recipe)),
        str(options.get("size", "")),
        _last_step(folder),
        None if wall_s is None else wall_s / 60,
        settings.get("batch"),
        taken,
    )


def _last_step(folder: Path) -> int | None:
    log = RunFiles(folder).log
    steps = [row["step"] for _, row in read_lines(log)] if log.is_file() else []
    return max(steps, default=None)
