"""From candidates to a certified pose: by the mask as it was given, or grown again from the poses where that is off."""

from dataclasses import replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool

from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.certificate import (
    CertificateOptions,
    CertifiedPose,
    Evidence,
    Standing,
    decide,
    weigh,
)
from selfpose6d.labeling.hypotheses import align, distinct
from selfpose6d.labeling.observation import Observation, Prompt
from selfpose6d.labeling.region import is_box
from selfpose6d.labeling.regrow import Explained, explain, regrow
from selfpose6d.labeling.residuals import geometry_system, rendered_system
from selfpose6d.labeling.score import ScoredPoses
from selfpose6d.labeling.search import SearchOptions, challenge, search_again
from selfpose6d.labeling.silhouette import silhouette_fractions
from selfpose6d.labeling.terms import Terms
from selfpose6d.objects.warnings import describe_similarity
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import MaskQuality

SAME_OUTLINE = 0.85
"""Overlap of a mask with what the best poses explain, above which the mask is taken for exact: depth is missing or
mixed along outlines, which costs exact masks up to a tenth."""
GROWN_FROM = 0.1
"""Poses within this total score of the best say together which pixels show the object."""
MAX_GROWN_FROM = 6
"""Most of them."""
SYSTEMATIC_M = 0.005
"""Of time-of-flight cameras the worst, of others about the data sheets' figure at a metre."""
INNER_RATIO = 0.05
"""A mask's outline may be off by this part of the square root of its area."""


def certify(
    observation: Observation, candidates: ScoredPoses, search: SearchOptions, options: CertificateOptions
) -> CertifiedPose:
    """Choose among refined candidates and certify the winner.

    Of candidates that came to the same pose the best-scored counts: the certificate weighs different answers.
    """
    candidates = _distinct(observation, candidates)
    observation, candidates, quality = _on_true_mask(observation, candidates, search)
    candidates = challenge(observation, candidates, search)
    fine = Candidates(observation.model, observation.fine, candidates.T_cam_obj)
    standing = weigh(candidates, fine, options)
    evidence = gather(observation, candidates, standing, quality)
    if standing.agreement < options.no_rival:
        evidence = replace(evidence, why_open=describe_similarity(observation.model))
    return decide(candidates, standing, evidence, options)


def gather(
    observation: Observation, candidates: ScoredPoses, standing: Standing, quality: MaskQuality
) -> Evidence:
    """Measure the winner."""
    model, lengths, fine = observation.model, observation.lengths, observation.fine
    chosen = candidates.take(torch.tensor([standing.winner], device=candidates.T_cam_obj.device))
    T, cloud = chosen.T_cam_obj, observation.cloud_cam_m
    resolved = align(model, cloud, T, ResolverOptions(iterations=0, inlier_m=lengths.inlier_m))
    outside, visible = silhouette_fractions(observation, T)
    explained, outline = agreement_with_prompt(explain(observation, T), observation.prompt, quality)
    terms = Terms(
        total=float(chosen.scores.total[0]),
        coverage=float(chosen.scores.coverage[0]),
        depth=1 - float(chosen.scores.depth[0]),
        free=1 - float(chosen.scores.free_space[0]),
        colour=float(chosen.scores.colour[0]),
        inlier_ratio=float(resolved.inlier_ratio[0]),
        explained=explained,
        outline=outline,
        margin=standing.margin,
        significance=standing.significance,
        agreement=standing.agreement,
        firmness=firmness(observation, chosen),
        visible=float(visible[0]),
        inside=1 - float(outside[0]),
        size=float(np.log2(max(observation.mask_area_px, 1))),
        known=float((fine.mask & (fine.depth_m > 0)).sum() / fine.area_px),
        sharpness=float(np.log2(lengths.diameter_m / max(lengths.noise_m, 1e-6))),
        scale=float(np.log2(lengths.diameter_m / SYSTEMATIC_M)),
    )
    return Evidence(terms, quality, model.has_colour, lengths, float(resolved.rms_m[0]))


def firmness(observation: Observation, pose: ScoredPoses) -> float:
    """See `Terms`: smallest over largest eigenvalue of the normal equations of all residuals at a pose, in units where
    a rotation moves a point at half the diameter.
    """
    rendered = render_candidates(Candidates(observation.model, observation.fine, pose.T_cam_obj))
    H = (
        rendered_system(rendered, pose.scores.shift)[0]
        + geometry_system(observation.model, observation.cloud_cam_m, pose.T_cam_obj, observation.lengths)[0]
    )
    scale = H.new_tensor([1.0] * 3 + [2 / observation.model.diameter_m] * 3)
    values = torch.linalg.eigvalsh((H[0] * scale[:, None] * scale).double())
    return float(torch.log10((values[0] / values[-1].clamp_min(1e-12)).clamp_min(1e-6)))


def _distinct(observation: Observation, candidates: ScoredPoses) -> ScoredPoses:
    spacing = observation.lengths.same_refined
    kept = distinct(observation.model, candidates.T_cam_obj, candidates.total, spacing, len(candidates))
    return candidates.take(kept)


def _on_true_mask(
    observation: Observation, candidates: ScoredPoses, search: SearchOptions
) -> tuple[Observation, ScoredPoses, MaskQuality]:
    """The observation by the mask that shows the object, the candidates refined on it, and what the prompt is worth."""
    quality = observation.prompt.quality
    if quality == "exact":
        return observation, candidates, "exact"
    total = candidates.total
    strong = (total > total.max() - GROWN_FROM).nonzero().squeeze(-1)
    strong = strong[total[strong].argsort(descending=True, stable=True)]
    strong = strong[:MAX_GROWN_FROM]
    explained = explain(observation, candidates.T_cam_obj[strong])
    if quality is None:
        quality = "exact" if overlap(explained.mask, explained.regrown()) > SAME_OUTLINE else "rough"
        if quality == "exact":
            return observation, candidates, quality
    again = observation.again(regrow(observation, explained))
    if not isinstance(again, Observation):
        return observation, candidates, quality
    again = replace(again, prompt=Prompt(observation.prompt.mask, quality))
    return again, _distinct(again, search_again(again, candidates.T_cam_obj, search)), quality


def agreement_with_prompt(explained: Explained, prompt: Prompt, quality: MaskQuality) -> tuple[float, float]:
    """(explained, outline) of the first pose: see `Terms`."""
    visible = explained.visible()
    given = explained.prompt(prompt.mask)
    if quality == "box":
        part = (visible & given).sum() / max(visible.sum(), 1)
        if is_box(prompt.mask):
            return float(part), _box_overlap(visible, given)
        return float((visible & given).sum() / max(given.sum(), 1)), float(part)
    inner = _inner(given)
    measured = inner & ~explained.unknown
    return float((visible & measured).sum() / max(measured.sum(), 1)), overlap(given, visible)


def _inner(mask: Bool[np.ndarray, "size size"]) -> Bool[np.ndarray, "size size"]:
    radius = round(INNER_RATIO * float(np.sqrt(mask.sum())))
    if not radius:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    inner = cv2.erode(mask.astype(np.uint8), kernel).astype(bool)
    return inner if inner.any() else mask


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union; 0 where both are empty."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def _box_overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of the bounding boxes."""
    boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in (a, b)]
    (x1, y1, w1, h1), (x2, y2, w2, h2) = boxes
    width = min(x1 + w1, x2 + w2) - max(x1, x2)
    height = min(y1 + h1, y2 + h2) - max(y1, y2)
    common = max(width, 0) * max(height, 0)
    return common / max(w1 * h1 + w2 * h2 - common, 1)
