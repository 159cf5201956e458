"""A trained network at work: one frame in, one pose per instance out, all instances in one batch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d import arrays
from selfpose6d.crops.batch import CropBatch, decode_records, sample_batch
from selfpose6d.crops.crop import NetworkCrop, crop_instance, pack_crop
from selfpose6d.datasets.model_files import ModelFiles, find_model_files
from selfpose6d.errors import CheckpointError, UsageError
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.inference.hypotheses import Hypotheses, HypothesisSource, StageTimes
from selfpose6d.inference.options import PredictOptions, default_steps
from selfpose6d.inference.rated import rated_certificate
from selfpose6d.inference.verifier import Verifier, make_verifier
from selfpose6d.labeling.certificate import CertifiedPose
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.units import Unit
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.confidence import Confidence
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.shapes import ObjectShapes, build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.objects.table import load_known_meshes, require_all_meshes
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.types import (
    Certificate,
    Frame,
    Instance,
    InstanceKey,
    LabeledPose,
    PoseEstimate,
    RefinementStep,
)


class Predictor:
    """Estimates the pose of every instance of a frame.

    `times_s` adds up the seconds of each stage (crop, network, cluster, refine, verify), `num_instances` counts.
    """

    def __init__(
        self,
        network: PoseNetwork,
        options: PredictOptions | None = None,
        shapes: ObjectShapes | None = None,
        verifier: Verifier | None = None,
        confidence: Confidence | None = None,
        symmetries: Symmetries | None = None,
    ) -> None:
        """`shapes` are needed to refine, `verifier` to verify, `confidence` says what the network's rating is worth,
        with `symmetries` poses that look alike are one; `load` makes all of them.

        Raises:
            UsageError: what the options or the network need is missing.
        """
        self.network, self.options = network.eval(), options or PredictOptions()
        if self.options.needs_meshes and (shapes is None or (self.options.verify and verifier is None)):
            raise UsageError("refining and verifying need the objects' meshes: pass models (--models DIR).")
        if network.compares and shapes is None:
            raise UsageError(
                "the network compares its poses with the objects' meshes: pass models (--models DIR)."
            )
        self.verifier, self.confidence, self.times_s = verifier, confidence or Confidence(), StageTimes()
        self._hypotheses = HypothesisSource(
            self.network, self.options, self.times_s, self.confidence, shapes, symmetries
        )
        self.num_instances = 0
        self._index_by_id = {obj_id: index for index, obj_id in enumerate(network.objects.obj_ids)}

    @classmethod
    def load(
        cls,
        model: Path | str,
        models: ModelFiles | Path | str | Mapping[int, Mesh] | None = None,
        options: PredictOptions | None = None,
        model_unit: Unit | None = None,
        device: torch.device | str = "cpu",
    ) -> "Predictor":
        """A predictor from a training run's folder or a checkpoint file.

        Args:
            model: the run or checkpoint.
            models: folder of meshes or meshes by object id: checked against the model, used to refine and verify.
            options: how poses are predicted.
            model_unit: unit of the meshes in a folder that does not say it.
            device: where the network runs.

        Raises:
            CheckpointError: no checkpoint, a corrupt one, or one of other models.
            UsageError: the options need meshes and there are none.
        """
        options = options or PredictOptions()
        network, metadata = load_network(find_checkpoint(Path(model)), device)
        if options.uses_network and not network.refiner.trained:
            raise CheckpointError(
                f"{model}: its refinement network is not trained (its training ended in stage "
                f"{metadata.get('stage', 'estimator')!r}). Use --refine none or icp, or train on with more steps."
            )
        if models is None:
            return cls(network, options)
        if isinstance(models, Path | str):
            models = find_model_files(Path(models), model_unit)
        meshes = load_known_meshes(network.objects, models)
        if not (options.needs_meshes or network.compares):
            return cls(network, options)
        shapes = build_object_shapes(require_all_meshes(network.objects, meshes)).to(device)
        verifier = make_verifier(models, meshes, device, options) if options.verify else None
        confidence = Confidence.from_json(metadata.get("confidence"))
        symmetries = None
        if network.compares and isinstance(models, ModelFiles):
            known = network.objects.obj_ids
            symmetries = load_symmetries(models.folder, known, meshes.__getitem__).to(device)
        return cls(network, options, shapes, verifier, confidence, symmetries)

    def __call__(
        self,
        rgb: Any,
        depth_m: Any,
        K: Any,
        masks: Any,
        obj_ids: Any,
    ) -> list[PoseEstimate]:
        """One estimate per mask, in their order; `valid=False` with a reason where there can be none.

        Args:
            rgb: 8-bit RGB, height x width x 3. Here and below, what can only mean the same is taken as well (`Frame`).
            depth_m: depth in metres, height x width; 0 is unknown.
            K: camera matrix, pixels.
            masks: one object's visible pixels each, height x width.
            obj_ids: which object each mask shows.

        Raises:
            UsageError: images, masks and ids of another kind, or that do not fit each other.
            DataError: the depth is not in metres, or K is no camera matrix.
        """
        masks, obj_ids = arrays.mask_list(masks), arrays.object_ids(obj_ids)
        if len(masks) != len(obj_ids):
            raise UsageError(
                f"masks and obj_ids must have the same length, got {len(masks)} and {len(obj_ids)}. "
                "Pass one object id for each mask."
            )
        instances = tuple(
            Instance(InstanceKey("", 0, 0, obj_id, index), mask)
            for index, (mask, obj_id) in enumerate(zip(masks, obj_ids, strict=True))
        )
        return self.predict(Frame("", 0, 0, rgb, depth_m, K, instances))

    def predict(self, frame: Frame) -> list[PoseEstimate]:
        """One estimate per instance of the frame, in their order.

        Raises:
            UsageError: it is no `Frame`.
        """
        if not isinstance(frame, Frame):
            raise UsageError(
                f"frame must be a Frame, got {arrays.describe(frame)}. Or call predictor(rgb, ...)."
            )
        batch, estimates = self._cropped(frame)
        if batch is not None:
            found = self._hypotheses.refine(batch, self._hypotheses.estimate(batch, self._hypotheses.steps))
            kept = [instance for instance in frame.instances if instance.key not in estimates]
            seen = self._observed(frame)
            for index, instance in enumerate(kept):
                estimates[instance.key] = self._finish(seen, instance, found, index)
        return [estimates[instance.key] for instance in frame.instances]

    def propose(self, frame: Frame) -> dict[InstanceKey, Float[Tensor, "clusters 4 4"]]:
        """Hypotheses for the annotator: of each instance `T_cam_obj`, the best first. They are its pixels' poses,
        clustered, or its modes, refined.

        Nothing of instances that it does not know, or whose crop has too little depth.
        """
        batch, others = self._cropped(frame)
        if batch is None:
            return {}
        keys = [instance.key for instance in frame.instances if instance.key not in others]
        return dict(
            zip(
                keys,
                self._hypotheses.estimate(batch, default_steps(self.network.compares)).T_cam_obj,
                strict=True,
            )
        )

    def _cropped(self, frame: Frame) -> tuple[CropBatch | None, dict[InstanceKey, PoseEstimate]]:
        """What the network is shown, in the instances' order, and why the others have no pose."""
        with self.times_s.of("crop"):
            cropped = {instance.key: self._crop(frame, instance) for instance in frame.instances}
            crops = [crop for crop in cropped.values() if isinstance(crop, NetworkCrop)]
            batch = self._batch(crops) if crops else None
        self.num_instances += len(crops)
        return batch, {key: crop for key, crop in cropped.items() if isinstance(crop, PoseEstimate)}

    def _crop(self, frame: Frame, instance: Instance) -> NetworkCrop | PoseEstimate:
        obj_id = instance.key.obj_id
        if obj_id not in self._index_by_id:
            known = " ".join(map(str, self._index_by_id))
            return PoseEstimate.none(instance.key, f"object {obj_id} is unknown to the model ({known})")
        return crop_instance(frame, instance, self.network.config.crop_px)

    def _batch(self, crops: Sequence[NetworkCrop]) -> CropBatch:
        diameter_m = self.network.estimator.diameter_m
        images = decode_records(np.concatenate([pack_crop(crop) for crop in crops]), diameter_m.device)
        generator = torch.Generator(device=diameter_m.device).manual_seed(self.options.seed)
        return sample_batch(images, self._index_by_id, diameter_m, self.network.config.num_points, generator)

    def _observed(self, frame: Frame) -> ObservedFrame | None:
        """What verification needs of the frame, made once."""
        if not self.options.verify:
            return None
        with self.times_s.of("verify"):
            return ObservedFrame.of(frame, self.options.annotate.depth_noise_m)

    def _finish(
        self, seen: ObservedFrame | None, instance: Instance, found: Hypotheses, index: int
    ) -> PoseEstimate:
        T_cam_obj, confidence = found.T_cam_obj[index], float(found.confidence[index, 0])
        path = tuple(RefinementStep(name, _as_numpy(T[index])) for name, T in found.path)
        if seen is None and self.network.compares:
            likely = found.confidence[index] > 0
            rated = (
                T_cam_obj[likely].double().cpu().numpy(),
                found.confidence[index][likely].double().cpu().numpy(),
            )
            certificate = rated_certificate(*rated, self.confidence)
            return LabeledPose(
                instance.key, _as_numpy(T_cam_obj[0]), confidence, path=path, certificate=certificate
            )
        if seen is None:
            return PoseEstimate(instance.key, _as_numpy(T_cam_obj[0]), confidence, path=path)
        assert self.verifier is not None
        start_s = time.perf_counter()
        with self.times_s.of("verify"):
            best = self.verifier(seen, instance, T_cam_obj)
        if isinstance(best, PoseEstimate):  # nothing to verify by: the network's pose stands, uncertified
            certificate = Certificate.not_verified(best.reason, confidence)
            best = CertifiedPose(T_cam_obj[0], replace(certificate, source="hypotheses"))
        path = (*path, RefinementStep("verified", _as_numpy(best.T_cam_obj))) if path else ()
        return LabeledPose(
            instance.key,
            _as_numpy(best.T_cam_obj),
            best.certificate.confidence,
            path=path,
            certificate=best.certificate,
            time_s=time.perf_counter() - start_s,
        )


def _as_numpy(T_cam_obj: Float[Tensor, "4 4"]) -> Float[np.ndarray, "4 4"]:
    return T_cam_obj.double().cpu().numpy()
