"""Where a run's data lies, for `report` and `view`: as its own files say, unless told otherwise."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.layouts import open_dataset
from selfpose6d.datasets.model_files import Unit
from selfpose6d.errors import UsageError
from selfpose6d.evaluation.inputs import (
    PREDICTIONS_NAME,
    ReferenceOptions,
    recorded_config,
    recorded_path,
    recorded_selection,
    recorded_unit,
)
from selfpose6d.runs.folder import RunConfig
from selfpose6d.selection import Selection

RESULTS_NAME = "results.json"


@dataclass(frozen=True)
class RunSources:
    """A run folder and what it is compared with; `reference` None where no data set is known."""

    run: Path
    config: RunConfig | None
    reference: ReferenceOptions | None
    detections: Path | None

    @property
    def has_predictions(self) -> bool:
        """False for a training run."""
        return (self.run / PREDICTIONS_NAME).is_file()

    @property
    def training(self) -> Path:
        """The run whose log has the learning curves: this one, or the one that its model comes from."""
        model = recorded_path(self.config, "model")
        return model.parent.parent if model is not None else self.run

    def open_dataset(self) -> Dataset:
        """The images and meshes of the whole split.

        Raises:
            UsageError: no data set is known, or it cannot be opened.
        """
        if self.reference is None:
            raise UsageError(f"{self.run} does not say its data set. Pass --dataset DIR.")
        options = self.reference
        return open_dataset(
            options.root,
            options.split,
            models_dir=options.models_dir,
            model_unit=options.model_unit,
            detections=self.detections,
        )


def resolve_sources(
    run: Path, dataset: Path | None = None, models_dir: Path | None = None, unit: Unit | None = None
) -> RunSources:
    """Fill in from the run's files what the options leave open.

    Raises:
        UsageError: the run is no folder, or its `config.yaml` is broken.
    """
    if not run.is_dir():
        raise UsageError(f"no run: {run} is no folder. Pass the --out of an earlier command.")
    config = recorded_config(run)
    root = dataset or recorded_path(config, "dataset")
    reference = None
    if root is not None:
        scored = _earlier_results(run / RESULTS_NAME)
        reference = ReferenceOptions(
            root=root,
            split=config.split if config else "test",
            selection=recorded_selection(config) if config else Selection(),
            targets=scored.get("selection", {}).get("targets"),
            points="surface" if scored.get("points") == "surface" else "auto",
            symmetric_ids=tuple(scored["symmetric_ids"]) if "symmetric_ids" in scored else None,
            models_dir=models_dir or recorded_path(config, "models"),
            model_unit=unit or recorded_unit(config),
        )
    return RunSources(run, config, reference, recorded_path(config, "detections"))


def _earlier_results(path: Path) -> dict[str, Any]:
    """What `evaluate` chose; nothing where it has not run or its file is broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
