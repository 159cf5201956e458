"""Crops of two data sets as one: what a training reads, wherever it lies."""

import numpy as np
from jaxtyping import Bool, Int

from selfpose6d.crops.store import CropStore
from selfpose6d.types import InstanceKey


class JoinedCrops:
    """Two stores behind each other: indices of the second begin at `start`, the length of the first.

    Keys may be in both; the index tells them apart.
    """

    def __init__(self, first: CropStore, second: CropStore) -> None:
        """Both stores hold crops of the same size."""
        assert first.crop_px == second.crop_px, "both come from one network's crop_px"
        self.first, self.second = first, second
        self.start = len(first)

    def __len__(self) -> int:
        return self.start + len(self.second)

    def is_second(self, indices: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which of the samples are of the second store."""
        return indices >= self.start

    def key(self, index: int) -> InstanceKey:
        """The whole key of one instance, with its own data set's split."""
        return self.first.key(index) if index < self.start else self.second.key(index - self.start)

    def read(self, indices: Int[np.ndarray, " batch"]) -> np.ndarray:
        """The records of these samples, a structured array in their order."""
        second = self.is_second(indices)
        parts = self.first.read(indices[~second]), self.second.read(indices[second] - self.start)
        records = np.empty(len(indices), parts[0].dtype)
        records[~second], records[second] = parts
        return records


Crops = CropStore | JoinedCrops
"""Records and keys of instances by sample index."""
