"""From an instance to a certified pose: observe, search and certify, again while it is in doubt. Where there are a
network's hypotheses, verification starts from them, or they compete with what was searched; its own pose as it is.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.certificate import (
    CertificateOptions,
    CertifiedPose,
    only_cut_off,
    pose_distances,
)
from selfpose6d.labeling.certify import agreement_with_prompt, certify
from selfpose6d.labeling.expand import sliding_poses
from selfpose6d.labeling.hypotheses import align, distinct
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.labeling.observation import Observation, ObservationOptions, ObservedFrame, Prompt, observe
from selfpose6d.labeling.region import is_box, segments
from selfpose6d.labeling.regrow import explain
from selfpose6d.labeling.score import ScoredPoses, score
from selfpose6d.labeling.search import SearchOptions, refine_finely, score_coarse, search
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.types import Instance, LabeledPose, MaskQuality, PoseSource

PLAUSIBLE = 0.8
"""Of coverage, explained mask and inliers: right poses mostly have more; less may be a search that failed."""
SEARCHED_POSES = 4
"""Of each surface of a region that compete to be the object."""
CLEAR_MARGIN = 0.15
"""Of a certified pose whose visible surface could slide over all that competes with it, for hypotheses alone to be
enough: a few of them do not show all competing poses. The two mugs of the real sample that would be certified wrong
have 0.09 and 0.11; 92 to 95 % of the right ones that could slide have more than 0.15 (docs/results.md)."""
NOT_SEARCHED = (
    "not searched: the visible surface could slide along itself, and hypotheses alone do not show how far"
)
"""Why a pose of hypotheses alone stays uncertified that their certificate would pass."""
CONTRADICTED = (
    "among the network's hypotheses there is another pose that the evidence prefers, though it scores less"
)
"""Why a pose that the search alone certified is not certified with hypotheses beside it."""
Found = tuple[Observation, ScoredPoses]
"""What a search found, and of which observation."""


@dataclass(frozen=True)
class VerifyOptions:
    """How hypotheses are verified."""

    search: SearchOptions
    """How they are refined, and searched for where they leave doubt."""
    certificate: CertificateOptions
    """When a pose is certified."""
    max_candidates: int = 6
    """Most hypotheses of different kinds that are refined."""
    search_doubtful: bool = True
    """Search as the annotator does, where what comes of the hypotheses is not certified, or not by `CLEAR_MARGIN` over
    what its surface could slide to. Without it, such a pose is not certified."""


def observations(
    seen: ObservedFrame,
    instance: Instance,
    model: ObjectModel,
    quality: MaskQuality | None,
    options: ObservationOptions,
    generator: np.random.Generator,
) -> list[Observation] | LabeledPose:
    """The instance as its mask shows it; of a region, one for each surface in it. Or no pose, because.

    `quality` None: a region where the instance says so or its mask is a box, else an outline.
    """
    if quality == "box" or (quality is None and (instance.region or is_box(instance.mask))):
        found = _surfaces_of(seen, instance, model, options, generator)
        guessed = quality is None and not instance.region
        if isinstance(found, list) or not guessed:
            return found  # what only looks like a box may be the outline of a flat object on its table
    outline = Prompt(instance.mask, quality)
    one = observe(seen, instance, model, options, generator, outline)
    return [one] if isinstance(one, Observation) else one


def _surfaces_of(
    seen: ObservedFrame,
    instance: Instance,
    model: ObjectModel,
    options: ObservationOptions,
    generator: np.random.Generator,
) -> list[Observation] | LabeledPose:
    """One observation for each surface in the instance's region."""
    mask = instance.mask
    known_m = seen.depth_m[mask & (seen.depth_m > 0)]
    if not len(known_m):
        return LabeledPose.none(instance.key, "too few points: no depth in the region")
    lengths = Lengths(model.diameter_m, seen.noise.at(float(np.median(known_m))))
    parts, prompt = segments(mask, seen.depth_m, seen.frame.K, lengths), Prompt(mask, "box")
    tried = [observe(seen, replace(instance, mask=part), model, options, generator, prompt) for part in parts]
    found = [one for one in tried if isinstance(one, Observation)]
    return found or LabeledPose.none(instance.key, "no surface of the object's size in the region")


def search_observations(
    observations: list[Observation], options: SearchOptions, R_offset: Float[Tensor, "3 3"] | None = None
) -> Found:
    """Candidates of the likeliest surface, and those of the others after them."""
    found = [(one, search(one, options, R_offset)) for one in observations]
    if len(found) == 1:
        return found[0]
    support = [
        [_support(one, candidates, index) for index in range(min(SEARCHED_POSES, len(candidates)))]
        for one, candidates in found
    ]
    best = max(range(len(found)), key=lambda index: max(support[index]))
    observation, candidates = found[best]
    likeliest = torch.zeros(len(candidates), dtype=torch.bool)
    likeliest[int(np.argmax(support[best]))] = True
    total = torch.where(
        likeliest.to(candidates.total.device), candidates.total.max() + 1e-3, candidates.total
    )
    joined = replace(candidates, scores=replace(candidates.scores, total=total))
    for index, (_, others) in enumerate(found):
        if index != best:
            strongest = others.take(torch.arange(min(SEARCHED_POSES, len(others))))
            behind = strongest.total - strongest.total.max() + total.min()
            joined = joined.join(replace(strongest, scores=replace(strongest.scores, total=behind)))
    return observation, joined


def _support(observation: Observation, candidates: ScoredPoses, index: int) -> float:
    """What speaks for a pose whatever surface it was found on: its own fit, and that it fills the region."""
    explained, outline = agreement_with_prompt(
        explain(observation, candidates.T_cam_obj[index][None]), observation.prompt, "box"
    )
    scores = candidates.scores
    fit = 0.5 * scores.colour[index] - scores.depth[index] - 2 * scores.free_space[index]
    return explained + outline + float(fit)


def certify_after_searches(
    searches: Iterable[Found],
    is_enough: Callable[[CertifiedPose], bool],
    search: SearchOptions,
    options: CertificateOptions,
) -> CertifiedPose:
    """Certify what the first search found, and while that is not enough, what it and those after it found together.

    `searches` makes candidates when asked for them; the first is always asked.
    """
    best: CertifiedPose | None = None
    for best in certified_in_turn(searches, search, options):
        if is_enough(best):
            break
    assert best is not None, "at least one search"
    return best


def certified_in_turn(
    searches: Iterable[Found], search: SearchOptions, options: CertificateOptions
) -> Iterator[CertifiedPose]:
    """The pose after each search, certified among all that it and those before it found.

    Searches of different surfaces of a region are not joined: the better-rated pose stands.
    """
    best: CertifiedPose | None = None
    before: Found | None = None
    for observation, candidates in searches:
        joins = before is not None and before[0].mask is observation.mask
        if before is not None and joins:
            candidates = before[1].join(candidates)
        before = observation, candidates
        pose = certify(observation, candidates, search, options)
        if best is None or joins or _fit(pose) > _fit(best):
            best = pose
        yield best


def certify_with_hypotheses(
    searches: Iterable[Found],
    T_cam_obj: Float[Tensor, "hypotheses 4 4"],
    is_enough: Callable[[CertifiedPose], bool],
    options: VerifyOptions,
    refined: Found | None = None,
) -> CertifiedPose:
    """As `certify_after_searches`, then certified once more with what comes of a network's hypotheses beside it.

    All is searched that would be without hypotheses: they add competing candidates and take none away. So a pose that
    the search finds itself is as hard to certify or harder, and the threshold is the calibrated one; only a pose that
    the search had missed can be certified instead, by its own evidence. The hypotheses never lead to another pose that
    fits less than that of the search: then this one stays, and is not certified if the evidence speaks for the other.
    What the calibration does not cover is choice: of instances that failed once, those that pass at a second try are
    not a sample like its scenes'. Their precision is for `evaluate` to measure.

    `source` says `hypotheses` where the pose is another one than the search's. `refined` is what came of the hypotheses
    already, on one observation.
    """
    enough, last = False, None

    def in_turn() -> Iterator[Found]:
        nonlocal last
        for last in searches:
            yield last
            if enough:
                break
        assert last is not None, "at least one search"
        yield refined if refined and refined[0] is last[0] else refine_hypotheses(last[0], T_cam_obj, options)

    alone, joined = None, None
    for pose in certified_in_turn(in_turn(), options.search, options.certificate):
        alone, joined = joined, pose
        enough = is_enough(pose)
    assert last, "at least one search"
    assert alone, "certified before the hypotheses"
    assert joined, "and with them"
    return _not_worse(last[0], alone, joined)


def _not_worse(observation: Observation, alone: CertifiedPose, joined: CertifiedPose) -> CertifiedPose:
    """The pose with hypotheses, unless it is another one than without and fits less."""
    if _is_same(observation, alone, joined):
        return _from(joined, "search")
    if _fit(joined) >= _fit(alone):
        return _from(joined, "hypotheses")
    certified = alone.certificate.status == "certified"
    return _from(_rejected(alone, CONTRADICTED) if certified else alone, "search")


def _fit(pose: CertifiedPose) -> float:
    assert pose.terms is not None
    return pose.terms.total + pose.terms.explained + pose.terms.outline


def is_plausible(pose: CertifiedPose) -> bool:
    """Whether searching again is not worth it. Does not depend on the calibration, which is made with it."""
    terms = pose.terms
    return terms is not None and min(terms.coverage, terms.explained, terms.inlier_ratio) > PLAUSIBLE


def verify(
    observations: list[Observation], T_cam_obj: Float[Tensor, "hypotheses 4 4"], options: VerifyOptions
) -> CertifiedPose:
    """The pose that the image supports best, of hypotheses (the network's first) and what comes of them.

    Its certificate's `source` says whether the hypotheses led to it, or only the search did.
    """
    first = observations[0]

    def searches() -> Iterator[Found]:
        yield refine_hypotheses(first, T_cam_obj, options)
        yield search_observations(observations, options.search)

    poses = certified_in_turn(searches(), options.search, options.certificate)
    alone = _clear(first, next(poses))
    if not options.search_doubtful or needs_no_search(alone, options.certificate):
        return _from(alone, "hypotheses")
    best = next(poses)
    return _from(best, "hypotheses" if _is_same(first, alone, best) else "search")


def certify_hypotheses(
    observation: Observation, T_cam_obj: Float[Tensor, "hypotheses 4 4"], options: VerifyOptions
) -> CertifiedPose:
    """The pose that the image supports best, of hypotheses and what comes of them; nothing is searched.

    Where the visible surface could slide, it is certified only by a clear margin.
    """
    return certify_refined(refine_hypotheses(observation, T_cam_obj, options), options)


def certify_refined(refined: Found, options: VerifyOptions) -> CertifiedPose:
    """As `certify_hypotheses`, of what `refine_hypotheses` gave."""
    observation, candidates = refined
    pose = certify(observation, candidates, options.search, options.certificate)
    return _from(_clear(observation, pose), "hypotheses")


def refine_hypotheses(
    observation: Observation, T_cam_obj: Float[Tensor, "hypotheses 4 4"], options: VerifyOptions
) -> Found:
    """What comes of the best hypotheses of different kinds, before and after the resolver, and the first as it is.

    They are refined on the fine crop alone: a network's poses are about as near as those that a search refines on the
    coarse one.
    """
    model, search = observation.model, options.search
    aligned = align(model, observation.cloud_cam_m, T_cam_obj, search.resolver)
    T = torch.cat([T_cam_obj, aligned.T_cam_obj])
    total = score_coarse(observation, T, search)
    kept = distinct(model, T, total, observation.lengths.same_kind, options.max_candidates)
    kept = kept[total[kept] > total.max() - search.coarse_gap]
    refined = refine_finely(observation, T[kept], search)
    own = Candidates(model, observation.fine, T_cam_obj[:1])
    own_scores = score(render_candidates(own), search.weights)
    return observation, refined.join(ScoredPoses(own.T_cam_obj, own_scores))


def needs_no_search(alone: CertifiedPose, options: CertificateOptions) -> bool:
    """Whether what comes of hypotheses is certified, or would be if it were not cut off by the image."""
    return alone.certificate.status == "certified" or only_cut_off(alone, options)


def _clear(observation: Observation, pose: CertifiedPose) -> CertifiedPose:
    """The pose, rejected if it was certified, and too little speaks against those that its surface could slide to."""
    doubtful = pose.certificate.status == "certified" and pose.certificate.margin < CLEAR_MARGIN
    return _rejected(pose, NOT_SEARCHED) if doubtful and _could_slide(observation, pose) else pose


def _could_slide(observation: Observation, pose: CertifiedPose) -> bool:
    """Whether the surface that the pose shows could slide on itself: then there are poses beside it to compare with."""
    T = pose.T_cam_obj[None]
    return len(sliding_poses(observation.model, observation.cloud_cam_m, T, observation.lengths)) > 0


def _is_same(observation: Observation, a: CertifiedPose, b: CertifiedPose) -> bool:
    """Whether two refined poses are one, as the certificate counts candidates, symmetries considered."""
    apart_m = pose_distances(observation.model, torch.stack([a.T_cam_obj, b.T_cam_obj]))[0, 1]
    return float(apart_m) < observation.lengths.same_refined.distance_m


def _from(pose: CertifiedPose, source: PoseSource) -> CertifiedPose:
    return replace(pose, certificate=replace(pose.certificate, source=source))


def _rejected(pose: CertifiedPose, reason: str) -> CertifiedPose:
    return replace(pose, certificate=replace(pose.certificate, status="rejected", reason=reason))
