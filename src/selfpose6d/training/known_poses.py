"""Known poses in the order of a crop store's samples: true ones, or the certified ones of an `annotate` run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.detections import DetectionMasks
from selfpose6d.errors import UsageError
from selfpose6d.runs.certificates import load_labels
from selfpose6d.runs.files import RunFiles
from selfpose6d.types import InstanceKey, LabeledPose

WeightedPoses = tuple[Float[Tensor, "samples members 4 4"], Float[Tensor, " samples"]]
"""`T_cam_obj` and weight of every sample; weight 0 where no pose is known. Of several poses each may be the right one;
those of samples with fewer are repeated."""


def ground_truth_poses(dataset: Dataset, keys: Int[np.ndarray, "samples 4"]) -> WeightedPoses:
    """True poses, for the recipes that say `reads_poses`: their reader is imported for them only.

    Raises:
        DataError: the file of true poses is missing or broken.
        UsageError: the data set's layout has no true poses.
    """
    from selfpose6d.datasets.true_poses import iterate_ground_truth

    poses = iterate_ground_truth(dataset.root, dataset.split, dataset.selection, targets="annotated")
    return _weighted_poses(keys, {pose.key: (pose.T_cam_obj[None], 1.0) for pose in poses})


def usable_labels(
    run: Path | None, dataset: Dataset, ambiguous: bool = False
) -> dict[InstanceKey, LabeledPose]:
    """The certified labels that an `annotate` run has for this data set and split; `ambiguous`: also those in doubt.

    Raises:
        UsageError: no run is given, or it labels other data.
        DataError: a file of the run is missing or broken.
    """
    if run is None:
        raise UsageError(
            f"recipe verified needs labels: run selfpose6d annotate {dataset.root} --split {dataset.split} "
            "--out LABELS first, then train with --labels LABELS."
        )
    return labels_of(run, dataset, ambiguous)


def labels_of(run: Path, dataset: Dataset, ambiguous: bool = False) -> dict[InstanceKey, LabeledPose]:
    """As `usable_labels`, of a run that is given.

    A data set whose masks are those that the run found is what it was then: without masks.
    """
    masks = dataset.masks
    found_here = (
        isinstance(masks, DetectionMasks) and masks.path.resolve() == RunFiles(run).detections.resolve()
    )
    if RunFiles(run).detections.is_file() and not found_here:
        raise UsageError(
            f"{run} labels objects that it found, whose masks are in its {RunFiles(run).detections.name}: open the "
            "data set with that file (--detections)."
        )
    fingerprint = dataset.fingerprint(with_masks=not found_here)
    return load_labels(run, fingerprint, dataset.split, ambiguous, dataset.models.content)


def label_poses(
    labels: Mapping[InstanceKey, LabeledPose], keys: Int[np.ndarray, "samples 4"]
) -> WeightedPoses:
    """The labels' poses, with the probability that one of them is right as weight.

    Raises:
        UsageError: none of the samples has a label.
    """
    poses = _weighted_poses(keys, {key: _poses_of(label) for key, label in labels.items()})
    if not poses[1].any():
        raise UsageError(
            "--labels: none of the selected instances has a certified label. Select others, or annotate them."
        )
    return poses


def _poses_of(label: LabeledPose) -> "_Known":
    """The pose and its confidence; in doubt the poses that the evidence allows, one of which is right."""
    if label.certificate.status == "certified":
        return label.T_cam_obj[None], label.confidence
    others = label.certificate.alternatives
    return np.stack([other.T_cam_obj for other in others]), min(
        1.0, sum(other.confidence for other in others)
    )


_Known = tuple[Float[np.ndarray, "poses 4 4"], float]


def _weighted_poses(keys: Int[np.ndarray, "samples 4"], known: Mapping[InstanceKey, _Known]) -> WeightedPoses:
    """Put poses and weights where `keys` (scene, image, object, instance) has their key; others are left out."""
    index_of = {tuple(key): index for index, key in enumerate(keys.tolist())}
    most = max((len(T) for T, _ in known.values()), default=1)
    T_cam_obj = np.tile(np.eye(4, dtype=np.float32), (len(keys), most, 1, 1))
    weight = np.zeros(len(keys), np.float32)
    for key, (T, w) in known.items():
        if (index := index_of.get(key[1:])) is not None:
            T_cam_obj[index], weight[index] = T[np.arange(most) % len(T)], w
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
