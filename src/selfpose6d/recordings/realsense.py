"""A live RealSense camera as a recording."""

import importlib
import itertools
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from selfpose6d.errors import DataError, UsageError
from selfpose6d.extras import missing_extra
from selfpose6d.recordings.bag_messages import NS_PER_S
from selfpose6d.recordings.camera import Camera, make_camera
from selfpose6d.recordings.camera_files import rigid_transform
from selfpose6d.recordings.depth_units import depth_image
from selfpose6d.recordings.image_messages import ColourImage
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import PairCounts, RecordedImage, RecordedPair
from selfpose6d.recordings.recording import FoundGeometry, Recording, resolve_rig

LIVE = "realsense"
"""What stands for the camera where a file is expected."""
WARM_UP_FRAMES = 30
"""Frames that are dropped at the start: the exposure settles within a second."""
_TIMEOUT_MS = 5000
_NS_PER_MS = NS_PER_S // 1000


@contextmanager
def open_live(options: RecordingOptions) -> Iterator[Recording]:
    """The camera's colour and depth until the first Ctrl-C, which keeps what was taken.

    Raises:
        UsageError: pyrealsense2 is not installed, or no such camera is connected.
    """
    try:
        rs: Any = importlib.import_module("pyrealsense2")
    except ImportError:
        raise missing_extra("record", "pyrealsense2", needed_by="a RealSense camera") from None
    pipeline, config = rs.pipeline(), rs.config()
    if options.serial is not None:
        config.enable_device(options.serial)
    config.enable_stream(rs.stream.color, *options.size, rs.format.rgb8, options.fps)
    config.enable_stream(rs.stream.depth, *options.size, rs.format.z16, options.fps)
    try:
        profile = pipeline.start(config)
    except RuntimeError as error:
        raise UsageError(
            f"no RealSense gives {options.size[0]}x{options.size[1]} at {options.fps} Hz ({error}). "
            "Check the cable, --serial, --size and --fps."
        ) from None
    try:
        colour, depth = (
            profile.get_stream(stream).as_video_stream_profile()
            for stream in (rs.stream.color, rs.stream.depth)
        )
        extrinsics = depth.get_extrinsics_to(colour)
        R = np.reshape(extrinsics.rotation, (3, 3)).T  # column by column
        T = rigid_transform(R, extrinsics.translation)
        unit_m = profile.get_device().first_depth_sensor().get_depth_scale()
        found = FoundGeometry(
            _camera(colour, "colour"), _camera(depth, "depth"), (T, "the camera's own calibration"), unit_m
        )
        rig, unit_m = resolve_rig(found, options)
        counts = PairCounts()
        streams = {"colour": "RealSense colour", "depth": "RealSense depth"}
        with _interrupt_ends() as ended:
            pairs = _pairs(pipeline, unit_m or found.metres_per_unit or 0.001, counts, ended)
            yield Recording(LIVE, rig, pairs, counts, streams, options.max_frames)
    finally:
        pipeline.stop()


def _camera(profile: Any, name: str) -> Camera:
    i = profile.get_intrinsics()
    K = np.array([[i.fx, 0, i.ppx], [0, i.fy, i.ppy], [0, 0, 1]])
    return make_camera(K, (i.width, i.height), str(i.model), i.coeffs, f"the camera's {name} intrinsics")


@contextmanager
def _interrupt_ends() -> Iterator[threading.Event]:
    """Ctrl-C sets the event instead of ending the program; a second one ends it."""
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield ended
        return
    before = signal.signal(signal.SIGINT, end)
    try:
        yield ended
    finally:
        signal.signal(signal.SIGINT, before)


def _pairs(
    pipeline: Any, unit_m: float, counts: PairCounts, ended: threading.Event
) -> Iterator[RecordedPair]:
    for index in itertools.count():
        if ended.is_set():
            return
        try:
            frames = pipeline.wait_for_frames(_TIMEOUT_MS)
        except RuntimeError as error:
            reason = f"the camera gives no frames any more ({error})"
            if not counts.paired:
                raise DataError(f"{reason}. Check the cable.") from None
            warnings.warn(f"{reason}: what was recorded before is kept.", stacklevel=2)
            return
        colour, depth = frames.get_color_frame(), frames.get_depth_frame()
        if index < WARM_UP_FRAMES or not colour or not depth:
            continue
        counts.paired += 1
        # the buffers go back to the camera's driver: copy them
        rgb, values = np.array(colour.get_data()), np.array(depth.get_data())
        yield RecordedPair(
            _image(colour, rgb, lambda rgb=rgb: ColourImage(rgb)),
            _image(depth, values, lambda values=values: depth_image(values, unit_m, "depth")),
        )


def _image(frame: Any, values: np.ndarray, load: Callable[[], object]) -> RecordedImage:
    origin = f"frame {frame.get_frame_number()}"
    return RecordedImage(round(frame.get_timestamp() * _NS_PER_MS), origin, values.nbytes, load)
