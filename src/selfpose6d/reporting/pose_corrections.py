"""Poses that a person corrects: moved, turned, and refined from there by the annotator's own verification."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.labeling.annotate import AnnotateOptions, verify_pose
from selfpose6d.objects.of_dataset import object_store
from selfpose6d.runs.config import RunConfig
from selfpose6d.runs.predictions import MM_PER_M
from selfpose6d.types import Frame, Instance, MaskQuality


@dataclass(frozen=True)
class Correction:
    """A corrected pose and the one it started from; `evidence` says what refining found, "" before that."""

    T_cam_obj_start: Float[np.ndarray, "4 4"]
    T_cam_obj: Float[np.ndarray, "4 4"]
    version: int = 0
    """Of this instance's corrections: it rises at every change."""
    evidence: str = ""
    dragged: bool = False
    """In the 3-D view, which tells of every little move."""

    def to_json(self) -> dict[str, Any]:
        """How far it is from the start: the object frame's origin in mm, and degrees."""
        R = self.T_cam_obj[:3, :3] @ self.T_cam_obj_start[:3, :3].T
        angle_deg = np.degrees(np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1)))
        moved_mm = MM_PER_M * np.linalg.norm(self.T_cam_obj[:3, 3] - self.T_cam_obj_start[:3, 3])
        return {
            "version": self.version,
            "moved_mm": float(moved_mm),
            "rotated_deg": float(angle_deg),
            "evidence": self.evidence,
        }


@dataclass
class PoseCorrections:
    """The corrected poses of a session, by the instance's index. Several threads may use it."""

    dataset: Dataset
    config: RunConfig | None
    """Of the run: its poses are verified as it did."""
    _corrections: dict[int, Correction] = field(default_factory=dict)
    _before: dict[int, list[Correction]] = field(default_factory=dict)
    _versions: dict[int, int] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _models: Any = None

    def get(self, index: int) -> Correction | None:
        """The corrected pose, if there is one."""
        return self._corrections.get(index)

    def forget(self, index: int) -> None:
        """Drop it."""
        with self._lock:
            self._corrections.pop(index, None)
            self._before.pop(index, None)

    def back(self, index: int) -> Correction | None:
        """Take the last change back; a whole drag is one. None where the pose is not corrected."""
        with self._lock:
            before = self._before.get(index)
            if not before:
                return self._corrections.get(index)
            version = self._versions[index] = self._versions[index] + 1
            self._corrections[index] = replace(before.pop(), version=version)
            return self._corrections[index]

    def set(
        self,
        index: int,
        T_cam_obj_start: Float[np.ndarray, "4 4"],
        T_cam_obj: Float[np.ndarray, "4 4"],
        evidence: str = "",
        dragged: bool = False,
    ) -> Correction:
        """Another corrected pose; what it started from stays, if there was one before."""
        with self._lock:
            before = self._corrections.get(index)
            start = T_cam_obj_start if before is None else before.T_cam_obj_start
            version = self._versions[index] = self._versions.get(index, 0) + 1
            if before is not None and not (dragged and before.dragged):
                self._before.setdefault(index, []).append(before)
            correction = Correction(start, T_cam_obj, version, evidence, dragged)
            self._corrections[index] = correction
        return correction

    def nudge(
        self,
        index: int,
        T_cam_obj_start: Float[np.ndarray, "4 4"],
        centre_m: Float[np.ndarray, "3"],
        move_m: Float[np.ndarray, "3"],
        rotate_rad: Float[np.ndarray, "3"],
    ) -> Correction:
        """Move along the camera's axes and rotate about them, through the object's centre."""
        from scipy.spatial.transform import Rotation

        with self._lock:
            before = self._corrections.get(index)
            T = (T_cam_obj_start if before is None else before.T_cam_obj).copy()
            centre_cam_m = T[:3, :3] @ centre_m + T[:3, 3]
            T[:3, :3] = Rotation.from_rotvec(rotate_rad).as_matrix() @ T[:3, :3]
            T[:3, 3] = centre_cam_m + move_m - T[:3, :3] @ centre_m
            return self.set(index, T_cam_obj_start, T)

    def refine(
        self, index: int, frame: Frame, instance: Instance, T_cam_obj: Float[np.ndarray, "4 4"]
    ) -> Correction:
        """What comes of a pose when it is refined on the image and certified with nothing competing."""
        with self._lock:  # one at a time: it takes all that a core has
            if self._models is None:
                self._models = object_store(self.dataset, "cpu")
            model = self._models[instance.key.obj_id]
            found = verify_pose(frame, instance, model, T_cam_obj, _options(self.config))
            if not found.valid:
                return self.set(index, T_cam_obj, T_cam_obj, found.reason)
            certificate = found.certificate
            passes = "passes" if certificate.status == "certified" else "does not pass"
            evidence = (
                f"refined: {passes} the certificate, confidence {found.confidence:.2f}, "
                f"rms {MM_PER_M * certificate.rms_m:.1f} mm"
            )
            if certificate.reason:
                evidence += f" ({certificate.reason})"
            return self.set(index, T_cam_obj, found.T_cam_obj, evidence)


def moved_by(
    T_cam_obj: Float[np.ndarray, "4 4"], offset_m: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "4 4"]:
    """The same axes with their origin at a point that is given in the object's frame."""
    T = T_cam_obj.copy()
    T[:3, 3] += T[:3, :3] @ offset_m
    return T


def _options(config: RunConfig | None) -> AnnotateOptions:
    """As the run's `config.yaml` says, where it does: risk, quality of masks, noise of depth."""
    options = AnnotateOptions()
    stored: Mapping[str, Any] = config.options if config is not None else {}
    quality: MaskQuality | None = stored.get("mask_quality")
    options = replace(options, mask_quality=quality, depth_noise_m=stored.get("depth_noise_m"))
    risk = (stored.get("certificate") or {}).get("risk")
    return options if risk is None else replace(options, certificate=replace(options.certificate, risk=risk))
