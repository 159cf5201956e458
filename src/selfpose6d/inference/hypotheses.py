"""Poses of a batch of crops, on the device where the network is: predicted, rated or clustered, refined."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.geometry.symmetric_poses import Symmetries, nearest_by_moment, point_moment
from selfpose6d.inference.clustering import Alike, cluster_poses, distinct_poses
from selfpose6d.inference.corrections import corrected_modes
from selfpose6d.inference.options import PredictOptions
from selfpose6d.network.comparison import PoseComparison
from selfpose6d.network.confidence import Confidence
from selfpose6d.network.evidence import Evidence
from selfpose6d.network.interface import NetworkInput, PosePrediction, RatedPoses
from selfpose6d.network.pose_network import PoseNetwork, natural_starts
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.resolver.icp import ResolverOptions, resolve

HALF_FROM = 4
"""Instances from which bf16 saves a CPU more than turning the weights into it costs: one alone takes the small
coordinate network 22 ms in fp32 and 29 in bf16, of eight each 12 and 11 (docs/results.md)."""


class StageTimes(defaultdict[str, float]):
    """Seconds by the name of a stage, added up."""

    def __init__(self) -> None:
        super().__init__(float)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Add the time that the block takes to the stage's; waits for no device."""
        start_s = time.perf_counter()
        yield
        self[stage] += time.perf_counter() - start_s


@dataclass(frozen=True)
class Hypotheses:
    """Poses of each instance, the best first; `path` holds what the best was after each step so far."""

    T_cam_obj: Float[Tensor, "instances clusters 4 4"]
    confidence: Float[Tensor, "instances clusters"]
    """0 where an instance has fewer and the first is repeated."""
    prediction: PosePrediction
    path: tuple[tuple[str, Float[Tensor, "instances 4 4"]], ...] = ()

    def moved(self, name: str, T_cam_obj: Float[Tensor, "instances some 4 4"]) -> "Hypotheses":
        """The first poses replaced, the others as they were."""
        T = torch.cat([T_cam_obj, self.T_cam_obj[:, T_cam_obj.shape[1] :]], 1)
        return replace(self, T_cam_obj=T, path=(*self.path, (name, T[:, 0])))


@dataclass(frozen=True)
class HypothesisSource:
    """A network, and what is known of its objects, that makes hypotheses of crops."""

    network: PoseNetwork
    options: PredictOptions
    times_s: StageTimes
    confidence: Confidence
    """What the rating of a network that compares is worth."""
    shapes: ObjectShapes | None = None
    """Needed to refine, and by networks that compare."""
    symmetries: Symmetries | None = None
    """With these, poses that look alike are one."""

    @property
    def steps(self) -> int:
        """Corrections by the network, as the options say."""
        return self.options.network_steps(self.network.compares)

    def estimate(self, batch: CropBatch, steps: int) -> Hypotheses:
        """The estimator's poses: of pixels their clusters; of modes the best after up to `steps` corrections."""
        inputs = batch.inputs(self.network.config)
        with self.times_s.of("network"), torch.inference_mode(), self._half(batch):
            prediction = self.network.estimator(inputs)
        if self.network.compares:
            return self._rated_modes(batch, inputs, prediction, steps)
        with self.times_s.of("cluster"), torch.inference_mode():
            clusters = cluster_poses(
                prediction.T_crop_obj, prediction.confidence, *self._sizes(batch), self.options.hypotheses
            )
            return Hypotheses(batch.T_cam_crop[:, None] @ clusters.T, clusters.confidence, prediction)

    def _rated_modes(
        self, batch: CropBatch, inputs: NetworkInput, prediction: PosePrediction, steps: int
    ) -> Hypotheses:
        """Each mode where it is rated best on its way; a correction that is rated worse is not taken.

        Beyond as many steps as it was trained with, only those that differ go on.
        """
        assert self.shapes is not None
        assert isinstance(self.network.refiner, PoseComparison)
        refiner, surfaces = self.network.refiner, self.shapes.surfaces
        distinct = self._distinct_of(batch)
        with self.times_s.of("refine"), torch.inference_mode(), self._half(batch):
            evidence = Evidence.of(inputs, surfaces, refiner.points, prediction.fragments)
            found = corrected_modes(refiner, evidence, natural_starts(prediction), steps, distinct)
        with self.times_s.of("cluster"), torch.inference_mode():
            poses = found.poses
            names = ("estimator", *(f"network-{step}" for step in range(1, steps + 1)))
            T_path = batch.T_cam_crop[:, None] @ found.T_path
            path = tuple(zip(names, T_path.unbind(1), strict=True)) if steps else ()
            probability = self.confidence.probability(poses.right_logit)
            probability = torch.where(poses.score > -torch.inf, probability, 0.0)
            return Hypotheses(batch.T_cam_crop[:, None] @ poses.T, probability, prediction, path)

    def _distinct_of(self, batch: CropBatch) -> Callable[[RatedPoses], RatedPoses]:
        """Chooses among an instance's poses those that differ, the best first."""
        sizes, alike = self._sizes(batch), self._alike(batch)
        return lambda poses: distinct_poses(poses, *sizes, self.options.hypotheses, alike)

    def _alike(self, batch: CropBatch) -> Alike | None:
        index = batch.object_index
        if self.symmetries is None or not any(self._symmetric[k] for k in index.tolist()):
            return None
        own, moment = self.symmetries.of(index), self._moment[index]
        return lambda T, T_like: nearest_by_moment(T, T_like, own, moment)

    @cached_property
    def _symmetric(self) -> list[bool]:
        """Of each object, whether other poses of it look the same."""
        own = self.symmetries
        if own is None:
            return [False] * len(self.network.objects.obj_ids)
        return ((own.allowed.sum(1) > 1) | own.axis.any(1) | own.is_ball).tolist()

    @cached_property
    def _moment(self) -> Float[Tensor, "objects 4 4"]:
        """Second moments of the objects' points."""
        assert self.shapes is not None
        return point_moment(self.shapes.points_m)

    def _sizes(self, batch: CropBatch) -> tuple[Float[Tensor, "instances 3"], Float[Tensor, " instances"]]:
        """Centres and diameters of the instances' objects."""
        estimator, index = self.network.estimator, batch.object_index
        return estimator.centre_m[index], estimator.diameter_m[index]

    def refine(self, batch: CropBatch, found: Hypotheses) -> Hypotheses:
        """The refinement network's steps, then ICP, as the options say."""
        if not (self.steps or self.options.icp_iterations):
            return found
        if not found.path:
            found = replace(found, path=(("estimator", found.T_cam_obj[:, 0]),))
        with self.times_s.of("refine"), torch.inference_mode():
            for step, T in enumerate(self._network_steps(batch, found), start=1):
                found = found.moved(f"network-{step}", T)
            if self.options.icp_iterations:
                found = found.moved("icp", self._icp(batch, found.T_cam_obj[:, :1]))
        return found

    def _network_steps(
        self, batch: CropBatch, found: Hypotheses
    ) -> Iterator[Float[Tensor, "instances clusters 4 4"]]:
        """Poses after each step: of the best, or with verification of all, since any of them may win."""
        if not self.steps or self.network.compares:
            return
        T = inverse(batch.T_cam_crop)[:, None] @ found.T_cam_obj[:, : None if self.options.verify else 1]
        surfaces = self.shapes.surfaces if self.shapes else None
        with self._half(batch):
            inputs = batch.inputs(self.network.config)
            refined = self.network.refine(inputs, found.prediction, T, surfaces, self.steps)
        for step in range(1, refined.T_crop_obj.shape[2]):
            yield batch.T_cam_crop[:, None] @ refined.T_crop_obj[:, :, step]

    def _half(self, batch: CropBatch) -> torch.autocast:
        device = batch.pixel.device.type
        enough = device != "cpu" or len(batch.pixel) >= HALF_FROM
        return torch.autocast(device, torch.bfloat16, enabled=self.options.bf16 and enough)

    def _icp(
        self, batch: CropBatch, T_cam_obj: Float[Tensor, "instances poses 4 4"]
    ) -> Float[Tensor, "instances poses 4 4"]:
        assert self.shapes is not None
        points_cam_m = transform_points(batch.T_cam_crop, batch.points_crop_m)
        cloud = torch.arange(len(T_cam_obj), device=T_cam_obj.device).repeat_interleave(T_cam_obj.shape[1])
        options = ResolverOptions(iterations=self.options.icp_iterations)
        model = batch.object_index[cloud]
        result = resolve(T_cam_obj.flatten(0, 1), points_cam_m, cloud, self.shapes.grid, model, options)
        return result.T_cam_obj.unflatten(0, T_cam_obj.shape[:2])
