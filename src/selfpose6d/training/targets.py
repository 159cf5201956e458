"""Where the poses come from that predictions are compared with: the centre of every recipe."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.se3 import inverse
from selfpose6d.geometry.symmetric_poses import Symmetries, nearest_symmetric_pose
from selfpose6d.losses.weak import pose_distance_m
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.resolver.icp import ResolverOptions, resolve


@dataclass(frozen=True)
class Targets:
    """One target pose for each predicted pose, in the crop frame, and how much each instance counts."""

    T_crop_obj: Float[Tensor, "batch poses 4 4"]
    weight: Float[Tensor, " batch"]


@runtime_checkable
class Aims(Protocol):
    """The targets of one batch, for whatever poses are predicted of it."""

    def __call__(self, T_pred: Float[Tensor, "batch poses 4 4"], together: bool = False) -> Targets:
        """As `TargetSource.targets`."""
        ...


class TargetSource(ABC):
    """Gives the targets of a batch; no gradient flows through them."""

    @property
    def wants_unchanged(self) -> bool:
        """Whether it looks at the crops as they were before augmentation: `CropBatch.unchanged`."""
        return False

    def begin(self, batch: CropBatch, index: Int[Tensor, " batch"]) -> "TargetSource":
        """The source for one batch: what is alike for all predictions of it is found out once."""
        return self

    @abstractmethod
    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """Targets for predictions (crop frame) of the samples with these indices in the store.

        `together`: the poses of an instance are steps of one refinement, which shall have one aim: of the poses that
        look like the instance's label all get the same. Otherwise each gets the one nearest to itself.
        """

    def has_target(self, index: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Which of these samples can be trained on: all, where a source does not know better."""
        return np.ones(len(index), bool)


@dataclass(frozen=True)
class IterativeAnnotationResolver(TargetSource):
    """The network's own poses, each after ICP on the observed points: no label at all.

    ICP slides a can about its axis, which nobody can see: with `symmetries` each target is the pose that looks like the
    resolved one and is nearest to the prediction.

    Reference: paper III-B (Weak6D).
    """

    shapes: ObjectShapes
    options: ResolverOptions
    symmetries: Symmetries | None = None
    """None is the paper's form: the resolved pose as it is."""

    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """Resolve every pose against its own instance's points; each has a target of its own, `together` or not."""
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
        T = nearest_of_symmetric(T_pred, T, self.symmetries, self.shapes, batch.object_index, together=False)
        return Targets(T, torch.ones(count, device=T.device))


@dataclass(frozen=True)
class PosedBatch(TargetSource):
    """The poses that each instance of one batch may have, mostly one, with the instance's weight."""

    T_cam_obj: Float[Tensor, "batch members 4 4"]
    weight: Float[Tensor, " batch"]
    symmetries: Symmetries
    shapes: ObjectShapes

    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """In the crop frame; of the instance's poses and those that look like them, the nearest to the prediction.

        With `together` the poses of one refinement share their member.
        """
        T = inverse(batch.T_cam_crop)[:, None] @ self.T_cam_obj
        T_target = self._nearest(T_pred, T[:, 0], batch.object_index, together)
        # few instances have more than one pose, and whoever has one is done
        several = (self.T_cam_obj != self.T_cam_obj[:, :1]).flatten(1).any(1).nonzero().squeeze(1)
        if len(several):
            own = (T_pred[several], T[several], batch.object_index[several])
            T_target = T_target.index_put((several,), self._nearest_member(*own, together))
        return Targets(T_target, self.weight)

    def _nearest_member(
        self,
        T_pred: Float[Tensor, "some poses 4 4"],
        T_members: Float[Tensor, "some members 4 4"],
        object_index: Int[Tensor, " some"],
        together: bool,
    ) -> Float[Tensor, "some poses 4 4"]:
        """The member that is nearest to each prediction, or to all of an instance's."""
        near = [self._nearest(T_pred, T, object_index, together) for T in T_members.unbind(1)]
        points_m = self.shapes.points_m[object_index]
        off_m = torch.stack([pose_distance_m(T_pred.detach().float(), one, points_m) for one in near], -1)
        if together:
            off_m = off_m.sum(1, keepdim=True).expand_as(off_m)
        chosen = off_m.argmin(-1)[..., None, None, None]
        return torch.stack(near, 2).take_along_dim(chosen, 2).squeeze(2)

    def _nearest(
        self,
        T_pred: Float[Tensor, "some poses 4 4"],
        T: Float[Tensor, "some 4 4"],
        object_index: Int[Tensor, " some"],
        together: bool,
    ) -> Float[Tensor, "some poses 4 4"]:
        """Of the poses that look like an instance's one, the nearest to each prediction."""
        T_target = T[:, None].expand_as(T_pred)
        return nearest_of_symmetric(T_pred, T_target, self.symmetries, self.shapes, object_index, together)


@dataclass(frozen=True)
class PoseTable(TargetSource):
    """Known poses (true, or an automatic label), by the sample's index in the crop store.

    Of the poses that look the same, and of those that a label in doubt leaves open, the one nearest to each prediction
    is its target: labels that differ by a symmetry are one label.
    """

    T_cam_obj: Float[Tensor, "instances members 4 4"]
    weight: Float[Tensor, " instances"]
    """0 for an instance without a pose."""
    symmetries: Symmetries
    shapes: ObjectShapes

    def targets(
        self,
        batch: CropBatch,
        index: Int[Tensor, " batch"],
        T_pred: Float[Tensor, "batch poses 4 4"],
        together: bool = False,
    ) -> Targets:
        """Look the poses up and move them into the crop frame."""
        device, known = T_pred.device, index.to(self.T_cam_obj.device)
        T_cam_obj, weight = self.T_cam_obj[known].to(device), self.weight[known].to(device)
        posed = PosedBatch(T_cam_obj, weight, self.symmetries, self.shapes)
        return posed.targets(batch, index, T_pred, together)

    def has_target(self, index: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Those with a pose."""
        return self.weight.cpu().numpy()[index] > 0


def nearest_of_symmetric(
    T_pred: Float[Tensor, "batch poses 4 4"],
    T_target: Float[Tensor, "batch poses 4 4"],
    symmetries: Symmetries | None,
    shapes: ObjectShapes,
    object_index: Int[Tensor, " batch"],
    together: bool,
) -> Float[Tensor, "batch poses 4 4"]:
    """Of the poses that look like each target, the one nearest to its prediction, or to all of an instance's."""
    if symmetries is None or symmetries.trivial:
        return T_target
    points_m, own = shapes.points_m[object_index], symmetries.of(object_index)
    return nearest_symmetric_pose(T_pred.detach().float(), T_target, own, points_m, together)
