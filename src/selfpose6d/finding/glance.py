"""A quick look: does the object fit a piece of the surface somehow? Few starts, one small crop, no certificate."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.labeling.candidates import Candidates
from selfpose6d.labeling.hypotheses import align, distinct, start_poses
from selfpose6d.labeling.observation import Observation, ObservationOptions, ObservedFrame, observe
from selfpose6d.labeling.refine import RefineOptions, refine
from selfpose6d.labeling.regrow import Explained, explain
from selfpose6d.labeling.score import ScoreWeights, coarse_score
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Instance, InstanceKey, LabeledPose

SEEN = ObservationOptions(num_points=100, coarse_px=48, fine_px=16)
"""Half of what a search sees; the fine crop is not looked at."""
STARTS, RENDERED, REFINED = 96, 16, 3
"""Rotations (a search: 512), poses that are rendered, and those that are refined."""
ALIGN = ResolverOptions(iterations=12, tolerance_m=1e-4)
REFINE = RefineOptions(2, steer_by_colour=False, max_gap=0.2)
VAGUENESS = 4.0
"""What the tolerance of depth costs, in units of the object: 0.25 for a household object at a metre, 1 at three."""
MAX_GAP = 0.25
"""Of the score on the crop, within which colour may still decide."""


@dataclass(frozen=True)
class Glance:
    """The best poses of a quick look, and what speaks for the first whatever piece it was found on."""

    T_cam_obj: Float[Tensor, "poses 4 4"]
    """The best first, and others that were refined beside it."""
    observation: Observation
    total: float
    """Score on the piece as mask."""
    colour: float
    support: float
    """Of the rendered pixels with measured depth, those that agree with it; what lies in front says nothing."""
    shown: float
    """Fraction of the silhouette that the image shows."""

    @property
    def fit(self) -> float:
        """More is better; 1 is a whole object that agrees everywhere, without colour."""
        return self.support * self.shown**0.25 + 0.5 * self.colour

    @property
    def rank(self) -> float:
        """By which glances are taken in turn: the fit, how well the piece is the object's outline, and how much of the
        object's relief the noise lets through (far away everything fits everything).
        """
        lengths = self.observation.lengths
        return self.fit + self.total - VAGUENESS * lengths.agree_m / lengths.diameter_m

    def shown_at(self, T_cam_obj: Float[Tensor, "4 4"]) -> Bool[np.ndarray, "height width"]:
        """The pixels of the image that show the object at a pose."""
        explained = explain(self.observation, T_cam_obj[None])
        return explained.in_image(explained.shown(), self.observation.image_shape)


def glance(
    seen: ObservedFrame,
    mask: Bool[np.ndarray, "height width"],
    model: ObjectModel,
    generator: np.random.Generator,
) -> Glance | None:
    """Look whether the object fits; None where too little of the piece is left to look at."""
    frame = seen.frame
    instance = Instance(InstanceKey(frame.split, frame.scene_id, frame.im_id, -1, -1), mask)
    observation = observe(seen, instance, model, SEEN, generator)
    if isinstance(observation, LabeledPose):
        return None
    weights = ScoreWeights()
    starts = start_poses(model, observation.cloud_cam_m, STARTS)
    aligned = align(model, observation.cloud_cam_m, starts, ALIGN)
    spacing = observation.lengths.same_candidate
    T = aligned.T_cam_obj
    T = T[distinct(model, T, -aligned.rms_m, spacing, RENDERED)]
    total = coarse_score(Candidates(model, observation.coarse, T), weights, MAX_GAP)
    T = T[distinct(model, T, total, spacing, REFINED)]
    refined = refine(Candidates(model, observation.coarse, T), observation.cloud_cam_m, weights, REFINE)
    best = refined.ordered()
    explained = explain(observation, best.T_cam_obj[:1])
    support, shown = supported(observation, explained)
    return Glance(
        best.T_cam_obj,
        observation,
        float(best.total[0]),
        float(best.scores.colour[0]),
        support,
        shown,
    )


def supported(observation: Observation, explained: Explained) -> tuple[float, float]:
    """(support, shown) of the first pose: see `Glance`."""
    agrees, covered = explained.agrees[0].sum(), explained.covered[0].sum()
    behind = explained.behind[0].sum()
    return float(agrees / max(agrees + behind, 1)), float(agrees / max(covered, 1))
