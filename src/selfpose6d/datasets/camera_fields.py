"""The fields of BOP's camera files: `cam_K` and `depth_scale`, checked. Millimetres end here."""

import math

import numpy as np
from jaxtyping import Float

from selfpose6d.datasets.images import data_error

METRES_PER_MM = 1e-3


def intrinsics_of(cam_K: object, name: str) -> Float[np.ndarray, "3 3"]:
    """BOP's `cam_K` (9 numbers, row-major, or 3 rows) as a matrix.

    Raises:
        DataError: it is anything else.
    """
    try:
        return np.asarray(cam_K, np.float64).reshape(3, 3)
    except (ValueError, TypeError):
        raise data_error(name, f"cam_K must be 9 numbers, got {cam_K}", "Correct the camera file.") from None


def metres_per_depth_unit(depth_scale: object, name: str) -> float:
    """What one unit of a depth image is in metres; `depth_scale` is in millimetres.

    Raises:
        DataError: it is no positive number.
    """
    if not isinstance(depth_scale, int | float) or not math.isfinite(depth_scale) or depth_scale <= 0:
        raise data_error(
            name,
            f"depth_scale must be positive, in mm per depth unit, got {depth_scale}",
            "Correct it: 1.0 for millimetre images, 0.1 for YCB-Video's.",
        )
    return float(depth_scale) * METRES_PER_MM
