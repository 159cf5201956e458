"""Depth as sensors and drivers encode it: integers in a unit or metres in floats, with values that mean unknown."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Shaped, UInt16

from selfpose6d.errors import DataError

MAX_DEPTH_M = 100.0
"""Farther than any RGB-D camera measures: such values mean unknown (1e10, a renderer's far plane)."""
MAX_UNITS = 65535
"""The largest 16-bit value means unknown, too."""
WRITTEN_UNIT_M = 0.00025
"""Unit of written images whose depth is no 16-bit image already: steps of 0.25 mm, up to 16.4 m."""


@dataclass(frozen=True)
class DepthImage:
    """A depth image as it was recorded: uint16 in units of `metres_per_unit`, or float in metres (a unit of 1)."""

    values: Shaped[np.ndarray, "height width"]
    metres_per_unit: float

    def in_metres(self) -> Float32[np.ndarray, "height width"]:
        """In metres; 0 where it is unknown."""
        depth_m = self.values.astype(np.float32)
        unknown = ~np.isfinite(depth_m)
        if np.issubdtype(self.values.dtype, np.integer):
            unknown |= self.values >= MAX_UNITS
        depth_m *= np.float32(self.metres_per_unit)
        return np.where(unknown | (depth_m <= 0) | (depth_m > MAX_DEPTH_M), np.float32(0), depth_m)

    @property
    def written_unit_m(self) -> float:
        """The unit in which this image is written: its own where it is a 16-bit image."""
        return self.metres_per_unit if self.values.dtype == np.uint16 else WRITTEN_UNIT_M


def depth_image(values: np.ndarray, metres_per_unit: float, name: str) -> DepthImage:
    """A depth image from decoded values, floats being metres whatever `metres_per_unit` says.

    Raises:
        DataError: it is no single channel of 16 bits or float, or floats that cannot be metres.
    """
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uif" or values.dtype.itemsize < 2:
        channels = values.shape[2] if values.ndim == 3 else 1
        raise DataError(
            f"{name}: expected depth as one channel of 16 bits or float, got {channels} of {values.dtype}. "
            "A coloured or 8-bit picture of the depth cannot be read back."
        )
    if values.dtype.kind == "f":
        known = values[np.isfinite(values) & (values > 0) & (values < 1e9)]
        if len(known) and np.median(known) > MAX_DEPTH_M:
            raise DataError(
                f"{name}: depth in floats must be metres: median {np.median(known):.0f}. "
                "Divide a millimetre image by 1000, or save it with 16-bit integers."
            )
        return DepthImage(values, 1.0)
    if values.dtype != np.uint16:
        values = np.clip(values, 0, MAX_UNITS).astype(np.uint16)
    return DepthImage(values, metres_per_unit)


def to_units(
    depth_m: Float32[np.ndarray, "height width"], unit_m: float
) -> UInt16[np.ndarray, "height width"]:
    """For a 16-bit PNG; what is farther than it can hold becomes unknown."""
    units = np.rint(depth_m / np.float32(unit_m))
    return np.where(units < MAX_UNITS, units, 0).astype(np.uint16)
