"""Verification at test time: the annotator's scoring and certificate, started from the network's hypotheses.

The network's own pose stands for election as it is, beside all that comes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.labeling.annotate import AnnotateOptions, view_instance
from selfpose6d.labeling.expand import sliding_poses
from selfpose6d.labeling.hypotheses import distinct, settle
from selfpose6d.labeling.judge import judge
from selfpose6d.labeling.observation import TooFewPointsError, visible_cloud
from selfpose6d.labeling.refine import Refined, look_and_score
from selfpose6d.labeling.search import (
    RIVALS_DIFFER,
    SEEDS_DIFFER,
    InstanceView,
    finish,
    first_look,
    look_alikes,
)
from selfpose6d.labeling.search import search as search_poses
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.types import Certificate, Frame, Instance


@dataclass(frozen=True)
class VerifiedPose:
    """A pose and its certificate; not `judged`: the first hypothesis as it was."""

    T_cam_obj: Float[Tensor, "4 4"]
    certificate: Certificate
    judged: bool = True


@dataclass(frozen=True)
class RenderVerifier:
    """Refines and scores hypotheses by rendering."""

    models: Mapping[int, ObjectModel]
    options: AnnotateOptions
    seeds: int = 12
    """Most of the best hypotheses that are refined, and most of those that are quite different."""
    search_doubtful: bool = True
    """Look everywhere, as the annotator does, where what comes of the hypotheses is not certified, or its visible
    surface could slide on itself: then a few hypotheses do not show all rivals."""

    def __call__(
        self, frame: Frame, instance: Instance, T_cam_obj: Float[Tensor, "hypotheses 4 4"]
    ) -> VerifiedPose:
        """The pose that the image supports best, of hypotheses (the network's first) and what comes of them."""
        model, search = self.models[instance.key.obj_id], self.options.search
        generator = np.random.default_rng([self.options.seed, *map(abs, instance.key[1:])])
        try:
            cloud = visible_cloud(frame, instance, model.diameter_m, search.points, generator)
        except TooFewPointsError as error:
            return VerifiedPose(T_cam_obj[0], Certificate.not_judged(str(error)), judged=False)
        with model.on_device():
            view = view_instance(frame, instance, cloud.to(model.device), search)
            return self._verify(frame, instance, model, view, T_cam_obj.to(model.device).float())

    def _verify(
        self,
        frame: Frame,
        instance: Instance,
        model: ObjectModel,
        view: InstanceView,
        T_cam_obj: Float[Tensor, "hypotheses 4 4"],
    ) -> VerifiedPose:
        search, options, cloud = self.options.search, self.options.certificate, view.cloud_cam_m
        _, scores = look_and_score(model, view.fine, T_cam_obj[:1], search.weights, coarse=False)
        found = finish(model, view, self._seeds(model, view, T_cam_obj), search)
        found = found.join(Refined(T_cam_obj[:1], scores))
        T, certificate = judge(frame, instance, model, cloud, found, options)
        if self.search_doubtful and (
            certificate.status != "certified" or len(sliding_poses(model, cloud, T[None]))
        ):
            found = found.join(search_poses(model, view, search))
            T, certificate = judge(frame, instance, model, cloud, found, options)
        return VerifiedPose(T, certificate)

    def _seeds(
        self, model: ObjectModel, view: InstanceView, T_cam_obj: Float[Tensor, "hypotheses 4 4"]
    ) -> Float[Tensor, "seeds 4 4"]:
        """Of the hypotheses, before and after the resolver, and of what geometry cannot tell from the best of them: the
        best, and the best that are quite different, so that the certificate knows the winner's rivals.
        """
        search, cloud = self.options.search, view.cloud_cam_m
        resolver = ResolverOptions(iterations=search.resolver_iterations, tolerance_m=1e-4)
        settled = settle(model, cloud, T_cam_obj, resolver)
        T = torch.cat([T_cam_obj, settled.T_cam_obj])
        total = first_look(model, view, T, search)
        more = look_alikes(model, cloud, T[total.argmax()][None], float(settled.rms_m.min()))
        if len(more):
            T, total = torch.cat([T, more]), torch.cat([total, first_look(model, view, more, search)])
        best = distinct(T, total, model.centre_m, *SEEDS_DIFFER, self.seeds)
        rivals = distinct(T, total, model.centre_m, *RIVALS_DIFFER, self.seeds)
        return T[torch.cat([best, rivals]).unique()]
