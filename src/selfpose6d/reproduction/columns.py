"""Makes the columns of a table by the commands that anyone can type: train, estimate, annotate, evaluate."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.reproduction.data import RunCommand, TableData
from selfpose6d.reproduction.plan import Column, Plan, Training
from selfpose6d.reproduction.request import Request
from selfpose6d.reproduction.shares import Shares
from selfpose6d.reproduction.steps import Steps
from selfpose6d.runs.config import read_config
from selfpose6d.runs.files import RunFiles, find_checkpoint


@dataclass(frozen=True)
class Taken:
    """Finished runs that stand for trainings and columns, by their names."""

    models: Mapping[str, Path] = field(default_factory=dict)
    predictions: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Workshop:
    """Everything that making a column needs."""

    request: Request
    plan: Plan
    data: TableData
    shares: Shares
    taken: Taken
    steps: Steps
    run: RunCommand

    def column_folder(self, column: Column) -> Path:
        """Where the column's poses are: an ordinary run folder, another one where it was taken."""
        return self.taken.predictions.get(column.name, self.request.out / column.name)

    def results_path(self, column: Column) -> Path:
        """Where its scores are, also of a run that was taken: that one's folder stays as it is."""
        return RunFiles(self.request.out / column.name).results

    def model_folder(self, training: Training) -> Path:
        """The training's run folder."""
        return self.taken.models.get(training.name, self.request.out / "models" / training.name)

    @property
    def labels_folder(self) -> Path:
        """The annotate run that trainings learn from."""
        return self.request.out / "labels"

    @property
    def to_train(self) -> tuple[Training, ...]:
        """The trainings that are neither taken nor needed for taken columns only."""
        return trainings_to_do(self.plan, self.taken)


def trainings_to_do(plan: Plan, taken: Taken) -> tuple[Training, ...]:
    """The plan's trainings but those that were taken, or whose columns all were."""
    made = [column for column in plan.columns if column.name not in taken.predictions]
    needed = {column.training.name for column in made if column.training is not None}
    return tuple(t for t in plan.trainings if t.name in needed and t.name not in taken.models)


def take_runs(plan: Plan, runs: Mapping[str, Path]) -> Taken:
    """What each of `--runs` stands for: a training for all columns of its network, poses for one column.

    Raises:
        UsageError: no column or training has that name, or the folder is a run of another kind.
    """
    models, predictions = {}, {}
    by_name = {column.name: column for column in plan.columns}
    trainings = {training.name: training for training in plan.trainings}
    for name, folder in runs.items():
        column = by_name.get(name)
        training = column.training if column else trainings.get(name)
        if column is None and training is None:
            expected = ", ".join(dict.fromkeys([*by_name, *trainings]))
            raise UsageError(f"--runs {name}: no such column of {plan.name}, expected some of {expected}.")
        command = read_config(folder).command
        if command == "train" and training is not None:
            find_checkpoint(folder)
            models[training.name] = folder
        elif command in ("estimate", "annotate") and column is not None:
            predictions[name] = folder
        else:
            raise UsageError(
                f"--runs {name}={folder}: a run of {command}, expected one of "
                f"{'train or estimate' if training else 'annotate'}. Pass the --out of such a run."
            )
    return Taken(models, predictions)


def train(shop: Workshop, training: Training, minutes: float | None) -> None:
    """Train one network, or go on with it. The last call's time is kept with the step."""
    part = shop.data.synthetic if training.on_synthetic else shop.shares.train
    assert part is not None
    request = shop.request
    limit = (
        ["--max-steps", str(request.max_steps)] if minutes is None else ["--max-minutes", f"{minutes:.4f}"]
    )
    arguments = [*part.arguments(), "--out", str(shop.model_folder(training)), "--recipe", training.recipe]
    # the tables compare the paper's network with itself, however it is taught
    arguments += ["--size", request.size, "--architecture", "dense-fusion", *limit, *training.options]
    arguments += [*_common(request), "--resume"]
    if request.literal and training.recipe == "paper":
        arguments.append("--literal")
    if training.needs == "labels":
        arguments += ["--labels", str(shop.labels_folder)]
    if training.needs == "synthetic":
        assert shop.data.synthetic is not None
        arguments += ["--synthetic", str(shop.data.synthetic.root)]
    shop.steps.once(f"train {training.name}", lambda: _done(shop, "train", arguments))


def annotate_labels(shop: Workshop) -> None:
    """Annotate the frames that certified labels are learned from."""
    assert shop.shares.labels is not None
    arguments = [*shop.shares.labels.arguments(), "--out", str(shop.labels_folder), *_common(shop.request)]
    shop.steps.once("labels", lambda: _done(shop, "annotate", [*arguments, "--overlays", "0"]))


def make_column(shop: Workshop, column: Column) -> str | None:
    """Estimate or annotate the test frames and score them; a reason where the network cannot do it.

    A training that ended before its refinement network learned anything has no refined column.
    """
    test, folder = shop.shares.test, shop.column_folder(column)
    tail = ["--out", str(folder), *column.options, *_common(shop.request)]
    if column.name not in shop.taken.predictions:
        if column.training is None:
            arguments = [*test.arguments(), *tail, "--overlays", "0"]
            shop.steps.once(f"annotate {column.name}", lambda: _done(shop, "annotate", arguments))
        else:
            model = str(shop.model_folder(column.training))
            arguments = [model, *test.arguments(), *tail]
            try:
                shop.steps.once(f"estimate {column.name}", lambda: _done(shop, "estimate", arguments))
            except CheckpointError as error:
                return str(error).rstrip(".")
    scored = _scored_part(shop, column)
    arguments = [str(folder), *scored, "--out", str(shop.results_path(column))]
    shop.steps.once(f"evaluate {column.name}", lambda: _done(shop, "evaluate", arguments))
    return None


def _scored_part(shop: Workshop, column: Column) -> list[str]:
    """What is scored: the test frames; of a run that was taken the same ones, if it has that split."""
    part = shop.shares.test
    if column.name in shop.taken.predictions:
        there = read_config(shop.taken.predictions[column.name]).data
        objects = shop.data.obj_ids
        part = replace(part, split=there.split, selection=replace(there.selection, objects=objects))
    return part.arguments()


def _common(request: Request) -> list[str]:
    return ["--device", request.device, "--seed", str(request.seed)]


def _done(shop: Workshop, name: str, arguments: list[str]) -> None:
    code = shop.run(name, arguments)
    if code:
        raise UsageError(f"{name} ended with code {code}: see above. The same command goes on from there.")
