"""From a glance to a certified pose: what came of the glance first, the annotator's search where that leaves hope."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.annotate import AnnotateOptions, labeled
from selfpose6d.labeling.observation import ObservedFrame, Prompt
from selfpose6d.labeling.verify import (
    VerifyOptions,
    certify_after_searches,
    certify_hypotheses,
    is_plausible,
    needs_no_search,
    observations,
    search_observations,
)
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.types import Instance, LabeledPose

HOPE = 0.3
"""Confidence of what came of a glance, below which a search finds nothing either, where nobody says that the object is
there: most pairs of an object and a piece are wrong, and a search costs twice as much as a look at a glance's poses."""
LEAST_LIKENESS = 0.35
"""Of size and colour, below which only what came of the glance counts: of 28 searches of pieces that are hardly like
the object, in 25 rendered frames (seed 404), none led to a certified pose; there and on the real sample the least
that did had 0.51 (docs/results.md)."""


def certify_piece(
    seen: ObservedFrame,
    instance: Instance,
    model: ObjectModel,
    T_cam_obj: Float[Tensor, "poses 4 4"],
    options: AnnotateOptions,
    is_there: bool,
    alike: float,
) -> LabeledPose:
    """Certify an object on a piece of the surface, its mask; or no pose, because.

    `T_cam_obj`: a glance's poses, the best first. `is_there`: somebody says that the frame shows the object.
    `alike`: how like the object the piece is, see `Pair`.
    """
    generator: np.random.Generator = options.generator(instance)
    found = observations(seen, instance, model, options.mask_quality, options.observation, generator)
    if isinstance(found, LabeledPose):
        return found
    how = VerifyOptions(options.search, options.certificate)
    alone = certify_hypotheses(found[0], T_cam_obj, how)
    if not is_there and alone.certificate.status == "certified" and alone.certificate.mask_quality == "exact":
        # a piece is a guess at the outline: what only its pixels speak for does not count
        rough = replace(found[0], prompt=Prompt(found[0].prompt.mask, "rough"))
        return labeled(instance, certify_hypotheses(rough, alone.T_cam_obj[None], how))
    hopeless = alike < LEAST_LIKENESS or (not is_there and alone.certificate.confidence < HOPE)
    if needs_no_search(alone, options.certificate) or hopeless:
        return labeled(instance, alone)
    searches = [search_observations(found, options.search)]
    return labeled(
        instance, certify_after_searches(searches, is_plausible, options.search, options.certificate)
    )
