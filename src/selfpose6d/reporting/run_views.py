"""The frames of a run for the 3-D viewer, read when they are looked at."""

from selfpose6d.errors import UsageError
from selfpose6d.evaluation.inputs import read_estimates
from selfpose6d.evaluation.instances import image_keys
from selfpose6d.reporting.run_sources import RunSources
from selfpose6d.selection import FrameId
from selfpose6d.viz.viewer import ViewedFrame, ViewedPose, measured_points


class RunViews:
    """Measured points and estimated poses, frame by frame."""

    def __init__(self, sources: RunSources) -> None:
        """Raises UsageError when the run has no predictions, or its data set cannot be opened."""
        self._estimates, _ = read_estimates(sources.run)
        if not len(self._estimates):
            raise UsageError(
                f"{sources.run} has no pose to show: every instance was skipped. "
                f"See {sources.files.skipped.name}."
            )
        self._dataset = sources.open_dataset()
        self._keys = sorted(set(image_keys(self._estimates)))
        self.titles = [f"scene {scene_id}, image {im_id}" for scene_id, im_id in self._keys]

    def load(self, index: int) -> ViewedFrame:
        """One frame's points and poses."""
        frame_id = FrameId(*self._keys[index])
        estimates, dataset = self._estimates, self._dataset
        points_m, rgb = measured_points(
            dataset.read_rgb(frame_id), dataset.read_depth(frame_id), dataset.read_intrinsics(frame_id)
        )
        rows = [row for row, key in enumerate(image_keys(estimates)) if key == self._keys[index]]
        poses = [
            ViewedPose(
                dataset.load_mesh(int(estimates.obj_id[row])),
                estimates.T_cam_obj[row],
                f"{estimates.obj_id[row]} {estimates.status[row]} {estimates.confidence[row]:.2f}",
                str(estimates.status[row]),
            )
            for row in rows
        ]
        return ViewedFrame(points_m, rgb, poses)
