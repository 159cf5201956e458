"""Accept, doubt or reject: what the evidence says about the best of the refined candidates.

The candidates' scores, corrected by direct comparison with the best, become a distribution; the winner is the pose of
least expected error. What is measured of it is rated by a calibration, which knows how often a pose so rated is right.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.geometry.se3 import transform_points
from selfpose6d.labeling.calibration import Calibration, Threshold, default_calibration
from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.compete import MAX_SIGMA, compare_first
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.score import ScoredPoses
from selfpose6d.labeling.terms import Terms, group_of
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.types import Alternative, Certificate, MaskQuality

COMPARED_POINTS = 200
"""Of the model; the mean distance of more differs by less than a tenth of a millimetre."""
MAX_COMPARED = 5
"""Competing candidates that are compared with the best one directly: each costs some milliseconds."""
COMPARED_GAP = 0.2
"""Candidates that fall this much behind do not compete."""
COLOUR_WEIGHT, SHAPE_WEIGHT = 1.0, 1.0
"""Of an advantage in direct comparison, beside the difference of the total scores."""
EQUAL_RATIO = 0.1
"""Poses whose points are this near (rms, of the diameter) after a self-similarity are equals by shape."""
EQUAL_SIGMA = 2.0
"""Differences less significant than this are chance: nothing tells the poses apart."""
SIGMA_WEIGHT = 0.7
"""Of a standard error, in units of the temperature: chance alone shifts the odds by a factor of two."""
MAX_OUTSIDE_IMAGE = 0.2
"""Most of the predicted silhouette that may lie outside the image."""
LISTED = 0.02
"""Least weight of an alternative that is listed: less than 2 % is no rival."""


@dataclass(frozen=True)
class CertificateOptions:
    """When a pose is certified."""

    risk: float = 0.01
    """Most of the certified poses that may be wrong."""
    temperature: float = 0.025
    """Difference of total score that makes a candidate e times less likely."""
    min_agreement: float = 0.5
    """Least part of the distribution that agrees with the winner; below, no score certifies the pose."""
    no_rival: float = 0.9
    """Part above which nothing competes: what is not certified then is rejected, else ambiguous."""
    calibration: Calibration = field(default_factory=default_calibration)
    """What evidence is worth."""

    def __post_init__(self) -> None:
        self.calibration.threshold(self.risk)

    @property
    def threshold(self) -> Threshold:
        """Of the score, at this risk."""
        return self.calibration.threshold(self.risk)


@dataclass(frozen=True)
class CertifiedPose:
    """A pose of one instance and what its certificate says."""

    T_cam_obj: Float[Tensor, "4 4"]
    certificate: Certificate
    terms: Terms | None = None
    """What the certificate rests on; None where no rendering was compared."""


@dataclass(frozen=True)
class Evidence:
    """What was measured of the winner."""

    terms: Terms
    quality: MaskQuality
    """Of the mask."""
    has_colour: bool
    """Whether the mesh has any."""
    lengths: Lengths
    rms_m: float
    """Residual of the observed points."""
    why_open: str = ""
    """Why poses that the shape makes equals stay open, and what would decide; nothing where there are none."""

    @property
    def group(self) -> str:
        """For the calibration."""
        return group_of(self.quality, self.has_colour)


@dataclass(frozen=True)
class Standing:
    """How the candidates stand to each other."""

    winner: int
    probability: Float[Tensor, " poses"]
    distance_m: Float[Tensor, "poses poses"]
    """Between every two candidates."""
    same: Bool[Tensor, " poses"]
    """Which are the same pose as the winner: a tenth of the diameter apart at most, symmetries considered."""
    margin: float
    """Advantage of the winner and its like over the strongest of the others."""
    significance: float
    """Of that advantage in direct comparison, in standard errors; the least of all that differ."""

    @property
    def agreement(self) -> float:
        """Part of the distribution that is the same pose as the winner."""
        return float(self.probability[self.same].sum())


def weigh(candidates: ScoredPoses, fine: Candidates, options: CertificateOptions) -> Standing:
    """Compare the strongest different candidates with the best one, then choose the winner.

    Among poses that the object's shape makes equals, and that nothing tells apart, the choice is by a rule, so that
    near duplicates of a frame choose alike.
    """
    model, lengths = fine.model, fine.crop.lengths
    distance_m = pose_distances(model, candidates.T_cam_obj)
    compared = _compare(candidates, fine, distance_m > lengths.right_m, options)
    probability = torch.softmax(compared.total / options.temperature, 0)
    expected_error_m = (distance_m.clamp_max(5 * lengths.right_m) * probability).sum(1)
    plausible = compared.total > compared.total.max() - 2 * options.temperature
    winner = int(torch.where(plausible, expected_error_m, torch.inf).argmin())
    if float(probability[distance_m[winner] < lengths.right_m].sum()) < options.no_rival:
        equal = plausible & (compared.significance.abs() < EQUAL_SIGMA)
        winner = _canonical(model, candidates.T_cam_obj, winner, equal)
    same = distance_m[winner] < lengths.right_m
    margin, significance = COMPARED_GAP, MAX_SIGMA
    if bool((~same).any()):
        total = compared.total
        margin = min(margin, float(total[same].max() - total[~same].max()))
        significance = float(compared.significance[~same].min())
    return Standing(winner, probability, distance_m, same, margin, significance)


@dataclass(frozen=True)
class _Compared:
    """Total scores after direct comparison with the best, and its significance (the most where none was made)."""

    total: Float[Tensor, " poses"]
    significance: Float[Tensor, " poses"]


def _compare(
    candidates: ScoredPoses,
    fine: Candidates,
    different: Bool[Tensor, "poses poses"],
    options: CertificateOptions,
) -> _Compared:
    """Total scores, of the strongest candidates that differ from the best less what direct comparison says."""
    total = candidates.total.clone()
    best = int(total.argmax())
    significance = torch.full_like(total, MAX_SIGMA)
    significance[~different[best]] = 0.0
    chance = different[best] & (total > total[best] - COMPARED_GAP)
    order = total.argsort(descending=True, stable=True)
    others = order[chance[order]][:MAX_COMPARED]
    if not len(others):
        return _Compared(total, significance)
    which = torch.cat([order.new_tensor([best]), others])
    chosen = candidates.take(which)
    advantage = compare_first(render_candidates(fine.at(chosen.T_cam_obj)), chosen.scores.shift)
    total[others] -= COLOUR_WEIGHT * advantage.colour + SHAPE_WEIGHT * advantage.shape
    total[others] -= SIGMA_WEIGHT * options.temperature * advantage.significance
    significance[others] = advantage.significance
    return _Compared(total, significance)


def _canonical(
    model: ObjectModel, T_cam_obj: Float[Tensor, "poses 4 4"], winner: int, plausible: Tensor
) -> int:
    """Of the winner and the plausible poses that its shape cannot tell from it, the one turned least from the camera's
    own axes.
    """
    variants = T_cam_obj[winner] @ model.similarity.T_obj_obj
    points = _compared_points(model)
    placed = transform_points(T_cam_obj, points.expand(len(T_cam_obj), -1, -1))
    moved = transform_points(variants, points.expand(len(variants), -1, -1))
    apart_m = torch.cdist(placed.flatten(1), moved.flatten(1)).amin(1) / len(points) ** 0.5
    equal = plausible & (apart_m < EQUAL_RATIO * model.diameter_m)
    equal[winner] = True
    trace = T_cam_obj[:, :3, :3].diagonal(dim1=1, dim2=2).sum(-1)
    return int(torch.where(equal, trace, -torch.inf).argmax())


def _compared_points(model: ObjectModel) -> Float[Tensor, "points 3"]:
    points = model.grid.points_m[0]
    return points[torch.linspace(0, len(points) - 1, COMPARED_POINTS, device=points.device).long()]


def pose_distances(model: ObjectModel, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Float[Tensor, "poses poses"]:
    """Mean distance of model points between every two poses (ADD), the least over the object's symmetries, metres."""
    points, count = _compared_points(model), len(T_cam_obj)
    placed = transform_points(T_cam_obj, points.expand(count, -1, -1))
    variants = (T_cam_obj[:, None] @ model.symmetries).flatten(0, 1)
    moved = transform_points(variants, points.expand(len(variants), -1, -1))
    distance = (placed[:, None] - moved[None]).norm(dim=-1).mean(-1)
    return distance.reshape(count, count, -1).amin(-1)


def decide(
    candidates: ScoredPoses, standing: Standing, evidence: Evidence, options: CertificateOptions
) -> CertifiedPose:
    """The certificate of the winner."""
    terms, lengths = evidence.terms, evidence.lengths
    threshold, rating = options.threshold, options.calibration.rate(terms, evidence.group)
    certificate = Certificate(
        status="certified",
        reason="",
        confidence=options.calibration.probability(rating),
        margin=standing.margin,
        rms_m=evidence.rms_m,
        coverage=terms.coverage,
        free_space=1 - terms.free,
        colour=terms.colour,
        inlier_ratio=terms.inlier_ratio,
        noise_m=lengths.noise_m,
        score=rating,
        mask_quality=evidence.quality,
        risk=options.risk,
        bound=threshold.bound,
        calibration=options.calibration.content_hash,
    )
    rivals = standing.agreement < options.no_rival
    certified = may_certify(terms, options) and rating >= threshold.score
    if rivals and not certified:
        alternatives = _alternatives(candidates, standing, lengths.right_m)
        count = "another pose fits" if len(alternatives) < 3 else f"{len(alternatives)} poses fit"
        why = f": {evidence.why_open}" if evidence.why_open else ""
        reason = f"{count} about as well (margin {standing.margin:.3f}){why}"
        certificate = replace(certificate, status="ambiguous", reason=reason, alternatives=alternatives)
    elif not _is_in_image(terms):
        reason = f"{1 - terms.inside:.0%} of the predicted silhouette is outside the image"
        certificate = replace(certificate, status="rejected", reason=reason)
    elif not certified:
        certificate = replace(certificate, status="rejected", reason=_shortfall(evidence, options))
    return CertifiedPose(candidates.T_cam_obj[standing.winner], certificate, terms)


def may_certify(terms: Terms, options: CertificateOptions) -> bool:
    """Whether a high score is enough: no other pose has as much weight, and most of the silhouette is in the image."""
    return _beats_rivals(terms, options) and _is_in_image(terms)


def only_cut_off(pose: CertifiedPose, options: CertificateOptions) -> bool:
    """Whether the image's border alone keeps the pose from its certificate: no search changes that."""
    terms = pose.terms
    if terms is None or _is_in_image(terms):
        return False
    return _beats_rivals(terms, options) and pose.certificate.score >= options.threshold.score


def _beats_rivals(terms: Terms, options: CertificateOptions) -> bool:
    return terms.agreement >= options.min_agreement


def _is_in_image(terms: Terms) -> bool:
    return terms.inside >= 1 - MAX_OUTSIDE_IMAGE


def _shortfall(evidence: Evidence, options: CertificateOptions) -> str:
    """What the evidence lacks most."""
    terms, lengths = evidence.terms, evidence.lengths
    name = options.calibration.weakest(terms, evidence.has_colour)
    text = {
        "total": f"the rendering differs from the image: total score {terms.total:.2f}",
        "coverage": f"only {terms.coverage:.0%} of the mask is covered",
        "depth": f"depth does not fit: mean error {1e3 * (1 - terms.depth) * lengths.depth_cap_m:.1f} mm",
        "free": f"{1 - terms.free:.1%} of the mask's area lies in free space",
        "colour": f"colours hardly agree: correlation {terms.colour:.2f}",
        "inlier_ratio": f"observed points do not fit: only {terms.inlier_ratio:.0%} within the noise",
        "explained": f"only {terms.explained:.0%} of the mask is explained",
        "outline": f"the outline differs from the mask: overlap {terms.outline:.0%}",
        "margin": f"another pose is too close: margin {terms.margin:.3f}",
        "significance": f"another pose is too close: {terms.significance:.1f} standard errors apart",
        "agreement": f"another pose is too close: {terms.agreement:.0%} of the weight agrees with the best",
        "firmness": "the visible surface slides along itself: nothing holds the pose",
        "visible": f"mostly hidden: only {terms.visible:.0%} of the predicted silhouette is visible",
        "inside": f"{1 - terms.inside:.0%} of the predicted silhouette is outside the image",
        "size": f"few pixels: {2**terms.size:.0f} show the object",
        "known": f"depth is missing: measured at only {terms.known:.0%} of the mask",
        "scale": f"the object is small for a depth camera: {1e3 * lengths.diameter_m:.0f} mm",
        "sharpness": f"the noise is large for the object: {1e3 * lengths.noise_m:.1f} mm of {lengths.diameter_m:.3g} m",
    }[name]
    return f"evidence too weak for a risk of {options.risk:g}: {text}"


def _alternatives(candidates: ScoredPoses, standing: Standing, right_m: float) -> tuple[Alternative, ...]:
    """Every different pose that the evidence allows, the winner first, weights adding to 1."""
    probability, left = standing.probability, torch.ones_like(standing.same)
    found = []
    for index in [standing.winner, *probability.argsort(descending=True, stable=True).tolist()]:
        like = left & (standing.distance_m[index] < right_m)
        weight = float(probability[like].sum())
        if left[index] and (not found or weight > LISTED):
            found.append((index, weight))
        left &= ~like
    whole = sum(weight for _, weight in found)
    return tuple(
        Alternative(candidates.T_cam_obj[index].double().cpu().numpy(), weight / whole)
        for index, weight in found
    )
