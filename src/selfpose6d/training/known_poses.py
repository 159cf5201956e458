"""Known poses in the order of a crop store's samples: true ones, or the certified ones of an `annotate` run."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import UsageError
from selfpose6d.runs.certificates import load_labels
from selfpose6d.types import InstanceKey, LabeledPose

WeightedPoses = tuple[Float[Tensor, "samples 4 4"], Float[Tensor, "samples"]]
"""`T_cam_obj` and weight of every sample; weight 0 where no pose is known."""


def ground_truth_poses(dataset: Dataset, keys: Int[np.ndarray, "samples 4"]) -> WeightedPoses:
    """True poses, for the recipes that say `reads_poses`: their reader is imported for them only.

    Raises:
        DataError: the file of true poses is missing or broken.
        UsageError: the data set's layout has no true poses.
    """
    from selfpose6d.datasets.true_poses import iterate_ground_truth

    poses = iterate_ground_truth(dataset.root, dataset.split, dataset.selection, targets="all")
    return _weighted_poses(keys, ((pose.key, pose.T_cam_obj, 1.0) for pose in poses))


def certified_labels(run: Path | None, dataset: Dataset) -> dict[InstanceKey, LabeledPose]:
    """The labels that an `annotate` run has for this data set and split.

    Raises:
        UsageError: no run is given, or it labels other data.
        DataError: a file of the run is missing or broken.
    """
    if run is None:
        raise UsageError(
            f"recipe verified needs labels: run selfpose6d annotate {dataset.root} --split {dataset.split} "
            "--out LABELS first, then train with --labels LABELS."
        )
    return load_labels(run, dataset.fingerprint(), dataset.split)


def label_poses(
    labels: Mapping[InstanceKey, LabeledPose], keys: Int[np.ndarray, "samples 4"]
) -> WeightedPoses:
    """The labels' poses, each with its confidence as weight.

    Raises:
        UsageError: none of the samples is certified.
    """
    poses = _weighted_poses(keys, ((key, label.T_cam_obj, label.confidence) for key, label in labels.items()))
    if not poses[1].any():
        raise UsageError(
            "--labels: none of the selected instances has a certified label. Select others, or annotate them."
        )
    return poses


def _weighted_poses(
    keys: Int[np.ndarray, "samples 4"], known: Iterable[tuple[InstanceKey, Float[np.ndarray, "4 4"], float]]
) -> WeightedPoses:
    """Put (key, pose, weight) where `keys` (scene, image, object, instance) has that key; others are left out."""
    index_of = {tuple(key): index for index, key in enumerate(keys.tolist())}
    T_cam_obj = np.tile(np.eye(4, dtype=np.float32), (len(keys), 1, 1))
    weight = np.zeros(len(keys), np.float32)
    for key, T, w in known:
        if (index := index_of.get(key[1:])) is not None:
            T_cam_obj[index], weight[index] = T, w
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
