"""An opened recording: the cameras, and pairs of images as they come."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import DataError
from selfpose6d.meshes.units import METRES_PER_MM
from selfpose6d.recordings.align import require_extrinsics
from selfpose6d.recordings.camera import Camera
from selfpose6d.recordings.camera_files import CameraFile, read_camera, read_extrinsics
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.pairing import PairCounts, RecordedPair


@dataclass(frozen=True)
class CameraRig:
    """A colour camera and its depth camera; no depth camera where the depth is in the colour image's pixels."""

    colour: Camera
    depth: Camera | None = None
    T_colour_depth: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    extrinsics_from: str = "none needed"


@dataclass(frozen=True)
class Recording:
    """What a source gives: pairs once, in the order of time; `counts` is complete when they are used up."""

    name: str
    rig: CameraRig
    pairs: Iterator[RecordedPair]
    counts: PairCounts
    streams: dict[str, str]
    """What was read: `colour` and `depth` by topic, file or device."""
    num_pairs: int | None = None
    """How many pairs there may be, for a progress bar."""
    unreadable: Counter[str] = field(default_factory=Counter)
    """What could not be read, by reason, complete when the pairs are used up."""
    has_stamps: bool = True
    """Whether the images' stamps are times; else they count."""


@dataclass(frozen=True)
class FoundGeometry:
    """What a recording itself says of its cameras; None is unknown. `T_colour_depth` comes with where it is from."""

    colour: Camera | None
    depth: Camera | None
    T_colour_depth: tuple[Float[np.ndarray, "4 4"], str] | None
    metres_per_unit: float | None = None


def resolve_rig(found: FoundGeometry, options: RecordingOptions) -> tuple[CameraRig, float | None]:
    """The cameras, options first, then the recording's own; and the metres per depth unit where anything says it.

    Raises:
        UsageError: a named file does not exist.
        DataError: the colour camera is unknown, or the depth needs alignment and something for it is unknown.
    """
    colour = _named(options, "colour")
    depth = _named(options, "depth")
    unit_m = found.metres_per_unit
    for named in (colour, depth):
        unit_m = unit_m if named is None or named.metres_per_unit is None else named.metres_per_unit
    unit_m = unit_m if options.depth_scale is None else options.depth_scale * METRES_PER_MM
    colour_camera = colour.camera if colour is not None else found.colour
    if colour_camera is None:
        raise DataError(
            "no camera is known: the recording holds no camera info of the colour images. "
            "Pass --camera FILE (cam_K.txt, CameraInfo YAML, RealSense JSON, ...)."
        )
    if options.aligned:
        return CameraRig(colour_camera, extrinsics_from="--aligned"), unit_m
    depth_camera = depth.camera if depth is not None else found.depth
    extrinsics = found.T_colour_depth
    if options.extrinsics is not None:
        extrinsics = read_extrinsics(options.extrinsics), str(options.extrinsics.name)
    if depth_camera is None and extrinsics is None:
        raise DataError(
            "nothing says how the depth is aligned to the colour image. Pass --aligned where it is in the colour "
            "image's pixels, else --depth-camera FILE and --extrinsics FILE."
        )
    if extrinsics is None:
        raise DataError(
            "the depth must be aligned to the colour image, but nothing says where the depth camera is: no transform "
            "between their frames. Pass --extrinsics FILE (T_colour_depth), or --aligned where it is aligned already."
        )
    T, origin = extrinsics
    require_extrinsics(T, origin)
    if np.allclose(T, np.eye(4), atol=1e-9) and _same_pixels(colour_camera, depth_camera):
        return CameraRig(colour_camera, extrinsics_from=origin), unit_m
    if depth_camera is None:
        raise DataError(
            "the depth must be aligned to the colour image, but its camera is not known. Pass --depth-camera FILE."
        )
    return CameraRig(colour_camera, depth_camera, T, origin), unit_m


def _named(options: RecordingOptions, part: str) -> CameraFile | None:
    path = options.camera if part == "colour" else options.depth_camera
    return None if path is None else read_camera(path, "colour" if part == "colour" else "depth")


def _same_pixels(colour: Camera, depth: Camera | None) -> bool:
    """Of cameras in one place: one matrix and one lens, or a depth image that has no camera of its own."""
    if depth is None:
        return True
    same_size = None in (colour.size, depth.size) or colour.size == depth.size
    same_lens = (colour.model, colour.coefficients) == (depth.model, depth.coefficients)
    return same_size and same_lens and np.allclose(colour.K, depth.K, atol=1e-3)
