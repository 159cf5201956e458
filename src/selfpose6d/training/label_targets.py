"""The certified poses of an `annotate` run as targets, each with its confidence as weight."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.data.frame_source import Dataset
from selfpose6d.data.labels import load_labels
from selfpose6d.errors import UsageError


def label_poses(
    run: Path | None, dataset: Dataset, keys: Int[np.ndarray, "instances 4"]
) -> tuple[Float[Tensor, "instances 4 4"], Float[Tensor, "instances"]]:
    """`T_cam_obj` and weight (0 where there is no certified label) of every instance of a crop store.

    Raises:
        UsageError: no run is given, it labels other data, or none of the selected instances is certified.
        DataError: a file of the run is missing or broken.
    """
    if run is None:
        raise UsageError(
            f"recipe verified needs labels: run selfpose6d annotate {dataset.root} --split {dataset.split} "
            "--out LABELS first, then train with --labels LABELS."
        )
    labels = load_labels(run, dataset.fingerprint(), dataset.split)
    number_of = {tuple(key): number for number, key in enumerate(keys.tolist())}
    T_cam_obj, weight = (
        np.tile(np.eye(4, dtype=np.float32), (len(keys), 1, 1)),
        np.zeros(len(keys), np.float32),
    )
    for key, label in labels.items():
        number = number_of.get(key[1:])
        if number is not None:
            T_cam_obj[number], weight[number] = label.T_cam_obj, label.confidence
    if not weight.any():
        raise UsageError(
            f"{run} has no certified label among the selected instances. Select others, or annotate them."
        )
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
