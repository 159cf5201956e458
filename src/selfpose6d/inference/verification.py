"""Verification at test time: the annotator's scoring, started from the network's hypotheses.

A pose is replaced only by one that scores higher, so that by its own measure verification never makes a pose worse.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.annotate import AnnotateOptions, view_instance
from selfpose6d.labeling.expand import similar_poses
from selfpose6d.labeling.hypotheses import distinct, settle
from selfpose6d.labeling.judge import judge
from selfpose6d.labeling.object_model import ObjectModel
from selfpose6d.labeling.observation import TooFewPointsError, visible_cloud
from selfpose6d.labeling.refine import look_and_score
from selfpose6d.labeling.search import InstanceView, finish, first_look
from selfpose6d.labeling.search import search as search_poses
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Frame, Instance


@dataclass(frozen=True)
class VerifiedPose:
    """A pose after verification; `accepted` when it scored higher than the pose to beat, which it else is.

    `confidence` is the certificate's; of a pose that was kept, that of its own score.
    """

    T_cam_obj: Float[Tensor, "4 4"]
    confidence: float
    accepted: bool


@dataclass(frozen=True)
class RenderVerifier:
    """Refines and scores hypotheses by rendering."""

    models: Mapping[int, ObjectModel]
    options: AnnotateOptions
    seeds: int = 12
    """Most different hypotheses that are refined."""
    search_doubtful: bool = True
    """Look everywhere, as the annotator does, where what comes of the hypotheses is not certified."""

    def __call__(
        self, frame: Frame, instance: Instance, T_cam_obj: Float[Tensor, "hypotheses 4 4"]
    ) -> VerifiedPose | None:
        """The best pose that comes of the hypotheses, the first of which is the one to beat; None: not judged."""
        model, search = self.models[instance.key.obj_id], self.options.search
        generator = np.random.default_rng([self.options.seed, *map(abs, instance.key[1:])])
        try:
            cloud = visible_cloud(frame, instance, model.diameter_m, search.points, generator)
        except TooFewPointsError:
            return None
        with model.on_device():
            view = view_instance(frame, instance, cloud.to(model.device), search)
            return self._judge(frame, instance, model, view, T_cam_obj.to(model.device).float())

    def _judge(
        self,
        frame: Frame,
        instance: Instance,
        model: ObjectModel,
        view: InstanceView,
        T_cam_obj: Float[Tensor, "hypotheses 4 4"],
    ) -> VerifiedPose:
        search = self.options.search
        finalists = finish(model, view, self._seeds(model, view, T_cam_obj), search)
        verdict = judge(frame, instance, model, view.cloud_cam_m, finalists, self.options.certificate)
        if verdict.certificate.status != "certified" and self.search_doubtful:
            finalists = finalists.join(search_poses(model, view, search)).ordered()
            verdict = judge(frame, instance, model, view.cloud_cam_m, finalists, self.options.certificate)
        _, to_beat = look_and_score(model, view.fine, T_cam_obj[:1], search.weights, coarse=False)
        accepted = bool(finalists.scores.total[verdict.winner] > to_beat.total[0])
        T = finalists.T_cam_obj[verdict.winner] if accepted else T_cam_obj[0]
        return VerifiedPose(T, verdict.certificate.confidence, accepted)

    def _seeds(
        self, model: ObjectModel, view: InstanceView, T_cam_obj: Float[Tensor, "hypotheses 4 4"]
    ) -> Float[Tensor, "seeds 4 4"]:
        """The hypotheses before and after the resolver, and what geometry cannot tell from the best of them."""
        search, cloud = self.options.search, view.cloud_cam_m
        resolver = ResolverOptions(iterations=search.resolver_iterations, tolerance_m=1e-4)
        settled = settle(model, cloud, T_cam_obj, resolver)
        T = torch.cat([T_cam_obj, settled.T_cam_obj])
        best = T[first_look(model, view, T, search).argmax()][None]
        alike = settle(model, cloud, similar_poses(model, best), ResolverOptions(iterations=3))
        T = torch.cat([T, alike.T_cam_obj])
        preference = first_look(model, view, T, search)
        return T[distinct(T, preference, model.centre_m, math.radians(6), 0.01, self.seeds)]
