"""Closed-form rigid fits of paired points: a step of the Iterative Annotation Resolver, poses from coordinates."""

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform


def rigid_fit(
    source: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    weights: Float[Tensor, "*batch points"] | None = None,
) -> Float[Tensor, "*batch 4 4"]:
    """`T_target_source` that minimises the weighted squared distances of paired points (never a reflection).

    Ill-posed when the points are collinear: the rotation about the line is arbitrary. Without any weight it is the
    identity.

    Reference: paper III-B, Iterative Annotation Resolver; Kabsch 1976, Umeyama 1991 (sign of the last axis).
    """
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    normalized = (weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny))[
        ..., None
    ]
    source_mean, target_mean = (normalized * source).sum(-2), (normalized * target).sum(-2)
    covariance = (normalized * (source - source_mean[..., None, :])).mT @ (target - target_mean[..., None, :])
    U, _, Vh = torch.linalg.svd(covariance)
    sign = torch.ones_like(source_mean)
    sign[..., 2] = torch.det(Vh.mT @ U.mT).sign()
    R = Vh.mT @ (sign[..., None] * U.mT)
    return make_transform(R, target_mean - (R @ source_mean[..., None]).squeeze(-1))
