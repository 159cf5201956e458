"""A camera as data sets' JSON files state it: its matrix, what one unit of depth is, its images' size, its lens."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from selfpose6d.checks import require_undistorted, size_text
from selfpose6d.datasets.lens_fields import stated_distortion, stated_sides
from selfpose6d.errors import MALFORMED, DataError
from selfpose6d.json_files import whole_number
from selfpose6d.meshes.units import METRES_PER_MM


class StatedCamera(NamedTuple):
    """What a camera's entry says beside its matrix."""

    size_px: tuple[int, int] | None = None
    """Width and height of the images that it belongs to."""
    distortion: tuple[float, ...] = ()
    """Coefficients of the lens; empty where it states none. NaN: something that is no list of numbers."""

    def require_fits(self, K: Float[np.ndarray, "3 3"], shape: tuple[int, int], name: str) -> None:
        """Refuse images (`shape`: height, width) that are not this camera's.

        Raises:
            DataError: another size, or distortion that moves points by more than a pixel.
        """
        if self.size_px is not None and self.size_px != (shape[1], shape[0]):
            raise DataError(
                f"{name}: intrinsics of another resolution: the camera is of {size_text(self.size_px[::-1])}, the "
                f"image has {size_text(shape)}. Scale cam_K to the images' resolution."
            )
        require_undistorted(K, shape, self.distortion, name)


def stated_camera(entry: Mapping[str, Any]) -> StatedCamera:
    """The size and distortion of a camera's JSON entry, as far as it has them."""
    return StatedCamera(_size_px(entry), stated_distortion(entry))


def intrinsics_of(entry: Mapping[str, Any], name: str) -> Float[np.ndarray, "3 3"]:
    """The camera matrix: BOP's `cam_K` (9 numbers, row-major, or rows), or `fx`, `fy`, `cx`, `cy`.

    Raises:
        DataError: it is anything else; says what is there instead.
    """
    cam_K = entry.get("cam_K")
    if cam_K is None and all(key in entry for key in ("fx", "fy", "cx", "cy")):
        fx, fy, cx, cy = (entry[key] for key in ("fx", "fy", "cx", "cy"))
        cam_K = [fx, 0, cx, 0, fy, cy, 0, 0, 1]
    if cam_K is None:
        found = ", ".join(map(str, entry)) or "nothing"
        hint = (
            "intrinsic_matrix is Open3D's, column by column: write its transpose as cam_K, and depth_scale anew"
            if "intrinsic_matrix" in entry
            else "Add it row by row: [fx, 0, cx, 0, fy, cy, 0, 0, 1]"
        )
        raise DataError(f"{name}: cam_K must be 9 numbers, but there is none; found {found}. {hint}.")
    try:
        K = np.asarray(cam_K, np.float64)
        if K.shape in ((3, 4), (4, 4)) and not K[:3, 3].any():
            K = K[:3, :3]
        return K.reshape(3, 3)
    except MALFORMED:
        raise DataError(f"{name}: cam_K must be 9 numbers, got {cam_K}. Correct the camera file.") from None


def metres_per_depth_unit(depth_scale: object, name: str) -> float:
    """What one unit of a depth image is in metres; `depth_scale` is in millimetres, a number or its text.

    Raises:
        DataError: it is no positive number.
    """
    try:
        value = math.nan if isinstance(depth_scale, bool) else float(depth_scale)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise DataError(
            f"{name}: depth_scale must be positive, in mm per depth unit, got {depth_scale}. "
            "Correct it: 1.0 for millimetre images, 0.1 for YCB-Video's."
        )
    return value * METRES_PER_MM


def _size_px(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    for width, height in stated_sides(entry):
        try:
            size_px = whole_number(width), whole_number(height)
        except ValueError:
            continue
        if min(size_px) > 0:
            return size_px
    return None
