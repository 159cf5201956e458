"""True poses as targets, for the recipes that say `reads_poses`; imported for them only."""

import numpy as np
from jaxtyping import Int

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.training.pose_rows import WeightedPoses, weighted_poses


def ground_truth_poses(dataset: Dataset, keys: Int[np.ndarray, "samples 4"]) -> WeightedPoses:
    """`T_cam_obj` and weight (1, or 0 where no true pose is known) of every sample of a crop store.

    Raises:
        DataError: the file of true poses is missing or broken.
        UsageError: the data set's layout has no true poses.
    """
    poses = iterate_ground_truth(dataset.root, dataset.split, dataset.selection, targets="all")
    return weighted_poses(keys, ((pose.key, pose.T_cam_obj, 1.0) for pose in poses))
