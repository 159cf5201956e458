"""Renders the synthetic part where none is given: the data set's own models, by `synth`, once, into the cache."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.files import one_at_a_time, user_cache
from selfpose6d.json_stream import write_json
from selfpose6d.synthetic.generate import check_folder, prepare, render_all
from selfpose6d.synthetic.options import FORMAT_VERSION, SynthOptions

INSTANCES_PER_OBJECT = 900
"""What a small network needed of each of five objects to come to 81.7 ADD(-S) in five minutes on two cores: more would
hardly be seen twice in a training of minutes."""
OBJECTS_PER_FRAME = 5
"""That `synth` puts on a table, about."""
MOST_FRAMES = 4000
"""Some 3 GB of disk; 21 objects stay just below it."""
SEED = 1000
"""Of the scenes, alike for every training so that they are rendered once; others than those of a `synth` data set."""
_DONE = "rendered.json"


def rendered_frames(num_objects: int, per_object: int = INSTANCES_PER_OBJECT) -> int:
    """How many frames to render for so many objects, `per_object` instances of each."""
    in_a_frame = min(num_objects, OBJECTS_PER_FRAME)
    return min(MOST_FRAMES, -(-per_object * num_objects // in_a_frame))


def render_synthetic(
    dataset: Dataset,
    obj_ids: Sequence[int],
    cache: CacheOptions,
    say: Callable[[str], object],
    per_object: int | None = None,
) -> DataOptions:
    """Frames of the data set's models with true poses, as the cache has them, else rendered now: about `per_object`
    instances of each (default: `INSTANCES_PER_OBJECT`).

    They are kept by the meshes' content. Stopped, the same call goes on.

    Raises:
        UsageError: the models cannot be rendered together, being of several units.
    """
    per_object = per_object or INSTANCES_PER_OBJECT
    frames = rendered_frames(len(obj_ids), per_object)
    options = _options(dataset, obj_ids, frames)
    folder = cache.folder or user_cache()
    root = folder / "synthetic" / _content_key(dataset, obj_ids, options)
    with one_at_a_time(root):
        if not (root / _DONE).is_file():
            say(
                f"no --synthetic: rendering {frames} frames of the data set's models into {root}, about "
                f"{per_object} instances of each of {len(obj_ids)} objects"
            )
            _render(root, options, say)
    return DataOptions(root, "train")


def _options(dataset: Dataset, obj_ids: Sequence[int], frames: int) -> SynthOptions:
    units = {dataset.models.find(obj_id).unit for obj_id in obj_ids}
    if len(units) > 1:
        raise UsageError(
            f"the meshes in {dataset.models.folder} are of several units. Render frames with selfpose6d synth, and "
            "pass them with --synthetic DIR."
        )
    # which sensor the recording is of is not known: every scene has another
    unit = dataset.models.find(obj_ids[0]).unit
    return SynthOptions(
        "tabletop", frames, 0, dataset.models.folder, unit, tuple(obj_ids), SEED, "mixed", "exact"
    )


def _render(root: Path, options: SynthOptions, say: Callable[[str], object]) -> None:
    try:
        check_folder(root, options)
    except UsageError:  # begun from the same meshes in another place
        shutil.rmtree(root)
    tasks, done, said = prepare(root, options), 0, 0
    for task in render_all(tasks):
        done += task.frames
        if done - said >= options.train_frames / 10:
            said = done
            say(f"rendered {done} of {options.train_frames} frames")
    write_json(root / _DONE, {"frames": options.train_frames})


def _content_key(dataset: Dataset, obj_ids: Sequence[int], options: SynthOptions) -> str:
    """What the images follow from: the meshes' content, and the options but for the place of the meshes."""
    record = options.record() | {"models": None}
    digest = hashlib.sha256(f"{FORMAT_VERSION} {sorted(record.items())}".encode())
    for obj_id in obj_ids:
        digest.update(f"{obj_id} {dataset.load_mesh(obj_id).content_hash}".encode())
    return digest.hexdigest()[:24]
