"""Where a run's data lies, for `report` and `view`: as its own files say, unless told otherwise."""

from dataclasses import dataclass, replace
from pathlib import Path

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.evaluation.evaluate import results_path
from selfpose6d.evaluation.inputs import ReferenceOptions
from selfpose6d.evaluation.results import Results, read_results
from selfpose6d.meshes.units import Unit
from selfpose6d.runs.config import RunConfig, read_config
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.in_use import warn_if_in_use
from selfpose6d.selection import Selection


@dataclass(frozen=True)
class RunSources:
    """A run folder and what it is compared with; `data` None where no data set is known."""

    files: RunFiles
    config: RunConfig | None
    data: DataOptions | None

    @property
    def run(self) -> Path:
        """The folder."""
        return self.files.folder

    @property
    def has_predictions(self) -> bool:
        """False for a training run."""
        return self.files.predictions.is_file()

    @property
    def training(self) -> RunFiles:
        """The run whose log has the learning curves: this one, or the one that its model comes from."""
        model = self.config.context.model if self.config else None
        return self.files if model is None else RunFiles(model.parent.parent)

    @property
    def results(self) -> Results | None:
        """What `evaluate` wrote last, of whatever reference; None where it wrote nothing that can be read."""
        try:
            return read_results(results_path(self.run))
        except (UsageError, DataError):
            return None

    @property
    def reference(self) -> ReferenceOptions | None:
        """What the run is scored against: as `evaluate` did last, if it did."""
        if self.data is None:
            return None
        if (earlier := self.results) is None:
            return ReferenceOptions(self.data)
        targets = earlier.selection.get("targets")
        points = "surface" if earlier.points == "surface" else "auto"
        return ReferenceOptions(self.data, targets, points, earlier.symmetric_ids, right=earlier.right)

    def open_dataset(self, selection: Selection | None = None) -> Dataset:
        """The images and meshes of the whole split, or of a selection; of a run that found its objects itself with the
        masks of these.

        Raises:
            UsageError: no data set is known, or it cannot be opened.
        """
        if self.data is None:
            raise UsageError(f"{self.run} does not say its data set. Pass --dataset DIR.")
        found = self.files.detections if self.files.detections.is_file() else None
        chosen = selection or Selection(sensor=self.data.selection.sensor)
        return replace(self.data, selection=chosen, detections=self.data.detections or found).open()


def resolve_sources(
    run: Path, dataset: Path | None = None, models: Path | None = None, model_unit: Unit | None = None
) -> RunSources:
    """Fill in from the run's files what the options leave open.

    Raises:
        UsageError: the run is no folder, its `config.yaml` is broken, or an earlier version made it.
    """
    if not run.is_dir():
        raise UsageError(f"no run: {run} is no folder. Pass the --out of an earlier command.")
    warn_if_in_use(run)
    files = RunFiles(run)
    config = read_config(run) if files.config.is_file() else None
    if config is not None:
        data = DataOptions.of_run(config)
    elif dataset is not None:
        data = DataOptions(dataset)
    else:
        return RunSources(files, None, None)
    given = {"dataset": dataset, "models": models, "model_unit": model_unit}
    return RunSources(
        files, config, replace(data, **{name: value for name, value in given.items() if value is not None})
    )
