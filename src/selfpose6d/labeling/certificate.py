"""Accept, doubt or reject: what the finalists' scores say about the winner.

The scores become a distribution over the finalists; the winner is the pose of least expected error, its confidence
the share of that distribution that agrees with it (within 2 cm, symmetries of the object considered) times what a
pose of that quality is worth.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import transform_points
from selfpose6d.labeling.refine import Refined
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.types import Alternative, Certificate

AGREEMENT_M = 0.02
COMPARED_POINTS = 200


@dataclass(frozen=True)
class CertificateOptions:
    """When a pose is certified."""

    temperature: float = 0.025
    """Difference of total score that makes a finalist e times less likely."""
    min_score: float = 0.85
    """Least total score."""
    min_coverage: float = 0.85
    """Least share of the mask that the rendering covers."""
    max_free_space: float = 0.03
    """Most rendered area in measured free space, as a share of the mask."""
    max_rms_m: float = 0.012
    """Most rms distance of the observed points from the model, metres."""
    min_agreement: float = 0.8
    """Least share of the distribution that agrees with the winner; below, the pose is ambiguous."""
    max_outside_image: float = 0.2
    """Most of the predicted silhouette that may lie outside the image."""
    min_visible: float = 0.15
    """Least share of the predicted silhouette that the mask shows."""


@dataclass(frozen=True)
class Verdict:
    """The winner among the finalists and its certificate."""

    winner: int
    certificate: Certificate


def certify(
    model: ObjectModel,
    finalists: Refined,
    rms_m: Float[Tensor, "poses"],
    outside_image: Float[Tensor, "poses"],
    visible: Float[Tensor, "poses"],
    options: CertificateOptions,
) -> Verdict:
    """Choose the winner and judge it.

    `rms_m`, `outside_image` and `visible` are measured per finalist: residual of the observed points, share of the
    predicted silhouette outside the image, and share of it that the mask shows.
    """
    scores = finalists.scores
    distance_m = pose_distances(model, finalists.T_cam_obj)
    share = torch.softmax(scores.total / options.temperature, 0)
    expected_error_m = (distance_m.clamp_max(5 * AGREEMENT_M) * share).sum(1)
    plausible = scores.total > scores.total.max() - 2 * options.temperature
    winner = int(torch.where(plausible, expected_error_m, torch.inf).argmin())
    agrees = distance_m[winner] < AGREEMENT_M
    agreement = float((share * agrees).sum())
    rival = scores.total[~agrees].max() if bool((~agrees).any()) else scores.total.new_tensor(-1.0)
    margin = float(scores.total[agrees].max() - rival)
    confidence = agreement * _quality(float(scores.total[winner]))
    fault = _fault(
        scores, winner, float(rms_m[winner]), float(outside_image[winner]), float(visible[winner]), options
    )
    status, reason = "certified", ""
    if fault:
        status, reason = "rejected", fault
    elif agreement < options.min_agreement:
        status = "ambiguous"
        reason = (
            f"runner-up too close: another pose scores {abs(margin):.3f} {'below' if margin > 0 else 'above'}"
        )
    alternatives = _alternatives(finalists, share, agrees, plausible) if status == "ambiguous" else ()
    certificate = Certificate(
        status=status,
        reason=reason,
        confidence=confidence,
        margin=margin,
        rms_m=float(rms_m[winner]),
        coverage=float(scores.coverage[winner]),
        free_space=float(scores.free_space[winner]),
        colour=float(scores.colour[winner]),
        alternatives=alternatives,
    )
    return Verdict(winner, certificate)


def pose_distances(model: ObjectModel, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Float[Tensor, "poses poses"]:
    """Mean distance of model points between every two poses (ADD), the least over the object's symmetries, metres."""
    points = model.grid.points_m[0]
    points = points[torch.linspace(0, len(points) - 1, COMPARED_POINTS).long()]
    placed = transform_points(T_cam_obj, points.expand(len(T_cam_obj), -1, -1))
    variants = (T_cam_obj[:, None] @ model.symmetries).flatten(0, 1)
    moved = transform_points(variants, points.expand(len(variants), -1, -1))
    distance = (placed[:, None] - moved[None]).norm(dim=-1).mean(-1)
    return distance.reshape(len(T_cam_obj), len(T_cam_obj), -1).amin(-1)


def _quality(total: float) -> float:
    """How often a pose of this total score is right when nothing rivals it."""
    return float(1 / (1 + np.exp(-(total - 0.7) / 0.06)))


def _fault(
    scores, winner: int, rms_m: float, outside: float, visible: float, options: CertificateOptions
) -> str:
    total, coverage = float(scores.total[winner]), float(scores.coverage[winner])
    free_space = float(scores.free_space[winner])
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
    finalists: Refined,
    share: Float[Tensor, "poses"],
    agrees: Tensor,
    plausible: Tensor,
) -> tuple[Alternative, ...]:
    others = ((plausible | (share > 0.05)) & ~agrees).nonzero().squeeze(-1).tolist()
    return tuple(Alternative(finalists.T_cam_obj[i].double().cpu().numpy(), float(share[i])) for i in others)
