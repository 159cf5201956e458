"""The frames of a run for the 3-D viewer, read when they are looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from selfpose6d.datasets.true_poses import iterate_ground_truth
from selfpose6d.errors import UsageError
from selfpose6d.evaluation.estimates import read_estimates
from selfpose6d.evaluation.instances import Estimates, image_keys
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.selection import FrameId, Selection
from selfpose6d.viz.viewer import ViewedFrame, ViewedPose, measured_points


@dataclass(frozen=True)
class ViewOptions:
    """What is shown beside the run's own poses."""

    truth: bool = False
    """The true poses of the data set."""
    other: RunSources | None = None
    """Another run's poses."""


class RunViews:
    """Measured points and estimated poses, frame by frame, as a person's review corrects them."""

    def __init__(self, sources: RunSources, options: ViewOptions = ViewOptions()) -> None:
        """Raises UsageError when the run has no predictions, or its data set cannot be opened or has no true poses."""
        self._estimates = _estimates_of(sources)
        self._dataset = sources.open_dataset()
        self._keys = sorted(set(image_keys(self._estimates)))
        self._names: Mapping[int, str] = self._dataset.object_names()
        self._meshes: dict[int, Mesh] = {}
        self._truth = options.truth
        self._other = None if options.other is None else _estimates_of(options.other)
        if options.other is not None and self._other is not None:
            _require_common(self._other, self._estimates, options.other.run)
        files = self._dataset.frame_names()
        self.titles = [
            f"scene {scene_id}, image {im_id}" + (f" ({files[im_id]})" if im_id in files else "")
            for scene_id, im_id in self._keys
        ]
        if options.truth:
            self._true_poses(FrameId(*self._keys[0]))

    def load(self, index: int) -> ViewedFrame:
        """One frame's points, photo and poses."""
        frame_id, dataset = FrameId(*self._keys[index]), self._dataset
        rgb, K = dataset.read_rgb(frame_id), dataset.read_intrinsics(frame_id)
        points_m, points_rgb = measured_points(rgb, dataset.read_depth(frame_id), K)
        estimates = _of_frame(self._estimates, frame_id)
        poses = [
            ViewedPose(
                self._mesh(obj_id),
                T_cam_obj,
                self._name(obj_id),
                str(status),
                details=" ".join(f"{status} {confidence:.2f}".split()),
            )
            for obj_id, T_cam_obj, status, confidence in zip(
                estimates.obj_id.tolist(),
                estimates.T_cam_obj,
                estimates.status,
                estimates.confidence.tolist(),
                strict=True,
            )
        ]
        if self._truth:
            poses += self._true_poses(frame_id)
        if self._other is not None:
            others = _of_frame(self._other, frame_id)
            pairs = zip(others.obj_id.tolist(), others.T_cam_obj, strict=True)
            poses += [
                ViewedPose(self._mesh(i), T, self._name(i), kind="other run", details="other run")
                for i, T in pairs
            ]
        return ViewedFrame(points_m, points_rgb, poses, rgb, K)

    def _true_poses(self, frame_id: FrameId) -> list[ViewedPose]:
        dataset = self._dataset
        here = Selection((frame_id.scene_id,), (frame_id.im_id,), sensor=dataset.selection.sensor)
        known = iterate_ground_truth(dataset.root, dataset.split, here, targets="annotated")
        return [
            ViewedPose(
                self._mesh(pose.key.obj_id),
                np.asarray(pose.T_cam_obj, np.float64),
                self._name(pose.key.obj_id),
                kind="truth",
                details="truth",
            )
            for pose in known
            if pose.key.obj_id in dataset.object_ids
        ]

    def _name(self, obj_id: int) -> str:
        return self._names.get(obj_id) or f"object {obj_id}"

    def _mesh(self, obj_id: int) -> Mesh:
        """Read once: the viewer keeps what it made of it."""
        if obj_id not in self._meshes:
            self._meshes[obj_id] = self._dataset.load_mesh(obj_id)
        return self._meshes[obj_id]


def _estimates_of(sources: RunSources) -> Estimates:
    estimates, _ = read_estimates(sources.run)
    if not len(estimates):
        raise UsageError(
            f"{sources.run} has no pose to show: every instance was skipped. See {sources.files.skipped.name}."
        )
    return estimates


def _require_common(others: Estimates, own: Estimates, run: Path) -> None:
    if not set(image_keys(others)) & set(image_keys(own)):
        raise UsageError(
            f"--compare {run}: it has no pose in any of the frames that are viewed. Pass a run on the same data."
        )


def _of_frame(estimates: Estimates, frame_id: FrameId) -> Estimates:
    return estimates.take((estimates.scene_id == frame_id.scene_id) & (estimates.im_id == frame_id.im_id))
