"""Local refinement by the joint loss: gradient steps through the differentiable renderer, many poses at once.

The counterpart of `refine`, which takes Gauss-Newton steps on its own residuals; `docs/results.md` compares the two.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.errors import UsageError
from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.labeling.refine import Refined, keep_better, look_and_score, move_about_centre
from selfpose6d.labeling.score import ObservedCrop, ScoreWeights
from selfpose6d.losses.joint import BALANCED, JointLossOptions, Photograph, joint_loss
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render


@dataclass(frozen=True)
class JointRefineOptions:
    """How poses are improved by the joint loss."""

    steps: int = 20
    """Adam steps."""
    rate: float = 0.01
    """Highest learning rate, radians a step; of translation, as many radii."""
    loss: JointLossOptions = BALANCED
    """Weights and forms of its terms."""

    def __post_init__(self) -> None:
        if self.steps < 0 or not self.rate > 0:
            raise UsageError(
                f"steps must be at least 0 and the rate positive, got {self.steps} and {self.rate}."
            )


def joint_refine(
    model: ObjectModel,
    observed: ObservedCrop,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    weights: ScoreWeights,
    options: JointRefineOptions,
) -> Refined:
    """Descend on the joint loss from every pose; of start and end the better-scored one is kept.

    Reference: paper Eq. (11).
    """
    T = descend(model, observed, cloud_cam_m, T_cam_obj, options)
    before, after = (
        Refined(pose, look_and_score(model, observed, pose, weights, coarse=False)[1])
        for pose in (T_cam_obj, T)
    )
    return keep_better(before, after)


def descend(
    model: ObjectModel,
    observed: ObservedCrop,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    options: JointRefineOptions,
) -> Float[Tensor, "poses 4 4"]:
    """Where the joint loss leads each pose; all are one batch."""
    poses, crop = len(T_cam_obj), observed.crop
    size = crop.mask.shape[0]
    photograph = Photograph(
        ab=rgb_to_lab(crop.rgb)[None, ..., 1:].expand(poses, -1, -1, -1),
        mask=crop.mask.expand(poses, -1, -1),
        depth_m=crop.depth_m.expand(poses, -1, -1),
        points_cam_m=cloud_cam_m.expand(poses, -1, -1),
    )
    index, K = torch.zeros(poses, dtype=torch.long), crop.K.expand(poses, 3, 3)
    has_colour = torch.full((poses,), model.has_colour)
    centre = T_cam_obj[:, :3, :3] @ model.centre_m + T_cam_obj[:, :3, 3]
    scale = torch.tensor([0.5 * model.diameter_m] * 3 + [1.0] * 3)
    motion = torch.zeros(poses, 6, requires_grad=True)
    optimiser = torch.optim.Adam([motion], betas=(0.9, 0.99))
    for step in range(options.steps):
        optimiser.param_groups[0]["lr"] = options.rate * (1 + math.cos(math.pi * step / options.steps)) / 2
        T = move_about_centre(T_cam_obj, centre, scale * motion)
        image = render(PosedMeshes(model.packed, index, T, K, size, size))
        terms = joint_loss(photograph, image, T, model.grid, index, has_colour, options.loss)
        optimiser.zero_grad()
        terms.total.sum().backward()
        optimiser.step()
    return move_about_centre(T_cam_obj, centre, scale * motion.detach())
