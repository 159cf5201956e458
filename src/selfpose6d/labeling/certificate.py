"""Accept, doubt or reject: what the refined candidates' scores say about the winner.

The scores become a distribution over the candidates; the winner is the pose of least expected error, its confidence
the part of that distribution that agrees with it (within 2 cm, symmetries of the object considered) times what a
pose of that quality is worth.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import transform_points
from selfpose6d.labeling.hypotheses import align, distinct
from selfpose6d.labeling.observation import Observation
from selfpose6d.labeling.score import ScoredPoses
from selfpose6d.labeling.search import SAME_REFINED
from selfpose6d.labeling.silhouette import silhouette_fractions
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Alternative, Certificate

AGREEMENT_M = 0.02
"""Poses whose model points are this near agree: what `evaluate` calls right."""
COMPARED_POINTS = 200
"""Of the model; the mean distance of more differs by less than a tenth of a millimetre."""
QUALITY_SCORE, QUALITY_WIDTH = 0.7, 0.06
"""Logistic of how often a pose of a total score is right: set by hand on the real sample and one rendered set."""


@dataclass(frozen=True)
class CertificateOptions:
    """When a pose is certified."""

    temperature: float = 0.025
    """Difference of total score that makes a candidate e times less likely."""
    min_score: float = 0.85
    """Least total score."""
    min_coverage: float = 0.85
    """Least part of the mask that the rendering covers."""
    max_free_space: float = 0.03
    """Most rendered area in measured free space, as a part of the mask."""
    max_rms_m: float = 0.012
    """Most rms distance of the observed points from the model, metres."""
    min_agreement: float = 0.8
    """Least part of the distribution that agrees with the winner; below, the pose is ambiguous."""
    max_outside_image: float = 0.2
    """Most of the predicted silhouette that may lie outside the image."""
    min_visible: float = 0.15
    """Least part of the predicted silhouette that the mask shows."""


@dataclass(frozen=True)
class CertifiedPose:
    """A pose of one instance and what its certificate says."""

    T_cam_obj: Float[Tensor, "4 4"]
    certificate: Certificate


@dataclass(frozen=True)
class Evidence:
    """What is measured of each candidate beside its score."""

    rms_m: Float[Tensor, "poses"]
    """Residual of the observed points."""
    outside_image: Float[Tensor, "poses"]
    """Part of the predicted silhouette outside the image."""
    visible_fraction: Float[Tensor, "poses"]
    """Part of it that the mask shows."""


@dataclass(frozen=True)
class Decision:
    """The winner among the candidates and its certificate."""

    winner: int
    certificate: Certificate


def certify(observation: Observation, candidates: ScoredPoses, options: CertificateOptions) -> CertifiedPose:
    """Measure the candidates in the whole image, then choose and certify the winner.

    Of candidates that came to the same pose the best-scored counts: the certificate weighs different answers.
    """
    model = observation.model
    kept = distinct(model, candidates.T_cam_obj, candidates.total, SAME_REFINED, len(candidates))
    candidates = candidates.take(kept)
    T = candidates.T_cam_obj
    residual = align(model, observation.cloud_cam_m, T, ResolverOptions(iterations=0))
    evidence = Evidence(residual.rms_m, *silhouette_fractions(observation, T))
    decision = decide(model, candidates, evidence, options)
    return CertifiedPose(T[decision.winner], decision.certificate)


def decide(
    model: ObjectModel, candidates: ScoredPoses, evidence: Evidence, options: CertificateOptions
) -> Decision:
    """Choose the winner and say what the evidence is worth."""
    scores, total = candidates.scores, candidates.total
    distance_m = pose_distances(model, candidates.T_cam_obj)
    probability = torch.softmax(total / options.temperature, 0)
    expected_error_m = (distance_m.clamp_max(5 * AGREEMENT_M) * probability).sum(1)
    plausible = total > total.max() - 2 * options.temperature
    winner = int(torch.where(plausible, expected_error_m, torch.inf).argmin())
    agrees = distance_m[winner] < AGREEMENT_M
    agreement = float((probability * agrees).sum())
    competing = total[~agrees].max() if bool((~agrees).any()) else total.new_tensor(-1.0)
    margin = float(total[agrees].max() - competing)
    fault = _fault(candidates, evidence, winner, options)
    status, reason = "certified", ""
    if fault:
        status, reason = "rejected", fault
    elif agreement < options.min_agreement:
        status = "ambiguous"
        reason = (
            f"runner-up too close: another pose scores {abs(margin):.3f} {'below' if margin > 0 else 'above'}"
        )
    others = (plausible | (probability > 0.05)) & ~agrees
    certificate = Certificate(
        status=status,
        reason=reason,
        confidence=agreement * _quality(float(total[winner])),
        margin=margin,
        rms_m=float(evidence.rms_m[winner]),
        coverage=float(scores.coverage[winner]),
        free_space=float(scores.free_space[winner]),
        colour=float(scores.colour[winner]),
        alternatives=_alternatives(candidates, probability, others) if status == "ambiguous" else (),
    )
    return Decision(winner, certificate)


def pose_distances(model: ObjectModel, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Float[Tensor, "poses poses"]:
    """Mean distance of model points between every two poses (ADD), the least over the object's symmetries, metres."""
    points, count = model.grid.points_m[0], len(T_cam_obj)
    points = points[torch.linspace(0, len(points) - 1, COMPARED_POINTS, device=points.device).long()]
    placed = transform_points(T_cam_obj, points.expand(count, -1, -1))
    variants = (T_cam_obj[:, None] @ model.symmetries).flatten(0, 1)
    moved = transform_points(variants, points.expand(len(variants), -1, -1))
    distance = (placed[:, None] - moved[None]).norm(dim=-1).mean(-1)
    return distance.reshape(count, count, -1).amin(-1)


def _quality(total: float) -> float:
    """How often a pose of this total score is right when nothing competes with it."""
    return 1 / (1 + math.exp(-(total - QUALITY_SCORE) / QUALITY_WIDTH))


def _fault(candidates: ScoredPoses, evidence: Evidence, winner: int, options: CertificateOptions) -> str:
    total, coverage = float(candidates.total[winner]), float(candidates.scores.coverage[winner])
    free_space, rms_m = float(candidates.scores.free_space[winner]), float(evidence.rms_m[winner])
    outside, visible = float(evidence.outside_image[winner]), float(evidence.visible_fraction[winner])
    checks = (
        (
            outside > options.max_outside_image,
            f"{outside:.0%} of the predicted silhouette is outside the image",
        ),
        (
            visible < options.min_visible,
            f"mostly hidden: only {visible:.0%} of the predicted silhouette is visible",
        ),
        (rms_m > options.max_rms_m, f"observed points do not fit: rms {1e3 * rms_m:.1f} mm"),
        (coverage < options.min_coverage, f"only {coverage:.0%} of the mask is covered"),
        (free_space > options.max_free_space, f"{free_space:.1%} of the mask's area lies in free space"),
        (total < options.min_score, f"score too low: {total:.2f}"),
    )
    return next((text for failed, text in checks if failed), "")


def _alternatives(
    candidates: ScoredPoses, probability: Float[Tensor, "poses"], which: Tensor
) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(candidates.T_cam_obj[i].double().cpu().numpy(), float(probability[i]))
        for i in which.nonzero().squeeze(-1).tolist()
    )
