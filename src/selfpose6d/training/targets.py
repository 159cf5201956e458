"""Where the poses come from that predictions are compared with: the centre of every recipe."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.se3 import inverse
from selfpose6d.losses.weak import nearest_symmetric_target
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.objects.symmetries import Symmetries
from selfpose6d.resolver.icp import ResolverOptions, resolve


@dataclass(frozen=True)
class Targets:
    """One target pose for each predicted pose, in the crop frame, and how much each instance counts."""

    T_crop_obj: Float[Tensor, "batch poses 4 4"]
    weight: Float[Tensor, "batch"]


class TargetSource(ABC):
    """Gives the targets of a batch; no gradient flows through them."""

    @abstractmethod
    def targets(
        self, batch: CropBatch, index: Int[Tensor, "batch"], T_pred: Float[Tensor, "batch poses 4 4"]
    ) -> Targets:
        """Targets for predictions (crop frame) of the samples with these indices in the store."""

    @abstractmethod
    def has_target(self, index: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Which of these samples can be trained on."""


@dataclass(frozen=True)
class IterativeAnnotationResolver(TargetSource):
    """The network's own poses, each after ICP on the observed points: no label at all.

    Reference: paper III-B (Weak6D).
    """

    shapes: ObjectShapes
    options: ResolverOptions

    def targets(
        self, batch: CropBatch, index: Int[Tensor, "batch"], T_pred: Float[Tensor, "batch poses 4 4"]
    ) -> Targets:
        """Resolve every pose against its own instance's points."""
        count, num_poses = T_pred.shape[:2]
        cloud = torch.arange(count, device=T_pred.device).repeat_interleave(num_poses)
        grid = self.shapes.grid
        if self.options.direction == "model-to-observed":  # every model point searches: fewer of them will do
            every = max(1, grid.points_m.shape[1] // self.shapes.points_m.shape[1])
            grid = grid._replace(points_m=grid.points_m[:, ::every], normals=grid.normals[:, ::every])
        result = resolve(
            T_pred.detach().flatten(0, 1).float(),
            batch.points_crop_m,
            cloud,
            grid,
            batch.object_index[cloud],
            self.options,
        )
        T = result.T_cam_obj.unflatten(0, (count, num_poses))
        return Targets(T, torch.ones(count, device=T.device))

    def has_target(self, index: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """All of them."""
        return np.ones(len(index), bool)


@dataclass(frozen=True)
class PoseTable(TargetSource):
    """One known pose per instance (true, or an automatic label), by the sample's index in the crop store.

    Of the poses that look the same, the one nearest to each prediction is its target.
    """

    T_cam_obj: Float[Tensor, "instances 4 4"]
    weight: Float[Tensor, "instances"]
    """0 for an instance without a pose."""
    symmetries: Symmetries
    shapes: ObjectShapes

    def targets(
        self, batch: CropBatch, index: Int[Tensor, "batch"], T_pred: Float[Tensor, "batch poses 4 4"]
    ) -> Targets:
        """Look the poses up and move them into the crop frame."""
        device, known_on = T_pred.device, self.T_cam_obj.device
        T_cam_obj = self.T_cam_obj[index.to(known_on)].to(device)
        T = (inverse(batch.T_cam_crop) @ T_cam_obj)[:, None].expand(-1, T_pred.shape[1], -1, -1)
        if self.symmetries.allowed.shape[1] > 1:
            T = nearest_symmetric_target(
                T_pred.detach(),
                T,
                self.symmetries.T_obj_sym[batch.object_index],
                self.symmetries.allowed[batch.object_index],
                self.shapes.points_m[batch.object_index],
            )
        return Targets(T, self.weight[index.to(known_on)].to(device))

    def has_target(self, index: Int[np.ndarray, "n"]) -> Bool[np.ndarray, "n"]:
        """Those with a pose."""
        return self.weight.cpu().numpy()[index] > 0
