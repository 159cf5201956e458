"""A live RealSense, by a stand-in for pyrealsense2 that has the calls of the real package."""

import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from selfpose6d.datasets.images import read_rgb
from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings import realsense
from selfpose6d.recordings.import_recording import import_recording
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.realsense import LIVE, WARM_UP_FRAMES

SIZE = (64, 48)
UNIT_M = 0.0001
"""Of a D405."""


class Camera:
    """A camera that gives numbered frames; at the end it fails, or a person presses Ctrl-C."""

    def __init__(self, num_frames: int, ending: Exception | None) -> None:
        self.taken, self.num_frames, self.ending = 0, num_frames, ending
        self.streams, self.serial, self.is_open = [], None, False

    def module(self) -> SimpleNamespace:
        """Stands for the module pyrealsense2."""
        return SimpleNamespace(
            pipeline=lambda: self,
            config=lambda: self,
            stream=SimpleNamespace(color="color", depth="depth"),
            format=SimpleNamespace(rgb8="rgb8", z16="z16"),
        )

    def enable_device(self, serial: str) -> None:
        self.serial = serial

    def enable_stream(self, *stream) -> None:
        self.streams.append(stream)

    def start(self, _):
        if self.serial == "unknown":
            raise RuntimeError("No device connected")
        self.is_open = True
        return self

    def stop(self) -> None:
        self.is_open = False

    def get_device(self):
        return self

    def first_depth_sensor(self):
        return self

    def get_depth_scale(self) -> float:
        return UNIT_M

    def get_stream(self, name: str):
        focal = {"color": 60.0, "depth": 50.0}[name]
        intrinsics = SimpleNamespace(
            fx=focal,
            fy=focal,
            ppx=31.5,
            ppy=23.5,
            width=64,
            height=48,
            model="distortion.none",
            coeffs=[0.0] * 5,
        )
        extrinsics = SimpleNamespace(rotation=np.eye(3).ravel().tolist(), translation=[0.05, 0.0, 0.0])
        profile = SimpleNamespace(get_intrinsics=lambda: intrinsics, get_extrinsics_to=lambda _: extrinsics)
        return SimpleNamespace(as_video_stream_profile=lambda: profile)

    def wait_for_frames(self, _: int):
        if self.taken == self.num_frames:
            if self.ending is not None:
                raise self.ending
            signal.raise_signal(signal.SIGINT)
        index = self.taken
        self.taken += 1
        colour = self.frame(index, np.full((48, 64, 3), index, np.uint8))
        depth = self.frame(index, np.full((48, 64), 5000 + index, np.uint16))
        return SimpleNamespace(get_color_frame=lambda: colour, get_depth_frame=lambda: depth)

    def frame(self, index: int, pixels: np.ndarray) -> SimpleNamespace:
        return SimpleNamespace(
            get_data=lambda: pixels, get_timestamp=lambda: 1000.0 * index, get_frame_number=lambda: index
        )


@pytest.fixture
def camera(monkeypatch, tmp_path):
    """A camera that a person ends with Ctrl-C while the 40th frame is taken."""
    camera = Camera(39, None)
    monkeypatch.setitem(sys.modules, "pyrealsense2", camera.module())
    monkeypatch.chdir(tmp_path)
    return camera


def run(out, **options):
    """Import from the camera."""
    return import_recording(Path(LIVE), out, RecordingOptions(size=SIZE, **options))


def test_so_many_frames_behind_the_warm_up(camera, tmp_path):
    summary = run(tmp_path / "out", max_frames=3, serial="123")
    assert summary.num_frames == 3
    assert camera.serial == "123"
    assert camera.streams == [("color", 64, 48, "rgb8", 30), ("depth", 64, 48, "z16", 30)]
    assert not camera.is_open
    assert read_rgb(tmp_path / "out" / "rgb" / "000002.png")[0, 0, 0] == WARM_UP_FRAMES + 2
    assert summary.depth_scale_mm == pytest.approx(0.1)


def test_depth_is_aligned(camera, tmp_path):
    run(tmp_path / "out", max_frames=1)
    depth = cv2.imread(str(tmp_path / "out" / "depth" / "000000.png"), cv2.IMREAD_UNCHANGED)
    # at 0.503 m the depth camera's 50 mm are 6 colour columns, but it sees wider by 60 / 50
    assert depth[24, 40] == 5000 + WARM_UP_FRAMES
    known = np.flatnonzero(depth[24])
    expected = 60 * ((0 - 0.5 - 31.5) / 50 + 0.05 / 0.503) + 31.5
    assert known.min() == max(0, np.ceil(expected))


def test_ctrl_c_ends_it_and_keeps_what_was_taken(camera, tmp_path):
    assert run(tmp_path / "out").num_frames == 40 - WARM_UP_FRAMES
    assert run_again_with_every(camera, tmp_path) == 4


def run_again_with_every(camera, tmp_path) -> int:
    """Ten frames in steps of three: the last step has one."""
    camera.taken = 0
    return run(tmp_path / "third", every=3).num_frames


def test_ctrl_c_before_the_first_frame(camera, tmp_path):
    camera.num_frames = 2
    with pytest.raises(DataError, match="no frames"):
        run(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_camera_that_stops(camera, tmp_path):
    """What it gave is kept; one that gives nothing is an error."""
    camera.num_frames, camera.ending = 35, RuntimeError("Frame didn't arrive within 5000")
    with pytest.warns(UserWarning, match="gives no frames any more .* what was recorded before is kept"):
        run(tmp_path / "out", max_frames=10)
    assert not camera.is_open
    assert len(list((tmp_path / "out" / "rgb").iterdir())) == 5
    camera.taken = camera.num_frames = 0
    with pytest.raises(DataError, match="gives no frames any more"):
        run(tmp_path / "other", max_frames=10)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_camera_and_no_package(camera, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"no RealSense gives 64x48 at 30 Hz \(No device connected\)"):
        run(tmp_path / "out", serial="unknown")
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(UsageError, match=r"needs pyrealsense2, which is not installed.*pip install '"):
        run(tmp_path / "out")
    assert realsense.LIVE == "realsense"


def test_the_real_package_has_the_calls():
    """What the stand-in has is what pyrealsense2 has."""
    rs = pytest.importorskip("pyrealsense2", reason="skipped: pyrealsense2 is not installed")
    for owner, names in (
        (rs.config, ("enable_device", "enable_stream")),
        (rs.pipeline, ("start", "stop", "wait_for_frames")),
        (rs.pipeline_profile, ("get_device", "get_stream")),
        (rs.device, ("first_depth_sensor",)),
        (rs.depth_sensor, ("get_depth_scale",)),
        (rs.stream_profile, ("as_video_stream_profile", "get_extrinsics_to")),
        (rs.video_stream_profile, ("get_intrinsics",)),
        (rs.composite_frame, ("get_color_frame", "get_depth_frame")),
        (rs.frame, ("get_data", "get_timestamp", "get_frame_number")),
        (rs.intrinsics, ("fx", "fy", "ppx", "ppy", "width", "height", "model", "coeffs")),
        (rs.extrinsics, ("rotation", "translation")),
        (rs.format, ("rgb8", "z16")),
        (rs.stream, ("color", "depth")),
    ):
        assert [name for name in names if not hasattr(owner, name)] == []
    assert str(rs.distortion.inverse_brown_conrady) == "distortion.inverse_brown_conrady"
