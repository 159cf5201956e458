"""More hypotheses where geometry cannot decide: poses that a depth camera cannot tell apart.

Two sources: the object's self-similarities (a box's four ways round), and the motions along which the visible
surface slides on itself from this view (a mug about its axis while the handle is hidden).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.residuals import geometry_system
from selfpose6d.objects.object_model import ObjectModel

SLIPPABLE = 0.03
"""A motion slides when its stiffness is below this ratio of the stiffest one's (docs/results.md: a third, thrice)."""
MIN_ROTATION = 0.5
"""Least norm of the rotation in a unit motion: others are shifts, which leave the mask."""
STEP_RAD = math.radians(7.5)
"""Half the width at which colour correlates on a rotated label."""
MAX_SIMILAR = 64
"""Most self-similarities that are tried: a can's axis in steps of 6 degrees."""


def similar_poses(model: ObjectModel, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Float[Tensor, "more 4 4"]:
    """Every pose combined with the object's self-similarities (evenly thinned to 64), the identity left out."""
    elements = model.similarity.T_obj_obj[1:]
    if len(elements) > MAX_SIMILAR:
        elements = elements[torch.linspace(0, len(elements) - 1, MAX_SIMILAR, device=elements.device).long()]
    return (T_cam_obj[:, None] @ elements[None]).flatten(0, 1)


def sliding_poses(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    lengths: Lengths,
) -> Float[Tensor, "more 4 4"]:
    """Every pose rotated once around along the motion that changes the point-to-plane residuals least.

    Only motions that rotate, and only where the residuals hardly notice: the smallest eigenvalue of the normal
    equations, in units where a rotation moves a point at half the diameter.

    Reference: Gelfand and Guibas, Shape segmentation using local slippage analysis, 2004.
    """
    centre = model.centre_at(T_cam_obj)
    H, _ = geometry_system(model, cloud_cam_m, T_cam_obj, lengths)
    scale = H.new_tensor([1.0] * 3 + [2 / model.diameter_m] * 3)
    values, vectors = torch.linalg.eigh(H * scale[:, None] * scale)
    slides = values[:, :3] < SLIPPABLE * values[:, -1:]
    twist = vectors[:, :, :3].mT * scale
    rotates = slides & (vectors[:, 3:, :3].norm(dim=1) > MIN_ROTATION)
    pose, which = rotates.nonzero().unbind(-1)
    twist = twist[pose, which]
    twist = twist / twist[:, 3:].norm(dim=-1, keepdim=True).clamp_min(1e-9)
    steps = torch.arange(STEP_RAD, 2 * math.pi - 0.5 * STEP_RAD, STEP_RAD, device=twist.device)
    motion = _screw(twist, centre[pose], steps)
    return (motion @ T_cam_obj[pose][:, None]).flatten(0, 1)


def _screw(
    twist: Float[Tensor, "n 6"], centre: Float[Tensor, "n 3"], angle_rad: Float[Tensor, " steps"]
) -> Float[Tensor, "n steps 4 4"]:
    """Finite motions exp(angle * twist), the twist's rotation being about the centre."""
    v, w = twist[:, :3], twist[:, 3:]
    zero = torch.zeros_like(w[:, 0])
    skew = torch.stack(
        [zero, -w[:, 2], w[:, 1], w[:, 2], zero, -w[:, 0], -w[:, 1], w[:, 0], zero], -1
    ).reshape(-1, 3, 3)
    generator = twist.new_zeros(len(twist), 4, 4)
    generator[:, :3, :3] = skew
    generator[:, :3, 3] = v - torch.linalg.cross(w, centre)
    return torch.matrix_exp(generator[:, None] * angle_rad[:, None, None])
