"""The synthetic part of a recipe: rendered frames of the same objects, the only ones whose true poses are read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from selfpose6d.crops.store import CropStore
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.model_files import list_some
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError

SPLITS = ("train_synt", "data_syn", "train_pbr", "train_render", "train")
"""Looked for in this order: those that are rendered by their name first, `train` (of `synth`) may be a recording's."""
_COMPARED_FRAMES = 100
"""Of those that two splits name alike: whether they are the same files. Splits overlap wholly or hardly."""
_SAME_SIZE = 0.02
"""Of the diameter: what the boxes of one object's meshes may differ by, as where weights are taken over (`--init`)."""


@dataclass(frozen=True)
class SyntheticFrames:
    """Rendered frames of the objects that are learned, and their crops."""

    dataset: Dataset
    store: CropStore

    def describe(self, rendered: bool) -> str:
        """One line for the log."""
        frames, instances = len(self.dataset.frame_ids()), len(self.store)
        how = " (made from the data set's models)" if rendered else ""
        return (
            f"synthetic part: split {self.dataset.split} of {self.dataset.root}{how}, {frames} frames, {instances} "
            "instances with true poses; no other pose is read"
        )


def find_synthetic(root: Path, dataset: Dataset) -> DataOptions:
    """The first split of a root that has true poses; frames that are to be learned without them are none.

    Raises:
        UsageError: no such folder, no split with true poses, or the split is the data set's own.
    """
    reasons = []
    own = dataset.root.resolve() == root.resolve()
    for split in (name for name in SPLITS if not (own and name == dataset.split)):
        try:
            _require_poses(root, split)
        except (UsageError, DataError) as error:
            reasons.append(str(error).rstrip("."))
            continue
        found = DataOptions(root, split)
        _require_apart(found.open(require_model_files=False), dataset)
        return found
    raise UsageError(
        f"--synthetic {root}: no split with true poses, looked for {', '.join(SPLITS)} ({reasons[-1]}). Pass a root of "
        "selfpose6d synth or of BOP's rendered frames, or leave it out: frames are rendered then."
    )


def synthetic_fingerprint(found: DataOptions | None) -> dict[str, Any]:
    """What tells synthetic frames from others, for `config.yaml`; those that are rendered follow from the meshes."""
    if found is None:
        return {}
    dataset = found.open(require_model_files=False)
    return {"synthetic_split": dataset.split, "synthetic_fingerprint": dataset.fingerprint()}


def open_synthetic(found: DataOptions, dataset: Dataset, obj_ids: Sequence[int]) -> Dataset:
    """The split with frames of these objects only.

    Raises:
        UsageError: it lacks one of them, or has another mesh for it.
    """
    everything = found.open(require_model_files=False)
    if not everything.models.files:
        unit = dataset.models.find(obj_ids[0]).unit
        found = replace(found, models=dataset.models.folder, model_unit=unit)
        everything = found.open()
    require_objects(everything, obj_ids, everything.models.object_ids)
    if everything.models.folder.resolve() != dataset.models.folder.resolve():
        _require_same_meshes(everything, dataset, obj_ids)
    return replace(found, selection=replace(found.selection, objects=tuple(obj_ids))).open()


def require_objects(synthetic: Dataset, wanted: Sequence[int], there: Sequence[int]) -> None:
    """Refuse a synthetic part that lacks objects.

    Raises:
        UsageError: which are missing.
    """
    if missing := [obj_id for obj_id in wanted if obj_id not in set(there)]:
        raise UsageError(
            f"--synthetic {synthetic.root}: its split {synthetic.split} lacks objects {list_some(missing)}, it has "
            f"{list_some(there)}. A network is to learn every object from both parts: render the missing ones "
            "(selfpose6d synth --models DIR --objects ...), or leave them out with --objects."
        )


def _require_poses(root: Path, split: str) -> None:
    from selfpose6d.datasets.true_poses import iterate_ground_truth

    if next(iterate_ground_truth(root, split, targets="annotated"), None) is None:
        raise UsageError(f"split {split} has no instance with a pose")


def _require_apart(synthetic: Dataset, dataset: Dataset) -> None:
    common = sorted(set(synthetic.frame_ids()) & set(dataset.frame_ids()))[:_COMPARED_FRAMES]
    if any(synthetic.rgb_path(i).resolve() == dataset.rgb_path(i).resolve() for i in common):
        raise UsageError(
            f"--synthetic {synthetic.root}: its split {synthetic.split} and the split {dataset.split} to learn without "
            "poses have frames in common, whose poses must not be read. Pass rendered frames."
        )


def _require_same_meshes(synthetic: Dataset, dataset: Dataset, obj_ids: Sequence[int]) -> None:
    """A pose is of a mesh's frame: another origin or unit makes all of them wrong."""
    for obj_id in obj_ids:
        ours, theirs = (data.load_mesh(obj_id).vertices_m for data in (dataset, synthetic))
        boxes = [np.stack([points_m.min(0), points_m.max(0)]) for points_m in (ours, theirs)]
        apart_m = float(np.abs(boxes[0] - boxes[1]).max())
        if apart_m > _SAME_SIZE * float(np.linalg.norm(boxes[0][1] - boxes[0][0])):
            raise UsageError(
                f"--synthetic {synthetic.root}: object {obj_id} has another mesh in {synthetic.models.folder} than in "
                f"{dataset.models.folder}: their boxes differ by {1e3 * apart_m:.1f} mm, so that poses of the one do "
                "not fit the other. Render frames with the data set's own models."
            )
