"""What a reproduction is asked for, checked at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.network.config import Size
from selfpose6d.reproduction.budget import LEAST_MINUTES
from selfpose6d.reproduction.plan import TableName

RENDERED_TRAIN, RENDERED_TEST = 1200, 60
"""Frames of a rendered data set unless said otherwise: 75 s of rendering on two cores, 6,000 training instances."""


@dataclass(frozen=True)
class Request:
    """The options of `reproduce`; see there."""

    table: TableName
    out: Path
    dataset: Path | None = None
    models: Path | None = None
    model_unit: Unit | None = None
    objects: tuple[int, ...] = ()
    columns: tuple[str, ...] = ()
    budget_minutes: float | None = None
    max_steps: int | None = None
    size: Size = "small"
    literal: bool = False
    train_split: str | None = None
    test_split: str = "test"
    train_frames: int | None = None
    test_frames: int | None = None
    runs: Mapping[str, Path] = field(default_factory=dict)
    device: str = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        counts = {"--max-steps": self.max_steps, "--train-frames": self.train_frames}
        counts |= {"--test-frames": self.test_frames}
        for name, value in counts.items():
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}.")
        if self.budget_minutes is not None and not self.budget_minutes > 0:
            raise UsageError(f"--budget must be more than 0 minutes, got {self.budget_minutes:g}.")

    def require_limit(self, trainings: int) -> None:
        """Say how long to train.

        Raises:
            UsageError: nothing says it, or a budget is too small whatever is measured.
        """
        if not trainings or self.max_steps is not None:
            return
        if self.budget_minutes is None:
            raise UsageError(
                f"say how long {self.table} may take: pass --budget MINUTES for everything, or --max-steps N for "
                "each training."
            )
        if self.budget_minutes < trainings * LEAST_MINUTES:
            raise UsageError(
                f"--budget {self.budget_minutes:g} is too small to train anything: {trainings} trainings take at "
                f"least {LEAST_MINUTES:g} minute each. Pass a longer one, or --max-steps N, which always runs."
            )

    def to_json(self) -> dict[str, Any]:
        """All that changes what is made; the budget apart, which is kept with what it was shared out to."""
        return {
            "table": self.table,
            "dataset": str(self.dataset.resolve()) if self.dataset else None,
            "models": str(self.models.resolve()) if self.models else None,
            "model_unit": self.model_unit,
            "objects": self.objects,
            "columns": self.columns,
            "max_steps": self.max_steps,
            "size": self.size,
            "literal": self.literal,
            "train_split": self.train_split,
            "test_split": self.test_split,
            "train_frames": self.train_frames,
            "test_frames": self.test_frames,
            "runs": {name: str(path.resolve()) for name, path in self.runs.items()},
            "seed": self.seed,
        }


def parse_runs(texts: tuple[str, ...]) -> dict[str, Path]:
    """`NAME=FOLDER` as a mapping.

    Raises:
        UsageError: another form, a name twice, or no such folder.
    """
    found: dict[str, Path] = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not equals or not name or not folder:
            raise UsageError(f"--runs {text}: expected COLUMN=FOLDER, as in --runs ours=runs/paper.")
        if name in found:
            raise UsageError(f"--runs names {name} twice. Give each column one run.")
        if not Path(folder).is_dir():
            raise UsageError(f"--runs {text}: no such folder. Pass the --out of train, estimate or annotate.")
        found[name] = Path(folder)
    return found
