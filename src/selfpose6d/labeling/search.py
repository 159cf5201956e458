"""Coarse to fine: from nothing to a few refined, mutually different, scored poses of one instance.

1. evenly spread rotations, aligned by the resolver;        2. rendered small and scored;
3. the best few multiplied by what geometry cannot tell apart; 4. refined through the renderer, small, then large.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.errors import UsageError
from selfpose6d.labeling.candidates import Candidates
from selfpose6d.labeling.expand import similar_poses, sliding_poses
from selfpose6d.labeling.hypotheses import align, distinct, start_poses
from selfpose6d.labeling.joint_refine import JointRefineOptions, joint_refine
from selfpose6d.labeling.observation import Observation
from selfpose6d.labeling.refine import RefineOptions, refine
from selfpose6d.labeling.score import ScoredPoses, ScoreWeights, coarse_score
from selfpose6d.resolver.icp import ResolverOptions

Refinement = Literal["gauss-newton", "joint-loss"]

RESOLVED_RATIO = 2.5
"""Starts that the resolver takes past half-way, in units of those that are rendered: with 1.5, mustard bottles of which
a fifth is visible were lost (docs/results.md)."""
EXPANDED = 3
"""Best poses of different kinds that are multiplied by what geometry cannot tell apart."""
MAX_EQUIVALENT = 128
"""Most poses that geometry cannot tell apart, after thinning: as many as are rendered at first."""
RMS_RATIO = 2.0
"""A pose fits as well as the best up to twice its residual, and some slack; scores hardly depend on either
(docs/results.md)."""


@dataclass(frozen=True)
class SearchOptions:
    """How hard the annotator searches."""

    rotations: int = 512
    """Start rotations, evenly spread."""
    resolver_iterations: int = 20
    """ICP iterations per start (the paper: 20)."""
    rendered: int = 128
    """Most aligned poses that are rendered for the coarse score."""
    coarse_candidates: int = 24
    """Candidates refined on the coarse crop."""
    fine_candidates: int = 10
    """Candidates refined on the fine crop."""
    challengers: int = 6
    """Poses that geometry cannot tell from the best candidate, of different kinds, that are refined against it."""
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
        for name in ("rotations", "rendered", "coarse_candidates", "fine_candidates", "challengers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("coarse_steps", "fine_steps"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must be at least 0, got {getattr(self, name)}.")
        if self.refinement not in get_args(Refinement):
            names = " or ".join(get_args(Refinement))
            raise UsageError(f"refinement must be {names}, got {self.refinement!r}.")

    @property
    def resolver(self) -> ResolverOptions:
        """How start poses are aligned; 0.1 mm is below any camera's noise."""
        return ResolverOptions(iterations=self.resolver_iterations, tolerance_m=1e-4)

    @property
    def coarse(self) -> RefineOptions:
        """Refinement on the coarse crop."""
        return RefineOptions(self.coarse_steps, steer_by_colour=False, max_gap=self.coarse_gap)

    @property
    def fine(self) -> RefineOptions:
        """Refinement on the fine crop."""
        return RefineOptions(self.fine_steps, steer_by_colour=True, max_gap=self.fine_gap)


def search(
    observation: Observation, options: SearchOptions, R_offset: Float[Tensor, "3 3"] | None = None
) -> ScoredPoses:
    """Refined candidates of one instance, best first; no pose is given, no label is read.

    `R_offset` rotates the start rotations.
    """
    T, best_rms_m = _aligned_starts(observation, options, R_offset)
    T, total = score_and_expand(observation, T, best_rms_m, options)
    return refine_candidates(observation, _best_coarse(observation, T, total, options), options)


def _best_coarse(
    observation: Observation,
    T: Float[Tensor, "poses 4 4"],
    total: Float[Tensor, " poses"],
    options: SearchOptions,
) -> Float[Tensor, "best 4 4"]:
    """Different poses that score best on the coarse crop; those that its refinement would give up at once are left
    out, so that they are not rendered again.
    """
    kept = distinct(
        observation.model, T, total, observation.lengths.same_candidate, options.coarse_candidates
    )
    return T[kept[total[kept] > total.max() - options.coarse_gap]]


def _aligned_starts(
    observation: Observation, options: SearchOptions, R_offset: Float[Tensor, "3 3"] | None
) -> tuple[Float[Tensor, "poses 4 4"], float]:
    """Start poses moved onto the cloud, mutually different, and the least residual of any.

    Starts that are the same half-way go on as one; those whose residual rules them out at the end are left out.
    """
    model, cloud = observation.model, observation.cloud_cam_m
    spacing, iterations = observation.lengths.same_candidate, options.resolver_iterations
    T, best_rms_m = start_poses(model, cloud, options.rotations, R_offset), math.inf
    half_way = (iterations // 2, round(RESOLVED_RATIO * options.rendered))
    for steps, most in (half_way, (iterations - half_way[0], options.rendered)):
        aligned = align(model, cloud, T, replace(options.resolver, iterations=steps))
        best_rms_m = min(best_rms_m, float(aligned.rms_m.min()))
        kept = distinct(model, aligned.T_cam_obj, -aligned.rms_m, spacing, most)
        T, rms_m = aligned.T_cam_obj[kept], aligned.rms_m[kept]
    return T[rms_m < RMS_RATIO * best_rms_m + observation.lengths.rms_slack_m], best_rms_m


def search_again(
    observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> ScoredPoses:
    """Candidates of an instance whose poses by another mask are known: these, and what depth cannot tell from them."""
    model, cloud = observation.model, observation.cloud_cam_m
    aligned = align(model, cloud, T_cam_obj, options.resolver)
    T = torch.cat([T_cam_obj, aligned.T_cam_obj])
    T, total = score_and_expand(observation, T, float(aligned.rms_m.min()), options)
    return refine_candidates(observation, _best_coarse(observation, T, total, options), options)


def challenge(observation: Observation, found: ScoredPoses, options: SearchOptions) -> ScoredPoses:
    """The candidates, and what geometry cannot tell from the best of them, refined like them.

    The search looks for such poses too, but from rough ones, whose colours do not lie on each other yet: there the
    right one of two can fall behind. Beside a refined pose its equals are nearly refined.
    """
    model, lengths = observation.model, observation.lengths
    best = found.T_cam_obj[found.total.argmax()][None]
    cloud = observation.cloud_cam_m
    best_rms_m = float(align(model, cloud, best, ResolverOptions(iterations=0)).rms_m[0])
    more = equivalent_poses(observation, best, best_rms_m)
    if not len(more):
        return found
    total = score_coarse(observation, more, options)
    kept = distinct(model, more, total, lengths.same_kind, options.challengers)
    fine = Candidates(model, observation.fine, more[kept])
    refined = refine(fine, cloud, options.weights, replace(options.fine, max_gap=math.inf))
    joined = found.join(refined)
    same = distinct(model, joined.T_cam_obj, joined.total, lengths.same_refined, len(joined))
    return joined.take(same)


def score_and_expand(
    observation: Observation,
    T: Float[Tensor, "poses 4 4"],
    best_rms_m: float,
    options: SearchOptions,
) -> tuple[Float[Tensor, "more 4 4"], Float[Tensor, " more"]]:
    """Poses with their total score on the coarse crop, and beside them those that depth cannot tell from the best
    of different kinds.
    """
    model, total = observation.model, score_coarse(observation, T, options)
    best = T[distinct(model, T, total, observation.lengths.same_kind, EXPANDED)]
    more = equivalent_poses(observation, best, best_rms_m)
    if not len(more):
        return T, total
    return torch.cat([T, more]), torch.cat([total, score_coarse(observation, more, options)])


def score_coarse(
    observation: Observation, T: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> Float[Tensor, " poses"]:
    """Total score of each pose on the coarse crop."""
    return coarse_score(
        Candidates(observation.model, observation.coarse, T), options.weights, options.coarse_gap
    )


def refine_candidates(
    observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> ScoredPoses:
    """Refine poses from anywhere (search, a network) on both crops; best first."""
    model, cloud, weights = observation.model, observation.cloud_cam_m, options.weights
    coarse = refine(Candidates(model, observation.coarse, T_cam_obj), cloud, weights, options.coarse)
    lengths, most = observation.lengths, options.fine_candidates
    kept = [
        distinct(model, coarse.T_cam_obj, coarse.total, spacing, count)
        for spacing, count in ((lengths.same_refined, most), (lengths.same_kind, most // 2 + 1))
    ]
    kept = torch.cat(kept).unique()
    kept = kept[coarse.total[kept] > coarse.total.max() - options.fine_gap]
    return refine_finely(observation, coarse.T_cam_obj[kept], options)


def refine_finely(
    observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"], options: SearchOptions
) -> ScoredPoses:
    """Refine poses that are nearly right on the fine crop; best first."""
    fine, cloud = Candidates(observation.model, observation.fine, T_cam_obj), observation.cloud_cam_m
    if options.refinement == "joint-loss":
        return joint_refine(fine, cloud, options.weights, options.joint).ordered()
    return refine(fine, cloud, options.weights, options.fine).ordered()


def equivalent_poses(
    observation: Observation, T: Float[Tensor, "poses 4 4"], best_rms_m: float
) -> Float[Tensor, "more 4 4"]:
    """Poses that depth cannot tell from `T`, aligned; those that do not fit the cloud after all are dropped."""
    model, cloud_cam_m, lengths = observation.model, observation.cloud_cam_m, observation.lengths
    more = torch.cat([similar_poses(model, T), sliding_poses(model, cloud_cam_m, T, lengths)])
    if not len(more):
        return more
    aligned = align(model, cloud_cam_m, more, ResolverOptions(iterations=3))
    fits = aligned.T_cam_obj[aligned.rms_m < RMS_RATIO * best_rms_m + lengths.rms_slack_m]
    if not len(fits):
        return fits
    return fits[
        distinct(model, fits, fits.new_zeros(len(fits)), observation.lengths.same_candidate, MAX_EQUIVALENT)
    ]
