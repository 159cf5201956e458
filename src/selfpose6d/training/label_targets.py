"""The certified poses of an `annotate` run as targets, each with its confidence as weight."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import UsageError
from selfpose6d.runs.labels import load_labels
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
    labels: Mapping[InstanceKey, LabeledPose], keys: Int[np.ndarray, "instances 4"]
) -> tuple[Float[Tensor, "instances 4 4"], Float[Tensor, "instances"]]:
    """`T_cam_obj` and weight (0 where there is no certified label) of every instance of a crop store.

    Raises:
        UsageError: none of the instances is certified.
    """
    number_of = {tuple(key): number for number, key in enumerate(keys.tolist())}
    T_cam_obj = np.tile(np.eye(4, dtype=np.float32), (len(keys), 1, 1))
    weight = np.zeros(len(keys), np.float32)
    for key, label in labels.items():
        number = number_of.get(key[1:])
        if number is not None:
            T_cam_obj[number], weight[number] = label.T_cam_obj, label.confidence
    if not weight.any():
        raise UsageError(
            "--labels: none of the selected instances has a certified label. Select others, or annotate them."
        )
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
