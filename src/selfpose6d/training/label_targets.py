"""The certified poses of an `annotate` run as targets, each with its confidence as weight."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import UsageError
from selfpose6d.runs.labels import load_labels
from selfpose6d.training.pose_rows import WeightedPoses, weighted_poses
from selfpose6d.types import InstanceKey, LabeledPose


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
    """`T_cam_obj` and weight (0 where there is no certified label) of every sample of a crop store.

    Raises:
        UsageError: none of the samples is certified.
    """
    poses = weighted_poses(keys, ((key, label.T_cam_obj, label.confidence) for key, label in labels.items()))
    if not poses[1].any():
        raise UsageError(
            "--labels: none of the selected instances has a certified label. Select others, or annotate them."
        )
    return poses
