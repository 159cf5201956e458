"""A whole data set: scenes in worker processes, each written aside and put in place when it is complete."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from selfpose6d.datasets.model_files import read_models_info
from selfpose6d.errors import MALFORMED, SelfPose6DError, UsageError
from selfpose6d.json_files import read_json
from selfpose6d.json_stream import write_json
from selfpose6d.processes import default_workers, map_in_processes
from selfpose6d.synthetic.models import write_models
from selfpose6d.synthetic.options import Split, SynthOptions

RECORD_NAME = "synth.json"
MODELS_ASIDE = ".models.part"
SPLITS: tuple[Split, ...] = ("train", "test")
# limits the memory: each process holds all meshes, textures and its own torch
MAX_WORKERS = 8


@dataclass(frozen=True)
class SceneTask:
    """One scene to render."""

    root: Path
    options: SynthOptions
    object_ids: tuple[int, ...]
    split: Split
    scene_id: int
    frames: int

    @property
    def folder(self) -> Path:
        """Where the finished scene lies."""
        return self.root / self.split / f"{self.scene_id:06d}"


def prepare(root: Path, options: SynthOptions) -> list[SceneTask]:
    """Check the folder, write the models, and list the scenes to render.

    Raises:
        UsageError: `root` was made with other options, or holds something else; no models in `--models`.
        DataError: an object of `--objects` has no model.
        MeshError: a model is unreadable or implausibly large or small.
    """
    check_folder(root, options)
    if not (root / "models").is_dir():
        _make_folder(root, options)
    object_ids = tuple(sorted(read_models_info(root / "models")))
    return [
        SceneTask(root, options, object_ids, split, scene_id, frames)
        for split in SPLITS
        for scene_id, frames in enumerate(options.scene_lengths(split))
    ]


def render_all(tasks: Sequence[SceneTask], workers: int = 0) -> Iterator[SceneTask]:
    """Render what is not there yet; yields every scene when it is complete, those already there first.

    `workers` 0 takes one process per core, as memory allows. The result does not depend on it.
    """
    missing = [task for task in tasks if not task.folder.is_dir()]
    yield from (task for task in tasks if task not in missing)
    workers = min(workers or default_workers(), MAX_WORKERS, len(missing))
    if workers > 1:
        yield from map_in_processes(_scene_renderer, missing, workers)
    else:
        yield from map(render_task, missing)
    if any(task.split == "test" for task in tasks):
        from selfpose6d.synthetic.bop_writer import write_targets

        write_targets(tasks[0].root, "test")


def check_folder(root: Path, options: SynthOptions) -> None:
    """Accept a folder that is new, empty, or made by the same options.

    Raises:
        UsageError: other options or other content; each differing option is named.
    """
    record_path, record = root / RECORD_NAME, options.record()
    if record_path.is_file():
        try:
            there = dict(read_json(record_path))
        except (OSError, *MALFORMED) as error:
            raise UsageError(f"{record_path} is broken ({error}). Choose another OUT.") from None
        different = [
            f"{key} {there.get(key)!r} there, {record.get(key)!r} now"
            for key in sorted({*there, *record})
            if there.get(key) != record.get(key)
        ]
        if different:
            raise UsageError(
                f"{root} was made with other options: {'; '.join(different)}. Choose another OUT."
            )
    elif root.exists() and (not root.is_dir() or any(path.name != MODELS_ASIDE for path in root.iterdir())):
        raise UsageError(f"{root} is not an empty folder and was not made by synth. Choose another OUT.")


def _make_folder(root: Path, options: SynthOptions) -> None:
    """Models and record, or nothing at all when a model cannot be read."""
    aside, is_new = root / MODELS_ASIDE, not root.exists()
    shutil.rmtree(aside, ignore_errors=True)
    try:
        write_models(aside, options)
    except SelfPose6DError:
        shutil.rmtree(root if is_new else aside, ignore_errors=True)
        raise
    write_json(root / RECORD_NAME, options.record())
    os.replace(aside, root / "models")


def render_task(task: SceneTask) -> SceneTask:
    """Render one scene into a folder aside, then move it to its place."""
    from selfpose6d.synthetic.bop_writer import write_scene
    from selfpose6d.synthetic.scene import render_scene
    from selfpose6d.synthetic.scene_assets import load_scene_assets

    assets = load_scene_assets(task.root / "models", task.object_ids, task.options.seed)
    aside = task.folder.with_name(f".{task.folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    write_scene(aside, render_scene(assets, task.options, task.split, task.scene_id, task.frames))
    os.replace(aside, task.folder)
    return task


def _scene_renderer() -> Callable[[SceneTask], SceneTask]:
    return render_task
