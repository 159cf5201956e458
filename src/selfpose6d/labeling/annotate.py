"""Automatic labels for one frame: `annotate(frame, meshes)`; no training, no labels.

frame -> crops and cloud -> `search` (hypotheses, resolver, render and score, refine) -> `certify` -> LabeledPose
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from selfpose6d.crops.crop import square_box
from selfpose6d.geometry.so3 import random_rotation
from selfpose6d.labeling.certificate import CertificateOptions
from selfpose6d.labeling.judge import judge
from selfpose6d.labeling.observation import CROP_MARGIN, TooFewPointsError, crop_instance, visible_cloud
from selfpose6d.labeling.pure_icp import pure_icp
from selfpose6d.labeling.score import observe
from selfpose6d.labeling.search import InstanceView, SearchOptions, search
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.object_model import ObjectModel, build_object_model
from selfpose6d.resolver.icp import Direction
from selfpose6d.types import Certificate, Frame, Instance, LabeledPose

Method = Literal["verified", "icp"]


@dataclass(frozen=True)
class AnnotateOptions:
    """How labels are made."""

    method: Method = "verified"
    """`verified`: search, render, certify. `icp`: the paper's PureICP baseline, nothing certified."""
    direction: Direction = "observed-to-model"
    """Matching direction of `--method icp`."""
    seed: int = 0
    """Seed of the random point samples (and of the start of `--method icp`)."""
    attempts: int = 3
    """Most searches of an instance while its pose would be rejected, each with other points and start rotations."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How hard the annotator looks."""
    certificate: CertificateOptions = field(default_factory=CertificateOptions)
    """When a pose is certified."""


def annotate(
    frame: Frame,
    meshes: Mapping[int, Mesh | ObjectModel],
    options: AnnotateOptions | None = None,
) -> list[LabeledPose]:
    """Label every instance of a frame.

    Args:
        frame: colours, depth in metres (0: unknown), intrinsics and visible masks.
        meshes: per object id its mesh, or the `ObjectModel` made from it (many frames: make it once).
        options: how labels are made.

    Returns:
        One entry per instance, in their order; `valid=False` with a reason where no pose can be given.
    """
    models = {
        i: mesh if isinstance(mesh, ObjectModel) else build_object_model(mesh)
        for i, mesh in meshes.items()
        if any(instance.key.obj_id == i for instance in frame.instances)
    }
    options = options or AnnotateOptions()
    return [annotate_instance(frame, instance, models, options) for instance in frame.instances]


def annotate_instance(
    frame: Frame, instance: Instance, models: Mapping[int, ObjectModel], options: AnnotateOptions
) -> LabeledPose:
    """Label one instance."""
    start_s = time.perf_counter()
    model = models.get(instance.key.obj_id)
    if model is None:
        return _invalid(instance, f"no model for object {instance.key.obj_id}", start_s)
    generator = np.random.default_rng([options.seed, *map(abs, instance.key[1:])])
    try:
        cloud = visible_cloud(frame, instance, model.diameter_m, options.search.points, generator)
    except TooFewPointsError as error:
        return _invalid(instance, str(error), start_s)
    with model.on_device():
        cloud = cloud.to(model.device)
        if options.method == "icp":
            T, certificate = pure_icp(model, cloud, options.direction, generator)
        else:
            T, certificate = _verified(frame, instance, model, cloud, options, generator)
    return LabeledPose(
        instance.key,
        T.double().cpu().numpy(),
        certificate.confidence,
        certificate=certificate,
        time_s=time.perf_counter() - start_s,
    )


def view_instance(
    frame: Frame, instance: Instance, cloud_cam_m: Float[Tensor, "points 3"], options: SearchOptions
) -> InstanceView:
    """Crops of the instance at the search's two resolutions."""
    box = square_box(instance.mask, CROP_MARGIN)
    coarse, fine = (
        crop_instance(frame, instance.mask, box, size_px).to(cloud_cam_m.device)
        for size_px in (options.coarse_px, options.fine_px)
    )
    return InstanceView(
        observe(coarse, options.coarse_px // 64), observe(fine, options.fine_px // 32), cloud_cam_m
    )


def _verified(
    frame: Frame,
    instance: Instance,
    model: ObjectModel,
    cloud: Float[Tensor, "points 3"],
    options: AnnotateOptions,
    generator: np.random.Generator,
) -> tuple[Float[Tensor, "4 4"], Certificate]:
    view = view_instance(frame, instance, cloud, options.search)
    found = search(model, view, options.search)
    T, certificate = judge(frame, instance, model, cloud, found, options.certificate)
    for _ in range(options.attempts - 1):
        if certificate.status != "rejected":
            break
        other = visible_cloud(frame, instance, model.diameter_m, options.search.points, generator)
        view, turn = replace(view, cloud_cam_m=other.to(model.device)), random_rotation(generator)
        found = found.join(search(model, view, options.search, turn.to(model.device)))
        T, certificate = judge(frame, instance, model, cloud, found, options.certificate)
    return T, certificate


def _invalid(instance: Instance, reason: str, start_s: float) -> LabeledPose:
    return LabeledPose(
        instance.key,
        np.full((4, 4), np.nan),
        0.0,
        valid=False,
        reason=reason,
        certificate=Certificate.not_judged(reason),
        time_s=time.perf_counter() - start_s,
    )
