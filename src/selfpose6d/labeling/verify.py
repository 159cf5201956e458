"""From refined candidates to a certified pose: search and certify, again while it is in doubt; and verification at test
time, which starts from a network's hypotheses. The network's own pose competes as it is.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.candidates import Candidates, render_candidates
from selfpose6d.labeling.certificate import CertificateOptions, CertifiedPose, certify
from selfpose6d.labeling.expand import sliding_poses
from selfpose6d.labeling.hypotheses import align, distinct
from selfpose6d.labeling.observation import Observation
from selfpose6d.labeling.score import ScoredPoses, score
from selfpose6d.labeling.search import (
    SAME_CANDIDATE,
    SAME_KIND,
    SearchOptions,
    refine_candidates,
    score_and_expand,
    search,
)


@dataclass(frozen=True)
class VerifyOptions:
    """How hypotheses are verified."""

    search: SearchOptions
    """How they are refined, and searched for where they leave doubt."""
    certificate: CertificateOptions
    """When a pose is certified."""
    max_candidates: int = 12
    """Most of the best hypotheses that are refined, and most of those of different kinds."""
    search_doubtful: bool = True
    """Search as the annotator does, where what comes of the hypotheses is not certified, or its visible surface could
    slide on itself: then a few hypotheses do not show all competing poses."""


def certify_after_searches(
    observation: Observation,
    searches: Iterable[ScoredPoses],
    is_enough: Callable[[CertifiedPose], bool],
    options: CertificateOptions,
) -> CertifiedPose:
    """Certify what the first search found, and while that is not enough, what it and those after it found together.

    `searches` makes candidates when asked for them; the first is always asked.
    """
    found, pose = None, None
    for more in searches:
        found = more if found is None else found.join(more)
        pose = certify(observation, found, options)
        if is_enough(pose):
            break
    assert pose is not None, "at least one search"
    return pose


def verify(
    observation: Observation, T_cam_obj: Float[Tensor, "hypotheses 4 4"], options: VerifyOptions
) -> CertifiedPose:
    """The pose that the image supports best, of hypotheses (the network's first) and what comes of them."""

    def searches() -> Iterator[ScoredPoses]:
        refined = refine_candidates(observation, _candidates(observation, T_cam_obj, options), options.search)
        own = Candidates(observation.model, observation.fine, T_cam_obj[:1])
        yield refined.join(ScoredPoses(own.T_cam_obj, score(render_candidates(own), options.search.weights)))
        if options.search_doubtful:
            yield search(observation, options.search)

    def is_enough(pose: CertifiedPose) -> bool:
        if pose.certificate.status != "certified":
            return False
        return not len(sliding_poses(observation.model, observation.cloud_cam_m, pose.T_cam_obj[None]))

    return certify_after_searches(observation, searches(), is_enough, options.certificate)


def _candidates(
    observation: Observation, T_cam_obj: Float[Tensor, "hypotheses 4 4"], options: VerifyOptions
) -> Float[Tensor, "candidates 4 4"]:
    """Of the hypotheses, before and after the resolver, and of what geometry cannot tell from the best of them: the
    best, and the best of different kinds, so that the certificate sees what competes with the winner.
    """
    model = observation.model
    aligned = align(model, observation.cloud_cam_m, T_cam_obj, options.search.resolver)
    T = torch.cat([T_cam_obj, aligned.T_cam_obj])
    T, total = score_and_expand(observation, T, float(aligned.rms_m.min()), 1, options.search)
    kept = [
        distinct(model, T, total, spacing, options.max_candidates) for spacing in (SAME_CANDIDATE, SAME_KIND)
    ]
    return T[torch.cat(kept).unique()]
