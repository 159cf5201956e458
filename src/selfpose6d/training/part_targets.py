"""Targets of a batch from two data sets: each instance's from the source of its own part."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.training.targets import Targets, TargetSource


@dataclass(frozen=True)
class PartTargets(TargetSource):
    """Two sources for crops joined of two stores; the second part's indices begin at `start`."""

    first: TargetSource
    second: TargetSource
    start: int

    @property
    def wants_unchanged(self) -> bool:
        """Whether either does."""
        return self.first.wants_unchanged or self.second.wants_unchanged

    def begin(self, batch: CropBatch, index: Int[Tensor, " batch"]) -> "PartTargets":
        """Both sources for their own instances of the batch."""
        first, second = (
            source.begin(batch.rows(rows), own) if len(rows) else source
            for source, rows, own in self._parts(batch, index)
        )
        return PartTargets(first, second, self.start)

    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """Ask each source for its own instances; it sees indices of its own store."""
        T_crop_obj = torch.empty_like(T_pred, requires_grad=False)
        weight = torch.zeros_like(T_pred[:, 0, 0, 0], requires_grad=False)
        for source, rows, own in self._parts(batch, index):
            if len(rows):
                found = source.targets(batch.rows(rows), own, T_pred[rows], together)
                T_crop_obj[rows] = found.T_crop_obj.to(T_crop_obj)
                weight[rows] = found.weight.to(weight)
        return Targets(T_crop_obj, weight)

    def has_target(self, index: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Each part's own answer."""
        second = index >= self.start
        has = np.empty(len(index), bool)
        has[~second] = self.first.has_target(index[~second])
        has[second] = self.second.has_target(index[second] - self.start)
        return has

    def _parts(
        self, batch: CropBatch, index: Int[Tensor, " batch"]
    ) -> tuple[tuple[TargetSource, Int[Tensor, " rows"], Int[Tensor, " rows"]], ...]:
        """Each source with its rows of the batch and their indices in its own store."""
        device, second = batch.object_index.device, index >= self.start
        return (
            (self.first, (~second).nonzero().squeeze(1).to(device), index[~second]),
            (self.second, second.nonzero().squeeze(1).to(device), index[second] - self.start),
        )
