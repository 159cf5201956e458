"""A pair of recorded images to a frame of a capture folder: undistorted, aligned, 16-bit depth in one unit."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8, UInt16

from selfpose6d.errors import DataError
from selfpose6d.recordings.align import Aligner, make_aligner
from selfpose6d.recordings.camera import Size, require_size
from selfpose6d.recordings.depth_units import MAX_UNITS, WRITTEN_UNIT_M, DepthImage, to_units
from selfpose6d.recordings.recording import CameraRig
from selfpose6d.recordings.undistort import UndistortMaps, undistort_maps


@dataclass(frozen=True)
class FrameMaker:
    """Makes frames of a recording's pairs, all of one size; safe to use from several threads."""

    size: Size
    maps: UndistortMaps | None
    align: Aligner | None
    unit_m: float
    """Of written depth, metres."""

    def colour(self, rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """The colour image without lens distortion."""
        return rgb if self.maps is None else self.maps.colour(rgb)

    def depth(self, image: DepthImage) -> UInt16[np.ndarray, "height width"]:
        """The depth at every colour pixel in units of `unit_m`; 0 is unknown."""
        if self.align is not None:
            return to_units(self.align(image.in_metres()), self.unit_m)
        if image.values.dtype == np.uint16 and image.metres_per_unit == self.unit_m:
            units = np.where(image.values < MAX_UNITS, image.values, np.uint16(0))
        else:
            units = to_units(image.in_metres(), self.unit_m)
        return units if self.maps is None else self.maps.depth(units)


def make_frame_maker(
    rig: CameraRig, rgb: UInt8[np.ndarray, "height width 3"], depth: DepthImage
) -> FrameMaker:
    """Prepared by the first pair's sizes and depth unit.

    Raises:
        DataError: a camera is of another resolution than its images, or registered depth of another size than colour.
    """
    size, depth_size = (rgb.shape[1], rgb.shape[0]), (depth.values.shape[1], depth.values.shape[0])
    require_size(rig.colour, size, "colour")
    unit_m, maps = depth.written_unit_m, undistort_maps(rig.colour, size)
    if rig.depth is None:
        if depth_size != size:
            raise DataError(
                f"the depth is said to be in the colour image's pixels ({rig.extrinsics_from}), but is "
                f"{depth_size[0]}x{depth_size[1]}, the colour image {size[0]}x{size[1]}. "
                "Pass --depth-camera FILE and --extrinsics FILE to align it."
            )
        return FrameMaker(size, maps, None, unit_m)
    require_size(rig.depth, depth_size, "depth")
    align = make_aligner(rig.depth, depth_size, rig.T_colour_depth, rig.colour.K, size)
    # between pixels the depth is interpolated: millimetres would be rounded again
    return FrameMaker(size, maps, align, min(unit_m, WRITTEN_UNIT_M))
