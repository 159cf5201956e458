"""True poses as targets, for the recipes that say `reads_poses`; imported for them only."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.true_poses import iterate_ground_truth


def ground_truth_poses(
    dataset: Dataset, keys: Int[np.ndarray, "instances 4"]
) -> tuple[Float[Tensor, "instances 4 4"], Float[Tensor, "instances"]]:
    """`T_cam_obj` and weight (1, or 0 where no true pose is known) of every instance of a crop store.

    Raises:
        DataError: the file of true poses is missing or broken.
        UsageError: the data set's layout has no true poses.
    """
    number_of = {tuple(key): number for number, key in enumerate(keys.tolist())}
    T_cam_obj, weight = (
        np.tile(np.eye(4, dtype=np.float32), (len(keys), 1, 1)),
        np.zeros(len(keys), np.float32),
    )
    for pose in iterate_ground_truth(dataset.root, dataset.split, dataset.selection, targets="all"):
        number = number_of.get(pose.key[1:])
        if number is not None:
            T_cam_obj[number], weight[number] = pose.T_cam_obj, 1.0
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
