"""Of the poses that look the same, the one nearest to a prediction: exact for rotations about an axis, too.

Two labels that differ by a symmetry have the same set of equivalent poses, so both give the same nearest one. Steps
along an axis would not: labels half a step apart would pull a prediction to two places.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.geometry.se3 import inverse, rotation_taking


@dataclass(frozen=True)
class Symmetries:
    """Motions under which each object is unchanged: discrete ones, each after any rotation about a free axis."""

    T_obj_sym: Float[Tensor, "objects symmetries 4 4"]
    """Discrete motions, the identity first; padded with identities."""
    allowed: Bool[Tensor, "objects symmetries"]
    """Which of them are in use."""
    axis: Float[Tensor, "objects 3"]
    """Unit vector, object frame; 0 for an object without a free axis."""
    centre_m: Float[Tensor, "objects 3"]
    """A point on the axis; of a ball, the centre."""
    is_ball: Bool[Tensor, " objects"]
    """Whether every rotation about the centre is a symmetry."""

    has_balls: bool = False
    """Whether there is any ball: their rotations take a singular value decomposition."""

    @property
    def trivial(self) -> bool:
        """Whether no object has any symmetry but the identity."""
        return self.T_obj_sym.shape[1] == 1 and not bool(self.axis.any())

    def of(self, index: Int[Tensor, " batch"]) -> "Symmetries":
        """Those of the objects with these indices, one an entry."""
        return self._each(lambda value: value[index])

    def to(self, device: torch.device | str) -> "Symmetries":
        """The same on another device."""
        return self._each(lambda value: value.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Symmetries":
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: change(value) for name, value in tensors.items()})


def nearest_symmetric_pose(
    T_pred: Float[Tensor, "batch poses 4 4"],
    T_target: Float[Tensor, "batch poses 4 4"],
    symmetries: Symmetries,
    points_obj_m: Float[Tensor, "batch points 3"],
    together: bool = False,
) -> Float[Tensor, "batch poses 4 4"]:
    """Of the poses that look the same as the target, the one nearest to the prediction (by mean square of the points).

    `symmetries` has one entry an instance. With `together` the poses of an instance share one choice, the nearest to
    all of them: for targets that are one label, seen from several predictions. Any rotation is as good where the
    points lie on the axis.

    Reference: Kabsch 1976, for one axis in closed form.
    """
    return nearest_by_moment(T_pred, T_target, symmetries, point_moment(points_obj_m), together)


def nearest_by_moment(
    T_pred: Float[Tensor, "batch poses 4 4"],
    T_target: Float[Tensor, "batch poses 4 4"],
    symmetries: Symmetries,
    point_moment: Float[Tensor, "batch 4 4"],
    together: bool = False,
) -> Float[Tensor, "batch poses 4 4"]:
    """`nearest_symmetric_pose` with the points' moments known."""
    moment = point_moment[:, None]
    T_obj_pred = inverse(T_target) @ T_pred
    T_sym = symmetries.T_obj_sym[:, None].expand(-1, T_pred.shape[1], -1, -1, -1)
    T_sym = _free_rotation(T_obj_pred, T_sym, moment, symmetries, together) @ T_sym
    difference = (T_obj_pred[:, :, None] - T_sym)[..., :3, :]
    squared = ((difference @ moment[:, :, None]) * difference).sum((-2, -1))
    if together:
        squared = squared.sum(1, keepdim=True).expand_as(squared)
    nearest = squared.masked_fill(~symmetries.allowed[:, None], torch.inf).argmin(-1)
    return T_target @ torch.take_along_dim(T_sym, nearest[..., None, None, None], 2).squeeze(2)


def _free_rotation(
    T_obj_pred: Float[Tensor, "batch poses 4 4"],
    T_sym: Float[Tensor, "batch poses symmetries 4 4"],
    moment: Float[Tensor, "batch 1 4 4"],
    symmetries: Symmetries,
    together: bool,
) -> Float[Tensor, "batch poses symmetries 4 4"]:
    """The rotation about the free axis, after each discrete motion, that brings the points nearest to their places."""
    centred = torch.eye(4, device=T_sym.device, dtype=T_sym.dtype).repeat(len(T_sym), 1, 1)
    centred[:, :3, 3] = -symmetries.centre_m
    moved, seen = centred[:, None, None] @ T_sym, centred[:, None] @ T_obj_pred
    covariance = (moved @ (moment @ seen.mT)[:, :, None])[..., :3, :3]
    if together:
        covariance = covariance.sum(1, keepdim=True).expand_as(covariance)
    axis = symmetries.axis[:, None, None]
    R = _rotation_about(axis, covariance)
    if symmetries.has_balls:
        R = torch.where(symmetries.is_ball[:, None, None, None, None], _any_rotation(covariance), R)
    centre = symmetries.centre_m[:, None, None]
    return rotation_taking(R, centre, centre)


def _rotation_about(
    axis: Float[Tensor, "batch 1 1 3"], covariance: Float[Tensor, "batch poses symmetries 3 3"]
) -> Float[Tensor, "batch poses symmetries 3 3"]:
    """The R about the axis with the largest trace of R @ covariance; the identity where the axis is 0."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    sine_gain = (cross * covariance.mT).sum((-2, -1))
    cosine_gain = -((cross @ cross) * covariance.mT).sum((-2, -1))
    angle_rad = torch.atan2(sine_gain, cosine_gain)[..., None, None]
    identity = torch.eye(3, device=axis.device, dtype=axis.dtype)
    return identity + angle_rad.sin() * cross + (1 - angle_rad.cos()) * (cross @ cross)


def _any_rotation(
    covariance: Float[Tensor, "batch poses symmetries 3 3"],
) -> Float[Tensor, "batch poses symmetries 3 3"]:
    """The R with the largest trace of R @ covariance, never a reflection."""
    U, _, Vh = torch.linalg.svd(covariance)
    sign = torch.ones_like(U[..., 0])
    sign[..., 2] = torch.det(Vh.mT @ U.mT).sign()
    return Vh.mT @ (sign[..., None] * U.mT)


def point_moment(points_obj_m: Float[Tensor, "batch points 3"]) -> Float[Tensor, "batch 4 4"]:
    """Mean outer product of the points with 1 behind them: all that mean squares of moved points depend on."""
    homogeneous = torch.cat([points_obj_m, torch.ones_like(points_obj_m[..., :1])], -1)
    return homogeneous.mT @ homogeneous / points_obj_m.shape[1]
