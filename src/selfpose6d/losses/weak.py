"""The inaccurate weak loss: how far each pixel's pose is from its target, weighed by the pixel's own confidence."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from selfpose6d.geometry.se3 import transform_points

_SMALLEST_M = 1e-6
"""Added to distances, so that their gradient is finite at 0."""


@dataclass(frozen=True)
class WeakLoss:
    """The loss of a batch and its parts, one value an instance."""

    total: Float[Tensor, ""]
    instance: Float[Tensor, " batch"]
    distance_m: Float[Tensor, " batch"]
    """Distance of the poses to their targets, each weighed by its confidence."""
    confidence: Float[Tensor, " batch"]


def pose_distance_m(
    T_pred: Float[Tensor, "*batch poses 4 4"],
    T_target: Float[Tensor, "*batch poses 4 4"],
    points_obj_m: Float[Tensor, "*batch points 3"],
) -> Float[Tensor, "*batch poses"]:
    """Mean distance of the model points under a pose and under its target; its gradient is always finite.

    Reference: paper Eq. (3).
    """
    points_obj_m = points_obj_m[..., None, :, :].expand(*T_pred.shape[:-2], -1, -1)
    difference = transform_points(T_pred - T_target, points_obj_m)
    return difference.square().sum(-1).add(_SMALLEST_M**2).sqrt().mean(-1)


def weighted_mean(instance: Float[Tensor, " batch"], weight: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Mean over instances that count by their weight; 0 where none has any."""
    return (weight * instance).sum() / weight.sum().clamp_min(1e-9)


def weak_loss(
    distance_m: Float[Tensor, "batch poses"],
    confidence_logit: Float[Tensor, "batch poses"],
    regularisation_m: float,
    weight: Float[Tensor, " batch"] | None = None,
) -> WeakLoss:
    """Mean over the poses of distance x confidence - w log(confidence); instances count by their `weight` (default 1).

    The optimal confidence of a pose is min(1, w / distance). The logarithm is taken of the sigmoid as a
    whole, so that a confidence of 0 costs a finite loss.

    Reference: paper Eq. (4).
    """
    confidence = torch.sigmoid(confidence_logit)
    pixel = distance_m * confidence - regularisation_m * functional.logsigmoid(confidence_logit)
    instance = pixel.mean(-1)
    weight = torch.ones_like(instance) if weight is None else weight
    total = weighted_mean(instance, weight)
    with torch.no_grad():
        weighted_m = (distance_m * confidence).sum(-1) / confidence.sum(-1).clamp_min(1e-9)
    return WeakLoss(total, instance, weighted_m, confidence.detach().mean(-1))
