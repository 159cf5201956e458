"""What of a recording is read, and how: options of `import` that all sources share, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from selfpose6d.errors import UsageError
from selfpose6d.options import Unset


@dataclass(frozen=True)
class RecordingOptions:
    """Which streams, cameras and frames."""

    every: int = 1
    """One frame of this many, the sharpest of them."""
    max_frames: Unset[int] = None
    """Stop after so many frames (default: all; live: until Ctrl-C)."""
    sharpest: bool = True
    """With --every: take the sharpest frame of each step (variance of the Laplacian), else the first."""
    max_gap_ms: float = 20.0
    """A colour and a depth image belong together when their time stamps are no farther apart, in milliseconds."""
    camera: Unset[Path] = None
    """The colour camera: cam_K.txt, ROS CameraInfo YAML, RealSense or Open3D JSON, BOP camera.json, OpenCV or Kalibr
    YAML (default: what the recording says). Images of a camera with lens distortion are undistorted."""
    depth_camera: Unset[Path] = None
    """The depth camera, in the same forms (default: what the recording says)."""
    extrinsics: Unset[Path] = None
    """T_colour_depth, from the depth camera's frame to the colour camera's: 4x4 numbers in metres, or RealSense's JSON
    with rotation and translation (default: what the recording says)."""
    aligned: bool = False
    """The depth is in the colour image's pixels already, whatever the recording says."""
    depth_scale: Unset[float] = None
    """Millimetres per unit of 16-bit depth (default: what the recording says, else 1)."""
    depth: Unset[Path] = None
    """Of a video or image folder: the depth, a folder of 16-bit PNG or .npy files or a 16-bit video (FFV1 gray16)."""
    colour_topic: Annotated[Unset[str], arg(aliases=("--color-topic",))] = None
    """Of a bag: the colour topic, raw or compressed."""
    depth_topic: Unset[str] = None
    """Of a bag: the depth topic, raw or compressedDepth."""
    colour_info_topic: Annotated[Unset[str], arg(aliases=("--color-info-topic",))] = None
    """Of a bag: the CameraInfo of the colour topic."""
    depth_info_topic: Unset[str] = None
    """Of a bag: the CameraInfo of the depth topic."""
    serial: Unset[str] = None
    """Live: the camera's serial number, where several are connected."""
    size: tuple[int, int] = (640, 480)
    """Live: width and height of both streams."""
    fps: int = 30
    """Live: frames per second of both streams."""

    def __post_init__(self) -> None:
        """Refuse values that no import can have."""
        for name, value in (("every", self.every), ("max-frames", self.max_frames), ("fps", self.fps)):
            if value is not None and value < 1:
                raise UsageError(f"--{name} must be 1 or more, got {value}.")
        if not self.max_gap_ms >= 0:
            raise UsageError(f"--max-gap-ms must be 0 or more, got {self.max_gap_ms}.")
        if self.depth_scale is not None and not 0.001 < self.depth_scale <= 100:
            raise UsageError(
                f"--depth-scale is in mm per depth unit, got {self.depth_scale}. 1 for millimetre images, 0.1 for "
                "YCB-Video's, 0.25 for RealSense's L515."
            )
        if self.aligned and (self.extrinsics is not None or self.depth_camera is not None):
            raise UsageError(
                "--aligned says that no alignment is needed: leave out --extrinsics and --depth-camera."
            )
