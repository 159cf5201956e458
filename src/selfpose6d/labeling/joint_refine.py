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
from selfpose6d.geometry.se3 import rotate_about
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.score import ScoredPoses, ScoreWeights, score
from selfpose6d.losses.joint import BALANCED, JointLossOptions, ObservedImages, joint_loss
from selfpose6d.objects.object_model import FINE_MESH
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
    candidates: Candidates,
    cloud_cam_m: Float[Tensor, "points 3"],
    weights: ScoreWeights,
    options: JointRefineOptions,
) -> ScoredPoses:
    """Descend on the joint loss from every candidate; of start and end the better-scored one is kept.

    Reference: paper Eq. (11).
    """
    before, after = (
        ScoredPoses(poses.T_cam_obj, score(render_candidates(poses), weights))
        for poses in (candidates, candidates.at(descend(candidates, cloud_cam_m, options)))
    )
    return before.better_of(after)


def descend(
    candidates: Candidates, cloud_cam_m: Float[Tensor, "points 3"], options: JointRefineOptions
) -> Float[Tensor, "poses 4 4"]:
    """Where the joint loss leads each candidate; all are one batch."""
    model, crop, start = candidates.model, candidates.crop, candidates.T_cam_obj
    count, centre = len(start), candidates.centre_cam_m
    observed = ObservedImages(
        ab=rgb_to_lab(crop.rgb)[None, ..., 1:].expand(count, -1, -1, -1),
        mask=crop.mask.expand(count, -1, -1),
        depth_m=crop.depth_m.expand(count, -1, -1),
        points_cam_m=cloud_cam_m.expand(count, -1, -1),
    )
    zero = torch.zeros(count, dtype=torch.long, device=start.device)
    has_colour = torch.full((count,), model.has_colour, device=start.device)
    scale = start.new_tensor([0.5 * model.diameter_m] * 3 + [1.0] * 3)
    motion = start.new_zeros(count, 6).requires_grad_()
    optimiser = torch.optim.Adam([motion], betas=(0.9, 0.99))
    for step in range(options.steps):
        optimiser.param_groups[0]["lr"] = options.rate * (1 + math.cos(math.pi * step / options.steps)) / 2
        T = rotate_about(start, centre, scale * motion)
        image = render(PosedMeshes.of_one(model.packed, FINE_MESH, T, crop.K, crop.shape))
        terms = joint_loss(observed, image, T, model.grid, zero, has_colour, options.loss)
        optimiser.zero_grad()
        terms.total.sum().backward()
        optimiser.step()
    return rotate_about(start, centre, scale * motion.detach())
