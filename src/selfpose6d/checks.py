"""Sanity checks at the door: units and shapes, with a remedy in every message."""

import math
from collections.abc import Sequence, Sized
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from selfpose6d.errors import DataError, MeshError, UsageError

MAX_DEPTH_MEDIAN_M = 20.0
"""Beyond any RGB-D camera's range; millimetres read as metres are hundreds."""
MIN_DEPTH_MEDIAN_M = 0.02
"""Nearer than the range of any depth camera: a sign of a wrong unit."""
SENTINEL = 65_535.0
"""What 16-bit images fill unknown depth with; 65 km in metres, 65 m in millimetres: from here on it is unknown in
either unit, also what renderers set for the background (1e10)."""
MIN_FAR_PLANE_M = 2.0
"""Nearer, one depth of many pixels is rather a wall."""
MIN_FAR_PLANE_FRACTION = 0.02
"""Of the pixels. Noise gives no two per cent of an image one depth that is also the largest one."""
FAR_PLANE_GAP = 0.05
MAX_BEFORE_FAR_PLANE = 0.25
"""Pixels in the last twentieth before a far plane, for each pixel in it. Coarse steps of a sensor at the end of its
range have as many on the step before."""
MIN_BEFORE_FAR_PLANE = 0.1
"""Part of the known pixels that is nearer: where all have one depth, it is a surface."""
MIN_INVERTED_FRACTION, MIN_INVERTED_BORDER = 0.5, 0.75
"""Of the image, and of its border: an object that fills both would be all that is seen."""
MAX_SKEW_PX = 1.0
"""Moves a point at the image's border by less than half a pixel; no computation here knows skew."""
MIN_FOCAL_RATIO = 0.1
"""Of the image's longer side: an angle of view of 157 degrees. Normalised focal lengths are about 1."""
OTHER_RESOLUTION = 0.2
"""Relative distance of the principal point from the image centre that a real camera stays below: a tenth of the
size."""
UNEVEN = 0.08
"""Relative difference of the ratios along x and y that one camera at two resolutions stays below."""
USUAL_SIZE_RATIO = 0.85
"""Of a mask's size at its depth to its model's diameter, where little is hidden (0.75 to 1)."""
SIZE_RATIO_BOUNDS = (0.55, 1.25)
"""Outside, sizes say by themselves that something is wrong. Choices: a wrong unit is far outside."""
MAX_DISTORTION_PX = 1.0
"""How far lens distortion may move a point of the image: beyond, poses near its border are off by more than noise."""
MIN_OBJECT_M, MAX_OBJECT_M = 1e-3, 5.0
"""Outside, the unit is wrong by a factor of 1,000 rather than the object that small or large."""


def require_depth_in_metres(depth_m: np.ndarray, name: str = "depth_m") -> None:
    """Refuse a depth image whose median no RGB-D camera measures.

    Raises:
        DataError: the median of the known depths is over 20 m or under 2 cm.
    """
    num_known, num_far = np.count_nonzero(depth_m > 0), np.count_nonzero(depth_m >= MIN_DEPTH_MEDIAN_M)
    if not num_known or (2 * num_far > num_known and float(depth_m.max()) <= MAX_DEPTH_MEDIAN_M):
        return  # most frames, in a fraction of the time that a median takes
    median = float(np.median(depth_m[depth_m > 0]))
    if median > MAX_DEPTH_MEDIAN_M:
        raise DataError(
            f"{name} must be in metres: median {median:.1f} > {MAX_DEPTH_MEDIAN_M:.0f}. "
            "Divide a millimetre image by 1000, or correct depth_scale in the camera file."
        )
    if median < MIN_DEPTH_MEDIAN_M:
        raise DataError(
            f"{name} must be in metres: median {median:.2g} < {MIN_DEPTH_MEDIAN_M:g}, nearer than any camera sees. "
            "Divide a millimetre image by 1000 once, or correct depth_scale in the camera file: 1 for an image in "
            "millimetres, 1000 for one in metres."
        )


def require_plausible_object_size(extent_m: float, source: str) -> None:
    """Refuse an object of less than 1 mm or more than 5 m, the sign of a wrong unit.

    Raises:
        MeshError: the largest extent is not plausible.
    """
    if not math.isfinite(extent_m) or not MIN_OBJECT_M <= extent_m <= MAX_OBJECT_M:
        raise MeshError(
            f"{source}: the object would be {extent_m:.4g} m large, expected {MIN_OBJECT_M:g} to {MAX_OBJECT_M:g} m. "
            "Pass --model-unit mm, cm, m or inch (unit= in Python), whichever the file is in."
        )


def require_intrinsics(K: np.ndarray, name: str = "K") -> None:
    """Refuse a camera matrix that cannot be one of a pinhole camera with square axes.

    Raises:
        DataError: wrong shape, non-finite entries, a focal length that is not positive, or entries other than 0 and 1
            where a camera has them; a transposed one is named.
    """
    if K.shape == (3, 3) and np.isfinite(K).all() and K[0, 0] > 0 and K[1, 1] > 0:
        (_, skew, cx), (lower, _, cy), (left, right, one) = K.tolist()
        if abs(skew) <= MAX_SKEW_PX and max(map(abs, (lower, left, right, one - 1))) <= 1e-6:
            return
        if cx == cy == 0 != abs(left) + abs(right):
            raise DataError(
                f"{name} must have rows (fx 0 cx), (0 fy cy), (0 0 1), got {K.tolist()}: it is transposed. "
                "Pass its transpose, row by row."
            )
    raise DataError(
        f"{name} must be a finite 3x3 matrix with positive focal lengths, rows (fx 0 cx), (0 fy cy), (0 0 1), "
        f"got {K.tolist()}. Correct it, or the camera file."
    )


def require_focal_length_in_pixels(K: np.ndarray, shape: tuple[int, int], name: str = "K") -> None:
    """Refuse the intrinsics of a normalised camera.

    Raises:
        DataError: the focal length is less than a tenth of the image's longer side (`shape`: height, width).
    """
    if min(K[0, 0], K[1, 1]) < MIN_FOCAL_RATIO * max(shape):
        raise DataError(
            f"{name} must be in pixels: focal lengths {K[0, 0]:.4g}, {K[1, 1]:.4g} of an image of "
            f"{size_text(shape)}. Multiply normalised intrinsics by the image's size."
        )


def other_resolution(K: np.ndarray, shape: tuple[int, int]) -> float | None:
    """How many times the images (`shape`: height, width) are smaller than those that `K` belongs to.

    None where its principal point is near the centre, or off it in another way, as in a cropped image.
    """
    ratio_x, ratio_y = _centre_ratios(K, shape)
    if min(ratio_x, ratio_y) <= OTHER_RESOLUTION / 2 or abs(ratio_x / ratio_y - 1) > UNEVEN:
        return None
    ratio = (ratio_x + ratio_y) / 2
    return None if abs(ratio - 1) <= OTHER_RESOLUTION else ratio


def require_own_resolution(
    K: np.ndarray, shape: tuple[int, int], size_ratios: Sequence[float], name: str = "K"
) -> None:
    """Refuse intrinsics of larger or smaller images than this one (`shape`: height, width).

    `size_ratios`: sizes of masks at their depth over their models' diameters. They tell a crop, whose principal point
    may lie anywhere, from a wrong resolution.

    Raises:
        DataError: the principal point says so, and sizes do not say otherwise.
    """
    ratio = other_resolution(K, shape)
    size = float(np.median(size_ratios)) if len(size_ratios) else None
    if ratio is None:
        ratio_x, ratio_y = _centre_ratios(K, shape)
        off_centre = max(abs(ratio_x - 1), abs(ratio_y - 1)) > 2 * OTHER_RESOLUTION
        if not off_centre or min(ratio_x, ratio_y) <= OTHER_RESOLUTION / 2 or size is None:
            return
        ratio, (low, high) = math.sqrt(ratio_x * ratio_y), SIZE_RATIO_BOUNDS
        is_wrong = not low <= size <= high and low <= size * ratio <= high
    else:
        is_wrong = size is None or _is_nearer_usual(size * ratio, size)
    if is_wrong:
        raise DataError(
            f"{name}: intrinsics of another resolution: about {ratio:.2g} times {size_text(shape)}. Scale cam_K to the "
            "images' resolution; of a crop, state its width and height in the camera file, too."
        )


def _centre_ratios(K: np.ndarray, shape: tuple[int, int]) -> tuple[float, float]:
    return 2 * float(K[0, 2]) / shape[1], 2 * float(K[1, 2]) / shape[0]


def _is_nearer_usual(size_ratio: float, other: float) -> bool:
    gap, other_gap = (abs(math.log(max(size, 1e-9) / USUAL_SIZE_RATIO)) for size in (size_ratio, other))
    return gap < other_gap


def distortion_px(K: np.ndarray, shape: tuple[int, int], coefficients: Sequence[float]) -> float | None:
    """How far OpenCV's lens model (k1, k2, p1, p2, k3 ...) moves points of an image at most; None: another count.

    Seen along the image's border (`shape`: height, width).
    """
    import cv2

    if len(coefficients) not in (4, 5, 8, 12, 14):
        return None
    height, width = shape
    u, v = np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 9)
    border = [(x, y) for x in u for y in (0, height - 1)] + [(x, y) for x in (0, width - 1) for y in v]
    uv_px = np.array(border, np.float64)
    rays = (uv_px - K[:2, 2]) / (K[0, 0], K[1, 1])
    points = np.concatenate([rays, np.ones((len(rays), 1))], axis=1)
    moved_px, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), K, np.array(coefficients, np.float64))
    return float(np.linalg.norm(moved_px.reshape(-1, 2) - uv_px, axis=1).max())


def require_undistorted(
    K: np.ndarray, shape: tuple[int, int], coefficients: Sequence[float], name: str = "K"
) -> None:
    """Refuse a camera that states lens distortion: everything here takes images of a pinhole camera.

    Raises:
        DataError: it moves points by more than a pixel, or in a way that is not known.
    """
    if not any(coefficients):
        return
    shift_px = distortion_px(K, shape, coefficients)
    if shift_px is None or not shift_px <= MAX_DISTORTION_PX:
        how_far = "" if shift_px is None else f", which moves points by up to {shift_px:.0f} pixels"
        raise DataError(
            f"{name}: the camera states lens distortion {list(coefficients)}{how_far}. Undistort colour, depth and "
            "masks (selfpose6d import does), or remove the coefficients where the images are undistorted already."
        )


def require_indices(index: Int[Tensor, " n"], count: int, name: str) -> None:
    """Refuse an index that compiled code would follow out of its array.

    Raises:
        UsageError: an entry is negative or not below `count`.
    """
    if not len(index):
        return
    # one wait for the device, not one for each end
    low, high = torch.stack(index.aminmax()).tolist()
    if low < 0 or high >= count:
        raise UsageError(
            f"{name} must be from 0 to {count - 1}, got {low} to {high}. "
            "Pass positions in what was given along with it."
        )


def require_equal_lengths(**entries: Sized) -> None:
    """Refuse batches of different length, which compiled code would read past their end.

    Raises:
        UsageError: the lengths differ.
    """
    lengths = {name: len(entry) for name, entry in entries.items()}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise UsageError(
            f"{', '.join(lengths)} must have the same length, got {got}. Expand the shorter ones."
        )


def size_text(shape: tuple[int, ...]) -> str:
    """Of an image, as width x height, for messages."""
    return f"{shape[1]}x{shape[0]} pixels"


def require_existing(path: Path, what: str, remedy: str) -> Path:
    """Return `path`, or say that it is missing.

    Raises:
        UsageError: there is nothing at `path`.
    """
    if not path.exists():
        raise UsageError(f"{what} not found: {path} does not exist. {remedy}")
    return path


def without_unknown_depth(
    depth: Shaped[np.ndarray, "height width"], metres_per_unit: float = 1.0
) -> Float[np.ndarray, "height width"]:
    """Depth in metres, float32, 0 where it is unknown: what is not finite or not positive, 16 bits' largest number in
    whatever unit, from 65 km on in either unit (renderers' 1e10), and a far plane (`far_plane_m`).
    """
    with np.errstate(over="ignore", invalid="ignore"):
        depth_m = depth.astype(np.float32) * np.float32(metres_per_unit)
    is_plain = (
        depth.dtype.kind == "u" and depth.max(initial=0) < SENTINEL
    )  # most frames, in a third of the time
    if not is_plain:
        unknown = depth.astype(np.float32) == SENTINEL
        if depth.dtype.kind in "iu":
            unknown |= depth == np.iinfo(depth.dtype).max
        depth_m = np.where((depth_m > 0) & (depth_m < SENTINEL) & ~unknown, depth_m, np.float32(0))
    if (plane_m := far_plane_m(depth_m)) is not None:
        depth_m = np.where(depth_m < plane_m, depth_m, np.float32(0))
    return depth_m


def far_plane_m(depth_m: Shaped[np.ndarray, "height width"]) -> float | None:
    """The one depth that a large part of the pixels have, farther than all others, with hardly any just before it.

    That is where a sensor's or renderer's range ends, not a surface. None where there is no such depth.
    """
    farthest_m = float(depth_m.max(initial=0))
    if farthest_m < MIN_FAR_PLANE_M:
        return None
    at_end = np.count_nonzero(depth_m == np.float32(farthest_m))
    if at_end < MIN_FAR_PLANE_FRACTION * depth_m.size:
        return None
    before = np.count_nonzero(depth_m >= (1 - FAR_PLANE_GAP) * farthest_m) - at_end
    known = np.count_nonzero(depth_m)
    is_plane = before < MAX_BEFORE_FAR_PLANE * at_end and known - at_end > MIN_BEFORE_FAR_PLANE * known
    return farthest_m if is_plane else None


def require_outline(mask: Bool[np.ndarray, "height width"], name: str) -> None:
    """Refuse a mask that outlines no object: one of the whole image, or one that holds what is around an object.

    Raises:
        DataError: says which.
    """
    fraction = float(mask.mean())
    if fraction == 1:
        raise DataError(
            f"{name}: the mask covers the whole image. Correct it; 0 or black is what is not the object."
        )
    if fraction < MIN_INVERTED_FRACTION:
        return
    border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    if border.mean() > MIN_INVERTED_BORDER:
        raise DataError(
            f"{name}: the mask looks inverted: it holds {fraction:.0%} of the image and {border.mean():.0%} of its "
            "border. Export it with 0 or black where the object is not."
        )
