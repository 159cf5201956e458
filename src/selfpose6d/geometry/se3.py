"""Rigid transforms as 4x4 matrices: `T_a_c = compose(T_a_b, T_b_c)`; all functions batch over leading dimensions."""

import torch
from jaxtyping import Float
from torch import Tensor


def make_transform(
    R: Float[Tensor, "*batch 3 3"], t: Float[Tensor, "*batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """The 4x4 matrix with rotation `R` and translation `t`."""
    bottom = torch.zeros_like(R[..., :1, :])
    corner = torch.ones_like(t[..., :1, None])
    return torch.cat([torch.cat([R, t[..., None]], -1), torch.cat([bottom, corner], -1)], -2)


def inverse(T_a_b: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """`T_b_a`, by the transpose of the rotation."""
    R_b_a = T_a_b[..., :3, :3].mT
    return make_transform(R_b_a, -(R_b_a @ T_a_b[..., :3, 3:]).squeeze(-1))


def transform_points(
    T_a_b: Float[Tensor, "*batch 4 4"], points_b: Float[Tensor, "*batch points 3"]
) -> Float[Tensor, "*batch points 3"]:
    """Points given in frame b, expressed in frame a (same length unit as the translation)."""
    return points_b @ T_a_b[..., :3, :3].mT + T_a_b[..., None, :3, 3]


def transform_point(
    T_a_b: Float[Tensor, "*batch 4 4"], point_b: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 3"]:
    """One point for each transform, given in frame b, expressed in frame a."""
    return (T_a_b[..., :3, :3] @ point_b[..., None]).squeeze(-1) + T_a_b[..., :3, 3]


def rotation_taking(
    R: Float[Tensor, "*batch 3 3"], point_b: Float[Tensor, "*#batch 3"], point_a: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch 4 4"]:
    """`T_a_b` that rotates by `R` and brings `point_b` to `point_a`."""
    return make_transform(R, point_a - (R @ point_b[..., None]).squeeze(-1))


def retract(twist: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 4 4"]:
    """Transform with translation `twist[..., :3]` and the rotation vector `twist[..., 3:]` (radians).

    This is the product manifold R3 x SO(3), not the screw exponential: translation and rotation do not mix.
    """
    import roma

    return make_transform(roma.rotvec_to_rotmat(twist[..., 3:]), twist[..., :3])


def rotate_about(
    T: Float[Tensor, "*batch 4 4"], centre: Float[Tensor, "*batch 3"], twist: Float[Tensor, "*batch 6"]
) -> Float[Tensor, "*batch 4 4"]:
    """Poses after small motions (see `retract`) that rotate about `centre`, given in the frame that `T` maps to."""
    step = retract(twist)
    moved = T.clone()
    moved[..., :3, :3] = step[..., :3, :3] @ T[..., :3, :3]
    about = (step[..., :3, :3] @ (T[..., :3, 3] - centre)[..., None]).squeeze(-1)
    moved[..., :3, 3] = about + centre + twist[..., :3]
    return moved
