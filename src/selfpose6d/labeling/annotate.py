"""Automatic labels for one frame: `annotate(frame, meshes)`; no training, no labels.

frame -> `observe` -> `search` (hypotheses, resolver, render and score, refine) -> `certify` -> LabeledPose
"""

import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.arrays import describe
from selfpose6d.checks import other_resolution, size_text
from selfpose6d.datasets.mask_sizes import require_resolution_by_sizes, size_ratios
from selfpose6d.datasets.model_files import list_some
from selfpose6d.errors import UsageError
from selfpose6d.geometry.so3 import random_rotation
from selfpose6d.labeling.certificate import CertificateOptions, CertifiedPose
from selfpose6d.labeling.channel_order import seems_swapped
from selfpose6d.labeling.observation import ObservationOptions, ObservedFrame, sample_points, visible_surface
from selfpose6d.labeling.pure_icp import pure_icp
from selfpose6d.labeling.search import SearchOptions
from selfpose6d.labeling.verify import (
    Found,
    VerifyOptions,
    certify_after_searches,
    certify_hypotheses,
    certify_refined,
    certify_with_hypotheses,
    is_plausible,
    needs_no_search,
    observations,
    refine_hypotheses,
    search_observations,
)
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.objects.store import prepared
from selfpose6d.resolver.icp import Direction
from selfpose6d.threads import map_in_threads
from selfpose6d.types import Frame, Instance, InstanceKey, LabeledPose, MaskQuality

Method = Literal["verified", "icp"]
Hypotheses = Float[Tensor, "hypotheses 4 4"]
"""`T_cam_obj` of a network for one instance, metres, its best first."""


@dataclass(frozen=True)
class Proposed:
    """What a network proposes for one instance."""

    T_cam_obj: Hypotheses | None = None
    """None: nothing."""
    search_all: bool = False
    """Search also where the hypotheses lead to a certified pose."""


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
    observation: ObservationOptions = field(default_factory=ObservationOptions)
    """How finely an instance is sampled."""
    search: SearchOptions = field(default_factory=SearchOptions)
    """How hard the annotator searches."""
    certificate: CertificateOptions = field(default_factory=CertificateOptions)
    """When a pose is certified."""
    mask_quality: MaskQuality | None = None
    """What masks are: outlines, outlines with errors, or regions that hold the object; None: found out per instance."""
    depth_noise_m: float | None = None
    """Standard deviation of the depth; None: measured on every frame."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise UsageError(f"attempts must be at least 1, got {self.attempts}.")
        if self.depth_noise_m is not None and not 0 < self.depth_noise_m < 0.2:
            raise UsageError(
                f"the depth noise must be between 0 and 200 mm, got {1e3 * self.depth_noise_m:g} mm. "
                "Give a standard deviation in millimetres, as in --depth-noise-mm 2."
            )

    def generator(self, instance: Instance) -> np.random.Generator:
        """The random numbers of one instance: the same whatever else is labelled."""
        return np.random.default_rng([self.seed, *map(abs, instance.key[1:])])


def annotate(
    frame: Frame,
    meshes: Mapping[int, Mesh | ObjectModel],
    options: AnnotateOptions | None = None,
    proposals: Mapping[InstanceKey, Hypotheses] | None = None,
    search_all: bool = False,
) -> list[LabeledPose]:
    """Label every instance of a frame.

    Args:
        frame: colours, depth in metres (0: unknown), intrinsics and visible masks.
        meshes: per object id its mesh (prepared at its first use and kept by its content, on disk too) or its
            `ObjectModel`.
        options: how labels are made.
        proposals: a network's hypotheses, of some instances. They come first: an instance of which they lead to a
            certified pose is not searched. On others they compete with what is searched, and never lead to another
            pose that fits less (`certify_with_hypotheses` says what a certificate promises then).
        search_all: every instance is searched, also those with proposals.

    Returns:
        One entry per instance, in their order; `valid=False` with a reason where no pose can be given.

    Raises:
        UsageError: the frame or a mesh is something else.
        DataError: K belongs to images of another resolution.
    """
    options, proposals = options or AnnotateOptions(), proposals or {}
    _require_frame_and_meshes(frame, meshes)
    seen = ObservedFrame.of(frame, options.depth_noise_m)
    for obj_id in {instance.key.obj_id for instance in frame.instances} & set(meshes):
        prepared(
            meshes[obj_id], f"meshes[{obj_id}]"
        )  # before threads ask for it: one that fails says so at once

    def label(instance: Instance) -> LabeledPose:
        proposed = Proposed(proposals.get(instance.key), search_all)
        return _annotate_instance(seen, instance, meshes, options, proposed)

    poses = list(map_in_threads(label, frame.instances))
    if seems_swapped(frame, ((pose, prepared(meshes[pose.key.obj_id]).mesh) for pose in poses if pose.valid)):
        warnings.warn(
            "rgb seems to be BGR: at the poses that were found, red and blue agree with the meshes only when swapped. "
            "Pass rgb[..., ::-1] (OpenCV reads BGR), or correct the image files.",
            stacklevel=2,
        )
    return poses


def _require_frame_and_meshes(frame: object, meshes: object) -> None:
    """Refuse what is neither, and intrinsics that belong to larger or smaller images, as sizes say."""
    if not isinstance(frame, Frame):
        raise UsageError(f"frame must be a Frame, got {describe(frame)}. Make one of its images and masks.")
    if not isinstance(meshes, Mapping):
        raise UsageError(
            f"meshes must be a dict of meshes by object id, got {describe(meshes)}. Pass, for example, "
            '{2: load_mesh("box.ply", unit="mm")}.'
        )
    if other := [obj_id for obj_id in meshes if not isinstance(obj_id, int | np.integer)]:
        raise UsageError(f"meshes must have object ids as keys, got {other[0]!r}. Pass whole numbers.")

    def diameter_m(obj_id: int) -> float | None:
        known = meshes.get(obj_id)
        return known.diameter_m if isinstance(known, Mesh | ObjectModel) else None

    shape = frame.depth_m.shape[0], frame.depth_m.shape[1]
    require_resolution_by_sizes(
        frame.K, shape, lambda: size_ratios(frame.instances, frame.depth_m, frame.K, diameter_m)
    )
    is_sized = any(instance.key.obj_id in meshes and not instance.region for instance in frame.instances)
    if not is_sized and (ratio := other_resolution(frame.K, shape)) is not None:
        warnings.warn(
            f"K seems to belong to images {ratio:.2g} times as large as {size_text(shape)}: its principal "
            "point says so. Scale fx, fy, cx, cy along with the images.",
            stacklevel=3,
        )


def _annotate_instance(
    seen: ObservedFrame,
    instance: Instance,
    meshes: Mapping[int, Mesh | ObjectModel],
    options: AnnotateOptions,
    proposed: Proposed,
) -> LabeledPose:
    obj_id = instance.key.obj_id
    if obj_id not in meshes:
        known = list_some(sorted(meshes))
        return LabeledPose.none(instance.key, f"no model for object {obj_id}: there are models of {known}")
    model = prepared(meshes[obj_id], f"meshes[{obj_id}]")
    start_s = time.perf_counter()
    if options.method == "icp":
        found = _by_icp(seen, instance, model, options)
    else:
        found = find_pose(seen, instance, model, options, proposed)
    return replace(labeled(instance, found), time_s=time.perf_counter() - start_s)


def find_pose(
    seen: ObservedFrame,
    instance: Instance,
    model: ObjectModel,
    options: AnnotateOptions,
    proposed: Proposed = Proposed(),
) -> CertifiedPose | LabeledPose:
    """Search, render, certify one instance, with the hypotheses of a network if there are any; or no pose, because."""
    generator = options.generator(instance)
    found = observations(seen, instance, model, options.mask_quality, options.observation, generator)
    if isinstance(found, LabeledPose):
        return found

    def searches() -> Iterator[Found]:
        """Each with other points and start rotations than those before it."""
        yield search_observations(found, options.search)
        for _ in range(options.attempts - 1):
            again = [one.resampled(generator) for one in found]
            R_offset = random_rotation(generator).to(model.device)
            yield search_observations(again, options.search, R_offset)

    if proposed.T_cam_obj is None:
        return certify_after_searches(searches(), is_plausible, options.search, options.certificate)
    how = VerifyOptions(options.search, options.certificate)
    T_cam_obj, refined = proposed.T_cam_obj.to(model.device).float(), None
    if len(found) == 1 and not proposed.search_all:  # which of a region's surfaces is meant, a search says
        refined = refine_hypotheses(found[0], T_cam_obj, how)
        alone = certify_refined(refined, how)
        if needs_no_search(alone, options.certificate):
            return alone
    return certify_with_hypotheses(searches(), T_cam_obj, is_plausible, how, refined)


def verify_pose(
    frame: Frame,
    instance: Instance,
    model: ObjectModel,
    T_cam_obj: Float[np.ndarray, "4 4"],
    options: AnnotateOptions,
) -> LabeledPose:
    """What comes of one given pose, refined and certified; nothing is searched, so nothing else competes with it."""
    seen, generator = ObservedFrame.of(frame, options.depth_noise_m), options.generator(instance)
    found = observations(seen, instance, model, options.mask_quality, options.observation, generator)
    if isinstance(found, LabeledPose):
        return found
    T = torch.from_numpy(T_cam_obj[None]).to(model.device).float()
    how = VerifyOptions(options.search, options.certificate)
    poses = [labeled(instance, certify_hypotheses(one, T, how)) for one in found]
    return max(poses, key=lambda pose: pose.confidence)


def _by_icp(
    seen: ObservedFrame, instance: Instance, model: ObjectModel, options: AnnotateOptions
) -> CertifiedPose | LabeledPose:
    surface, generator = visible_surface(seen.frame, instance, model.diameter_m), options.generator(instance)
    if isinstance(surface, LabeledPose):
        return surface
    cloud = sample_points(surface, options.observation.num_points, generator).to(model.device)
    return pure_icp(model, cloud, options.direction, generator)


def labeled(instance: Instance, found: CertifiedPose | LabeledPose) -> LabeledPose:
    """What came of an instance, as its label."""
    if isinstance(found, LabeledPose):
        return found
    return LabeledPose(
        instance.key,
        found.T_cam_obj.double().cpu().numpy(),
        found.certificate.confidence,
        certificate=found.certificate,
    )
