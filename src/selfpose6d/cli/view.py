"""`selfpose6d view RUN`: look at a run's poses in 3-D in the browser."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from selfpose6d.errors import UsageError

if TYPE_CHECKING:
    from selfpose6d.reporting.run_sources import RunSources
    from selfpose6d.viz.viewer import View


@dataclass(frozen=True)
class Command:
    """Show measured points and estimated poses in the browser, until Ctrl-C. Needs the viewer extra."""

    run_folder: Positional[Path]
    """The --out of annotate or estimate."""
    dataset: Path | None = None
    """The data set (default: as the run's config.yaml says)."""
    models: Path | None = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Literal["mm", "m"] | None = None
    """Unit of the models (default: as config.yaml says)."""
    host: str = "127.0.0.1"
    """Address to serve at; 0.0.0.0 lets other machines in."""
    port: int = 8080
    """Port to serve at."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Taken as other commands do; the browser draws."""
    seed: int = 0
    """Taken as other commands do; nothing is random here."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.viz.viewer import start_viewer

        run = RunViews(resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit))
        server = start_viewer(run.titles, run.load, self.host, self.port)
        print(f"open http://{self.host}:{server.get_port()} in a browser; Ctrl-C ends", flush=True)
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            server.stop()
            return 0


class RunViews:
    """The frames of a run for the viewer, read when they are looked at."""

    def __init__(self, sources: "RunSources") -> None:
        """Raises UsageError when the run has no predictions, or its data set cannot be opened."""
        from selfpose6d.evaluation.inputs import read_estimates
        from selfpose6d.evaluation.instances import image_keys

        self._estimates, _ = read_estimates(sources.run)
        if not len(self._estimates):
            raise UsageError(
                f"{sources.run} has no pose to show: every instance was skipped. See skipped.jsonl."
            )
        self._dataset = sources.open_dataset()
        self._keys = sorted(set(image_keys(self._estimates)))

    @property
    def titles(self) -> list[str]:
        """One for each frame."""
        return [f"scene {scene_id}, image {im_id}" for scene_id, im_id in self._keys]

    def load(self, index: int) -> "View":
        """One frame's points and poses."""
        from selfpose6d.evaluation.instances import image_keys
        from selfpose6d.selection import FrameId
        from selfpose6d.viz.viewer import View, ViewedPose, measured_points

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
        return View(points_m, rgb, poses)
