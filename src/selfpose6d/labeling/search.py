"""Coarse to fine: from nothing to a few refined, mutually different, scored poses of one instance.

1. evenly spread rotations, settled by the resolver;        2. rendered small and scored;
3. the best few multiplied by what geometry cannot tell apart; 4. refined through the renderer, small, then large.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.errors import UsageError
from selfpose6d.labeling.expand import similar_poses, sliding_poses
from selfpose6d.labeling.hypotheses import distinct, settle, start_poses
from selfpose6d.labeling.joint_refine import JointRefineOptions, joint_refine
from selfpose6d.labeling.refine import Refined, glance, refine
from selfpose6d.labeling.score import ObservedCrop, ScoreWeights
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions

Refinement = Literal["gauss-newton", "joint-loss"]

SEEDS_DIFFER = (math.radians(6), 0.01)
"""Poses nearer than this angle and this distance (metres) are one seed."""
FINALISTS_DIFFER = (math.radians(8), 0.01)
"""The same for finalists."""
RIVALS_DIFFER = (math.radians(20), 0.02)
"""The same for poses of quite another kind."""


@dataclass(frozen=True)
class SearchOptions:
    """How hard the annotator looks."""

    rotations: int = 600
    """Start rotations, evenly spread."""
    points: int = 200
    """Observed points that the resolver fits."""
    resolver_iterations: int = 20
    """ICP iterations per start (the paper: 20)."""
    rendered: int = 128
    """Most settled poses that are rendered in the first look."""
    coarse_px: int = 64
    """Crop side of the search, pixels."""
    fine_px: int = 128
    """Crop side of the last refinement and of the final score, pixels."""
    refined: int = 24
    """Poses refined on the coarse crop."""
    finalists: int = 10
    """Poses refined on the fine crop."""
    coarse_steps: int = 4
    """Gauss-Newton steps on the coarse crop."""
    fine_steps: int = 3
    """Gauss-Newton steps on the fine crop."""
    coarse_gap: float = 0.25
    """Poses that fall this much behind the best score on the coarse crop are given up."""
    fine_gap: float = 0.15
    """Poses that fall this much behind the best score after the coarse crop, or on the fine one, are given up."""
    refinement: Refinement = "gauss-newton"
    """Of the fine crop: Gauss-Newton on the score's own residuals, or gradient steps on the joint loss, which is slower
    and no better (docs/results.md)."""
    joint: JointRefineOptions = field(default_factory=JointRefineOptions)
    """How the joint loss is descended, where it is."""
    weights: ScoreWeights = field(default_factory=ScoreWeights)
    """Weights of the score's terms."""

    def __post_init__(self) -> None:
        for name in ("rotations", "points", "rendered", "refined", "finalists"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("coarse_px", "fine_px"):
            if getattr(self, name) < 16 or getattr(self, name) % 2:
                raise UsageError(f"{name} must be even and at least 16, got {getattr(self, name)}.")
        for name in ("coarse_steps", "fine_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be at least 0, got {getattr(self, name)}.")
        if self.refinement not in get_args(Refinement):
            names = " or ".join(get_args(Refinement))
            raise UsageError(f"refinement must be {names}, got {self.refinement!r}.")


@dataclass(frozen=True)
class InstanceView:
    """What the search needs of one instance: two crops and the visible cloud."""

    coarse: ObservedCrop
    fine: ObservedCrop
    cloud_cam_m: Float[Tensor, "points 3"]


def search(
    model: ObjectModel,
    instance: InstanceView,
    options: SearchOptions,
    turn: Float[Tensor, "3 3"] | None = None,
) -> Refined:
    """Finalists of one instance, best first; no pose is given, no label is read. `turn` turns the start rotations."""
    cloud = instance.cloud_cam_m
    resolver = ResolverOptions(iterations=options.resolver_iterations, tolerance_m=1e-4)
    settled = settle(model, cloud, start_poses(model, cloud, options.rotations, turn), resolver)
    T = settled.T_cam_obj[_differ(model, settled.T_cam_obj, -settled.rms_m, options.rendered)]
    total = first_look(model, instance, T, options)
    seeds = T[distinct(T, total, model.centre_m, *RIVALS_DIFFER, 3)]
    more = look_alikes(model, cloud, seeds, float(settled.rms_m.min()))
    if len(more):
        T, total = torch.cat([T, more]), torch.cat([total, first_look(model, instance, more, options)])
    return finish(model, instance, T[_differ(model, T, total, options.refined)], options)


def finish(
    model: ObjectModel, instance: InstanceView, T_cam_obj: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> Refined:
    """Refine hypotheses from anywhere (search, a network) on both crops; finalists, best first."""
    cloud, weights = instance.cloud_cam_m, options.weights
    coarse = refine(
        model,
        instance.coarse,
        cloud,
        T_cam_obj,
        options.coarse_steps,
        weights,
        coarse=True,
        gap=options.coarse_gap,
    )
    total = coarse.scores.total
    kept = distinct(coarse.T_cam_obj, total, model.centre_m, *FINALISTS_DIFFER, options.finalists)
    kept = kept[total[kept] > total.max() - options.fine_gap]
    T = coarse.T_cam_obj[kept]
    if options.refinement == "joint-loss":
        return joint_refine(model, instance.fine, cloud, T, weights, options.joint).ordered()
    fine = refine(
        model,
        instance.fine,
        cloud,
        T,
        options.fine_steps,
        weights,
        coarse=False,
        gap=options.fine_gap,
    )
    return fine.ordered()


def first_look(
    model: ObjectModel, instance: InstanceView, T: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> Float[Tensor, "poses"]:
    """Total score of each hypothesis on the coarse crop."""
    return glance(model, instance.coarse, T, options.weights, options.coarse_gap)


def look_alikes(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T: Float[Tensor, "poses 4 4"],
    best_rms_m: float,
) -> Float[Tensor, "more 4 4"]:
    """Poses that depth cannot tell from `T`, settled; those that do not fit the cloud after all are dropped."""
    more = torch.cat([similar_poses(model, T), sliding_poses(model, cloud_cam_m, T)])
    if not len(more):
        return more
    settled = settle(model, cloud_cam_m, more, ResolverOptions(iterations=3))
    fits = settled.T_cam_obj[settled.rms_m < 2 * best_rms_m + 0.002]
    return fits[_differ(model, fits, torch.zeros(len(fits)), 128)] if len(fits) else fits


def _differ(
    model: ObjectModel, T: Float[Tensor, "poses 4 4"], preference: Float[Tensor, "poses"], most: int
) -> Tensor:
    return distinct(T, preference, model.centre_m, *SEEDS_DIFFER, most)
