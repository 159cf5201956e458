"""The frames of a reproduction: a data set's own, or rendered ones; which objects; which of them the budget allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfpose6d.checks import require_existing
from selfpose6d.datasets.model_files import find_model_files, require_models
from selfpose6d.errors import UsageError
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.reproduction.objects import TableObject, table_objects
from selfpose6d.reproduction.parts import Part, first_split, target_frames
from selfpose6d.reproduction.plan import Plan
from selfpose6d.reproduction.request import RENDERED_TEST, RENDERED_TRAIN, Request
from selfpose6d.selection import Selection

RunCommand = Callable[[str, Sequence[str]], int]
"""Runs a command of the command line by its name and arguments; raises what it cannot do."""
TRAIN_SPLITS = ("train", "train_real")
"""Of YCB-Video's layout and of `synth`; of BOP's YCB-Video."""
SYNTHETIC_SPLITS = ("train_synt", "data_syn")
"""Rendered frames that a data set has itself."""
COMPARED_FRAMES = 100
"""Of those that two splits name alike: whether they are the same files. Splits overlap wholly or hardly."""
SYNTHETIC_SEED_STEP = 1000
"""Added to the seed for the synthetic frames: other scenes than those of a rendered data set."""


@dataclass(frozen=True)
class TableData:
    """What is trained and tested on. `rendered` says that there is no data set but frames made here."""

    objects: tuple[TableObject, ...]
    train: Part
    test: Part
    synthetic: Part | None
    rendered: bool

    @property
    def obj_ids(self) -> tuple[int, ...]:
        """Ids of the rows."""
        return tuple(row.obj_id for row in self.objects)


def open_data(request: Request, plan: Plan, run: RunCommand) -> TableData:
    """The parts to work on, whole; frames are rendered where there are none.

    Raises:
        UsageError: no train frames, no models, or no such object.
    """
    return _rendered(request, plan, run) if request.dataset is None else _of_dataset(request, plan)


def with_synthetic(data: TableData, request: Request, plan: Plan, run: RunCommand) -> TableData:
    """With synthetic frames where a training needs them: the data set's own, else rendered now."""
    if not any(training.uses_synthetic for training in plan.trainings):
        return data
    return replace(data, synthetic=_synthetic(request, data, run))


def require_apart(data: TableData) -> None:
    """Test frames are not trained on.

    Raises:
        UsageError: a frame is in both splits.
    """
    train, test = data.train.open(), data.test.open()
    common = sorted(set(train.frame_ids()) & set(test.frame_ids()))[:COMPARED_FRAMES]
    if any(train.rgb_path(frame_id) == test.rgb_path(frame_id) for frame_id in common):
        raise UsageError(
            f"splits {train.split} and {test.split} of {test.root} have frames in common: what is trained on must "
            "not be scored. Choose others with --train-split and --test-split."
        )


def capped(data: TableData, request: Request) -> TableData:
    """With at most the frames that the options allow."""
    train, test = data.train, data.test
    if request.train_frames is not None:
        train = train.thinned(request.train_frames)
    if request.test_frames is not None:
        test = test.thinned(request.test_frames)
    return replace(data, train=train, test=test)


def _of_dataset(request: Request, plan: Plan) -> TableData:
    assert request.dataset is not None
    root = require_existing(request.dataset, "data set", "Correct the path.")
    part = Part(root, request.test_split, Selection(), request.models, request.model_unit)
    objects = table_objects(part.open().models, request.objects, plan.ycb_ids)
    part = replace(part, selection=Selection(objects=tuple(row.obj_id for row in objects)))
    part.open()
    train = replace(part, split=request.train_split or TRAIN_SPLITS[0])
    if plan.trainings:
        names = (request.train_split,) if request.train_split else TRAIN_SPLITS
        remedy = (
            "Say which split to train on with --train-split, take finished runs with --runs, or leave DATASET out "
            "to train and test on rendered frames (--models DIR)."
        )
        train = first_split(part, names, "train frames", remedy)
    return TableData(objects, train, target_frames(part), None, rendered=False)


def _rendered(request: Request, plan: Plan, run: RunCommand) -> TableData:
    """Frames of the models by `synth`; the same scenes for every table of one seed."""
    if request.train_split or request.test_split != "test":
        raise UsageError(
            "--train-split and --test-split are splits of a DATASET. Name it, or leave them out."
        )
    objects = _model_objects(request, plan)
    root = request.out / "data"
    frames = (request.train_frames or RENDERED_TRAIN, request.test_frames or RENDERED_TEST)
    render(root, request, objects, frames, request.seed, run)
    selection = Selection(objects=tuple(row.obj_id for row in objects))
    train, test = (Part(root, split, selection) for split in ("train", "test"))
    return TableData(objects, train, target_frames(test), None, rendered=True)


def _model_objects(request: Request, plan: Plan) -> tuple[TableObject, ...]:
    if request.models is not None:
        folder = require_existing(request.models, "models folder", "Correct --models.")
        models = require_models(find_model_files(folder, request.model_unit))
        return table_objects(models, request.objects, plan.ycb_ids)
    if unknown := [obj_id for obj_id in request.objects if obj_id not in CATALOGUE]:
        raise UsageError(
            f"--objects {' '.join(map(str, unknown))}: no such built-in object, which are "
            f"{' '.join(map(str, CATALOGUE))}. Pass a DATASET, or --models DIR to render from."
        )
    return tuple(TableObject(i, CATALOGUE[i].name, None) for i in sorted(request.objects or CATALOGUE))


def _synthetic(request: Request, data: TableData, run: RunCommand) -> Part:
    """The data set's own synthetic frames, else rendered ones of other scenes, as many as there are to train on."""
    if not data.rendered:
        for split in SYNTHETIC_SPLITS:
            own = replace(data.train, split=split)
            try:
                if own.open().frame_ids():
                    return own
            except UsageError:
                continue
    seed = request.seed + SYNTHETIC_SEED_STEP
    root, frames = request.out / "synthetic", (request.train_frames or RENDERED_TRAIN, 0)
    if not data.rendered:
        models = data.train.open().models
        unit = request.model_unit or models.find(data.obj_ids[0]).unit
        request = replace(request, models=models.folder, model_unit=unit)
    render(root, request, data.objects, frames, seed, run)
    return Part(root, "train", Selection(objects=data.obj_ids))


def render(
    root: Path,
    request: Request,
    objects: Sequence[TableObject],
    frames: tuple[int, int],
    seed: int,
    run: RunCommand,
) -> None:
    """Render train and test frames of the objects, or take those that are there already."""
    arguments = [str(root), "--frames", str(frames[0]), "--test-frames", str(frames[1]), "--seed", str(seed)]
    if request.models is not None:
        arguments += ["--models", str(request.models)]
    if request.model_unit is not None:
        arguments += ["--model-unit", request.model_unit]
    run("synth", [*arguments, "--objects", *(str(row.obj_id) for row in objects)])
