"""`selfpose6d import RECORDING OUT`: a recording to a capture folder that the other commands read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import OmitArgPrefixes, Positional, arg

from selfpose6d.cli.output import add_result
from selfpose6d.recordings.options import RecordingOptions

if TYPE_CHECKING:
    from selfpose6d.recordings.import_recording import ImportSummary

MAX_REASONS = 5
"""Reasons for skipped images that are printed: those of files name the file, which makes many."""


@dataclass(frozen=True)
class Command:
    """Write the frames of a recording as a capture folder: colour, aligned depth, camera.

    Reads ROS 1 and ROS 2 bags (.bag, .db3, .mcap, a rosbag2 folder), RealSense's recordings, a live RealSense, videos
    with depth, and image folders of other tools. Lens distortion is taken out, depth is aligned to colour.
    OUT appears when all is written. Exit code 1: a tenth of the images or more could not be read.
    """

    recording: Annotated[Positional[Path], arg(metavar="RECORDING")]
    """A bag, a video, a folder with rgb/ and depth/, or the word realsense for a live camera."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """The capture folder to write, new or empty."""
    reading: OmitArgPrefixes[RecordingOptions] = field(default_factory=RecordingOptions)

    def run(self) -> int:
        """Import with a progress bar, then say what was done."""
        from selfpose6d.recordings.import_recording import import_recording
        from selfpose6d.reporting.console import progress_bar

        with progress_bar() as progress:
            bar = progress.add_task("import", total=None)
            summary = import_recording(
                self.recording,
                self.out,
                self.reading,
                lambda total: progress.update(bar, total=total, advance=1),
            )
        self._print(summary)
        add_result(
            out=self.out,
            frames=summary.num_frames,
            size=summary.size,
            alignment=summary.alignment,
            without_partner=summary.num_alone,
            skipped=summary.skipped,
        )
        return 1 if summary.much_is_unreadable else 0

    def _print(self, summary: "ImportSummary") -> None:
        from selfpose6d.reporting.console import warn

        K = summary.rig.colour.K
        undistorted = ", undistorted" if summary.rig.colour.is_distorted else ""
        print(f"colour: {summary.streams['colour']}{undistorted}")
        print(f"depth: {summary.streams['depth']}, {summary.alignment}")
        print(
            f"camera: {summary.size[0]}x{summary.size[1]}, fx {K[0, 0]:.1f} fy {K[1, 1]:.1f} "
            f"cx {K[0, 2]:.1f} cy {K[1, 2]:.1f}"
        )
        print(f"median depth: {summary.median_depth_m:.3f} m; unit of depth/: {summary.depth_scale_mm:g} mm")
        for stream, count in summary.num_alone.items():
            if count:
                print(f"without a partner: {count} {stream} images")
        reasons = list(summary.skipped.items())
        for reason, count in reasons[:MAX_REASONS]:
            warn(f"skipped {count}: {reason}")
        if others := sum(count for _, count in reasons[MAX_REASONS:]):
            warn(f"skipped {others} for other reasons")
        print(f"{self.out}: {summary.num_frames} frames")
        print(f"next: selfpose6d validate {self.out} --models MODELS")
