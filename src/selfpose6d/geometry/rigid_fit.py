"""Closed-form rigid fits of paired points: a step of the Iterative Annotation Resolver, poses from coordinates."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from selfpose6d.geometry.se3 import make_transform

_SQUARINGS, _ROUNDS = 5, 4
"""Powers of 2 to the 20th, rescaled every fifth squaring, which loses no more than 2 to the 32nd: eigenvalues that
differ by a hundred-thousandth of the largest are told apart."""

_HORN = (
    ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, -1, 0), (0, 0, 0, -1)),
    ((0, 0, 0, 1), (0, 0, 1, 0), (0, 1, 0, 0), (1, 0, 0, 0)),
    ((0, 0, -1, 0), (0, 0, 0, 1), (-1, 0, 0, 0), (0, 1, 0, 0)),
    ((0, 0, 0, -1), (0, 0, 1, 0), (0, 1, 0, 0), (-1, 0, 0, 0)),
    ((1, 0, 0, 0), (0, -1, 0, 0), (0, 0, 1, 0), (0, 0, 0, -1)),
    ((0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0)),
    ((0, 0, 1, 0), (0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0)),
    ((0, -1, 0, 0), (-1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0)),
    ((1, 0, 0, 0), (0, -1, 0, 0), (0, 0, -1, 0), (0, 0, 0, 1)),
)
"""Of each entry of the covariance (row by row) its part of Horn's matrix. The entries of a rotation's transpose are the
same forms of its quaternion (w, x, y, z)."""

Rotation = Callable[[Float[Tensor, "*batch 3 3"]], Float[Tensor, "*batch 3 3"]]
"""Of a covariance (source by target) the rotation that brings the source to the target."""


def best_rotation(covariance: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation with the largest trace of R @ covariance, by its singular vectors; never a reflection.

    Reference: Kabsch 1976, Umeyama 1991 (sign of the last axis).
    """
    U, _, Vh = torch.linalg.svd(covariance)
    sign = torch.ones_like(U[..., 0])
    sign[..., 2] = torch.det(Vh.mT @ U.mT).sign()
    return Vh.mT @ (sign[..., None] * U.mT)


def best_rotation_by_products(covariance: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The same by matrix products alone, for exported graphs, where there is no decomposition; without gradient.

    The quaternion sought is the eigenvector to the largest eigenvalue of a symmetric matrix; squared often enough, the
    matrix is that vector's outer product with itself. Ill-posed where `best_rotation` is.

    Reference: Horn 1987.
    """
    horn = torch.tensor(_HORN, dtype=covariance.dtype, device=covariance.device).flatten(1)
    matrix = (covariance.flatten(-2) @ horn).unflatten(-1, (4, 4))
    # with the identity added no eigenvalue is negative; a covariance of 0 leaves that, which means no rotation
    matrix = matrix / _length(matrix) + torch.eye(4, dtype=matrix.dtype, device=matrix.device)
    for _ in range(_ROUNDS):
        matrix = matrix / _length(matrix)
        for _ in range(_SQUARINGS):
            matrix = matrix @ matrix
    longest = matrix.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
    quat_wxyz = functional.normalize(matrix.gather(-1, longest.expand_as(matrix[..., :1])), dim=-2)
    return ((quat_wxyz @ quat_wxyz.mT).flatten(-2) @ horn.mT).unflatten(-1, (3, 3)).mT


def rigid_fit(
    source: Float[Tensor, "*batch points 3"],
    target: Float[Tensor, "*batch points 3"],
    weights: Float[Tensor, "*batch points"] | None = None,
    rotation: Rotation = best_rotation,
) -> Float[Tensor, "*batch 4 4"]:
    """`T_target_source` that minimises the weighted squared distances of paired points (never a reflection).

    Ill-posed when the points are collinear: the rotation about the line is arbitrary. Without any weight it is the
    identity.

    Reference: paper III-B, Iterative Annotation Resolver; Kabsch 1976.
    """
    if weights is None:
        weights = torch.ones_like(source[..., 0])
    normalized = (weights / weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny))[
        ..., None
    ]
    source_mean, target_mean = (normalized * source).sum(-2), (normalized * target).sum(-2)
    covariance = (normalized * (source - source_mean[..., None, :])).mT @ (target - target_mean[..., None, :])
    R = rotation(covariance)
    return make_transform(R, target_mean - (R @ source_mean[..., None]).squeeze(-1))


def _length(matrix: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch 1 1"]:
    """Frobenius norm, not 0."""
    squared = matrix.square().sum((-2, -1), keepdim=True)
    return squared.clamp_min(torch.finfo(matrix.dtype).tiny).sqrt()
