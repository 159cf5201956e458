"""Local refinement: Gauss-Newton on depth, colour and free space through the renderer, many poses at once."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import exp
from selfpose6d.labeling.detail import high_pass
from selfpose6d.labeling.residuals import (
    GEOMETRY_SCALE_M,
    geometry_system,
    outside_distance,
    rendered_system,
)
from selfpose6d.labeling.score import ObservedCrop, Scores, ScoreWeights, View, score
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import mip_levels, shade
from selfpose6d.types import Rasterization

DAMPING = 1e-2
MAX_STEP_M = 0.02
MOST_COLOUR = 0.5
"""No better colour correlation is expected of a wrong pose at first look."""
NEAREST_WEIGHT = 0.3


@dataclass(frozen=True)
class Refined:
    """The best pose met on each path and its scores."""

    T_cam_obj: Float[Tensor, "poses 4 4"]
    scores: Scores

    def ordered(self) -> "Refined":
        """The same, best total score first."""
        return self.take(self.scores.total.argsort(descending=True, stable=True))

    def join(self, other: "Refined") -> "Refined":
        """These poses and others."""
        pairs = zip(vars(self.scores).values(), vars(other.scores).values(), strict=True)
        return Refined(torch.cat([self.T_cam_obj, other.T_cam_obj]), Scores(*map(torch.cat, pairs)))

    def take(self, which: Tensor) -> "Refined":
        """Some of the poses, by index or mask."""
        return Refined(self.T_cam_obj[which], Scores(*(term[which] for term in vars(self.scores).values())))


def look(
    model: ObjectModel, observed: ObservedCrop, T_cam_obj: Float[Tensor, "poses 4 4"], coarse: bool
) -> View:
    """Render hypotheses into the crop."""
    return with_detail(model, observed, T_cam_obj, coarse, draw(model, observed, T_cam_obj, coarse))


def draw(
    model: ObjectModel, observed: ObservedCrop, T_cam_obj: Float[Tensor, "poses 4 4"], coarse: bool
) -> Rasterization:
    """Which face of each hypothesis is seen at each pixel of the crop."""
    poses, size = len(T_cam_obj), observed.crop.mask.shape[0]
    index, K = torch.full((poses,), int(coarse)), observed.crop.K.expand(poses, 3, 3)
    return rasterize(PosedMeshes(model.packed, index, T_cam_obj, K, size, size))


def with_detail(
    model: ObjectModel,
    observed: ObservedCrop,
    T_cam_obj: Float[Tensor, "poses 4 4"],
    coarse: bool,
    raster: Rasterization,
) -> View:
    """Add the colours to what was drawn."""
    poses = len(T_cam_obj)
    index, K = torch.full((poses,), int(coarse)), observed.crop.K.expand(poses, 3, 3)
    lab = shade(model.packed, index, raster, mip_levels(PosedMeshes(model.packed, index, T_cam_obj, K, 1, 1)))
    covered = raster.face_id >= 0
    return View(raster.face_id, covered, raster.depth_m, high_pass(lab, covered))


def glance(
    model: ObjectModel,
    observed: ObservedCrop,
    T_cam_obj: Float[Tensor, "poses 4 4"],
    weights: ScoreWeights,
    gap: float,
) -> Float[Tensor, "poses"]:
    """Total scores on the coarse crop, with colour where the rest leaves a chance to come within `gap` of the best.

    The others keep their score without it.
    """
    raster = draw(model, observed, T_cam_obj, coarse=True)
    poses, height, width = raster.face_id.shape
    nothing = raster.depth_m.new_zeros(()).expand(poses, 3, height, width)
    plain = View(raster.face_id, raster.face_id >= 0, raster.depth_m, nothing)
    total = score(observed, plain, weights, has_colour=False).total
    chance = total > total.max() - gap - MOST_COLOUR * weights.colour
    if model.has_colour:
        raster = Rasterization(*(value[chance] for value in vars(raster).values()))
        view = with_detail(model, observed, T_cam_obj[chance], True, raster)
        total[chance] = score(observed, view, weights, has_colour=True).total
    return total


def look_and_score(
    model: ObjectModel,
    observed: ObservedCrop,
    T_cam_obj: Float[Tensor, "poses 4 4"],
    weights: ScoreWeights,
    coarse: bool,
) -> tuple[View, Scores]:
    """Render hypotheses into the crop and score them against it."""
    view = look(model, observed, T_cam_obj, coarse)
    return view, score(observed, view, weights, model.has_colour)


def refine(
    model: ObjectModel,
    observed: ObservedCrop,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    iterations: int,
    weights: ScoreWeights,
    coarse: bool,
    gap: float = math.inf,
) -> Refined:
    """Take Gauss-Newton steps from every pose and keep the best-scored pose of each path.

    Monotone: the result never scores below the start. Paths that fall behind the best by more than `gap` end at once
    and are left out. Colour steers only the close look (`coarse=False`): the pattern must overlap to within a pixel or
    two before its gradient points the right way.
    """
    distance_px = outside_distance(observed.crop.mask)
    view, scores = look_and_score(model, observed, T_cam_obj, weights, coarse)
    here = best = Refined(T_cam_obj, scores)
    for _ in range(iterations):
        ahead = best.scores.total > best.scores.total.max() - gap
        here, best, view = here.take(ahead), best.take(ahead), view.take(ahead)
        T = gauss_newton_step(
            model, observed, cloud_cam_m, here.T_cam_obj, view, here.scores, distance_px, not coarse
        )
        view, scores = look_and_score(model, observed, T, weights, coarse)
        here = Refined(T, scores)
        best = keep_better(best, here)
    return best.take(best.scores.total > best.scores.total.max() - gap)


def keep_better(first: Refined, second: Refined) -> Refined:
    """Per pose the better-scored of two."""
    better = second.scores.total > first.scores.total
    pick = lambda a, b: torch.where(better.reshape(-1, *[1] * (a.ndim - 1)), b, a)  # noqa: E731
    scores = Scores(
        *(pick(a, b) for a, b in zip(vars(first.scores).values(), vars(second.scores).values(), strict=True))
    )
    return Refined(pick(first.T_cam_obj, second.T_cam_obj), scores)


def gauss_newton_step(
    model: ObjectModel,
    observed: ObservedCrop,
    cloud_cam_m: Float[Tensor, "points 3"],
    T: Float[Tensor, "poses 4 4"],
    view: View,
    scores: Scores,
    distance_px: Float[Tensor, "3 size size"],
    with_colour: bool,
) -> Float[Tensor, "poses 4 4"]:
    """One damped step of all poses."""
    centre = T[:, :3, :3] @ model.centre_m + T[:, :3, 3]
    H, g = geometry_system(model, cloud_cam_m, T, centre)
    shift = scores.shift if with_colour and model.has_colour else None
    H_rendered, g_rendered = rendered_system(model, observed, view, T, centre, distance_px, shift)
    radius = 0.5 * model.diameter_m
    damping = DAMPING * torch.diag(torch.tensor([1.0] * 3 + [radius**2] * 3)) / GEOMETRY_SCALE_M**2
    twist = torch.linalg.solve(NEAREST_WEIGHT * H + H_rendered + damping, NEAREST_WEIGHT * g + g_rendered)
    limit = torch.tensor([MAX_STEP_M] * 3 + [MAX_STEP_M / radius] * 3)
    twist = twist * (limit / twist.abs().clamp_min(1e-12)).amin(-1, keepdim=True).clamp_max(1.0)
    return move_about_centre(T, centre, twist)


def move_about_centre(
    T: Float[Tensor, "poses 4 4"], centre: Float[Tensor, "poses 3"], twist: Float[Tensor, "poses 6"]
) -> Float[Tensor, "poses 4 4"]:
    """Apply small motions that rotate about the object's centre."""
    step = exp(twist)
    moved = T.clone()
    moved[:, :3, :3] = step[:, :3, :3] @ T[:, :3, :3]
    about = (step[:, :3, :3] @ (T[:, :3, 3] - centre)[..., None]).squeeze(-1)
    moved[:, :3, 3] = about + centre + twist[:, :3]
    return moved
