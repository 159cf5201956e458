"""Known poses in the order of a crop store's samples."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.types import InstanceKey

WeightedPoses = tuple[Float[Tensor, "samples 4 4"], Float[Tensor, "samples"]]
"""`T_cam_obj` and weight of every sample; weight 0 where no pose is known."""


def weighted_poses(
    keys: Int[np.ndarray, "samples 4"],
    known: Iterable[tuple[InstanceKey, Float[np.ndarray, "4 4"], float]],
) -> WeightedPoses:
    """Put (key, pose, weight) where the store has that key (scene, image, object, instance); others are left out."""
    index_of = {tuple(key): index for index, key in enumerate(keys.tolist())}
    T_cam_obj = np.tile(np.eye(4, dtype=np.float32), (len(keys), 1, 1))
    weight = np.zeros(len(keys), np.float32)
    for key, T, w in known:
        if (index := index_of.get(key[1:])) is not None:
            T_cam_obj[index], weight[index] = T, w
    return torch.from_numpy(T_cam_obj), torch.from_numpy(weight)
