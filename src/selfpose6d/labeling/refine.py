"""Local refinement: Gauss-Newton on depth, colour and free space through the renderer, many poses at once."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import rotate_about
from selfpose6d.labeling.candidates import Candidates, RenderedCandidates, render_candidates
from selfpose6d.labeling.residuals import geometry_system, rendered_system
from selfpose6d.labeling.score import ScoredPoses, Scores, ScoreWeights, score

DAMPING = 1e-2
"""Of the normal equations, as a fraction of a point's weight at the geometry scale: keeps slippable motions at rest."""
NEAREST_WEIGHT = 0.3
"""Of the nearest-sample residuals beside the rendered ones: they reach farther, but through thin walls."""


@dataclass(frozen=True)
class RefineOptions:
    """How far and how candidates are refined."""

    iterations: int
    """Gauss-Newton steps."""
    steer_by_colour: bool
    """Whether colour enters the steps, not the score alone: its gradient points the right way only where the pattern
    overlaps to within a pixel or two."""
    max_gap: float = math.inf
    """Paths that fall this much behind the best score end at once."""


def refine(
    candidates: Candidates,
    cloud_cam_m: Float[Tensor, "points 3"],
    weights: ScoreWeights,
    options: RefineOptions,
) -> ScoredPoses:
    """Take Gauss-Newton steps from every candidate and keep the best-scored pose of each path.

    Monotone: the result never scores below the start. Paths that end early are left out.
    """
    rendered = render_candidates(candidates)
    here = best = ScoredPoses(candidates.T_cam_obj, score(rendered, weights))
    for _ in range(options.iterations):
        ahead = best.total > best.total.max() - options.max_gap
        here, best, rendered = here.take(ahead), best.take(ahead), rendered.take(ahead)
        T = gauss_newton_step(rendered, cloud_cam_m, here.scores, options.steer_by_colour)
        rendered = render_candidates(candidates.at(T))
        here = ScoredPoses(T, score(rendered, weights))
        best = best.better_of(here)
    return best.take(best.total > best.total.max() - options.max_gap)


def gauss_newton_step(
    rendered: RenderedCandidates,
    cloud_cam_m: Float[Tensor, "points 3"],
    scores: Scores,
    steer_by_colour: bool,
) -> Float[Tensor, "poses 4 4"]:
    """One damped step of all candidates."""
    model, T = rendered.candidates.model, rendered.candidates.T_cam_obj
    lengths = rendered.crop.lengths
    H, g = geometry_system(model, cloud_cam_m, T, lengths)
    H_rendered, g_rendered = rendered_system(rendered, scores.shift if steer_by_colour else None)
    radius = 0.5 * model.diameter_m
    damping = DAMPING * torch.diag(T.new_tensor([1.0] * 3 + [radius**2] * 3))
    damping = damping / lengths.geometry_scale_m**2
    twist = torch.linalg.solve(NEAREST_WEIGHT * H + H_rendered + damping, NEAREST_WEIGHT * g + g_rendered)
    limit = T.new_tensor([lengths.max_step_m] * 3 + [lengths.max_step_m / radius] * 3)
    twist = twist * (limit / twist.abs().clamp_min(1e-12)).amin(-1, keepdim=True).clamp_max(1.0)
    return rotate_about(T, rendered.candidates.centre_cam_m, twist)
