"""A frame at the resolution that the segmentation network looks at, and what it is given of it."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from selfpose6d.types import Frame

MAX_SIDE_PX = 320
"""Of the grid: 640 x 480 becomes 320 x 240, where objects that are worth finding have some hundred pixels."""
CHANNELS = 8
"""Of the network's input: colours (3), slopes (2), relief, scale, and whether depth is known."""
_SLOPE_PX, _SMOOTH_PX = 2, 5
"""Slopes are taken across 2 x 2 pixels of depth that is smoothed over 5 x 5: less is mostly noise."""
_RELIEF_PX, _RELIEF_M = 41, 0.05
"""Depth is compared with the mean of 41 x 41 pixels, in units of 5 cm: what stands out of its surroundings."""
_SCALE_M = 0.002
"""Width of a grid pixel at about a metre; the scale is its logarithm, which says how large things are."""


@dataclass(frozen=True)
class GridImage:
    """Colours and depth of a frame, one grid pixel of `step_px` x `step_px` of the image."""

    step_px: int
    rgb: UInt8[np.ndarray, "rows columns 3"]
    """Mean of the image's pixels."""
    depth_m: Float[np.ndarray, "rows columns"]
    """Of the pixel in the middle; 0 is unknown."""
    focal_px: float
    """In grid pixels."""


def grid_image(frame: Frame) -> GridImage:
    """The frame on the grid."""
    height, width = frame.depth_m.shape
    step = max(1, -(-max(height, width) // MAX_SIDE_PX))
    rows, columns = -(-height // step), -(-width // step)
    rgb = frame.rgb
    if step > 1:
        below, right = rows * step - height, columns * step - width
        whole = cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else rgb
        rgb = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    depth = on_grid(frame.depth_m, step).astype(np.float32)
    return GridImage(step, np.asarray(rgb, np.uint8), depth, float(frame.K[0, 0]) / step)


def on_grid(image: np.ndarray, step_px: int) -> np.ndarray:
    """The pixels of an image that stand for their grid pixels: those in the middle."""
    height, width = image.shape[:2]
    middle = step_px // 2
    rows = np.minimum(np.arange(0, height, step_px) + middle, height - 1)
    columns = np.minimum(np.arange(0, width, step_px) + middle, width - 1)
    return np.ascontiguousarray(image[np.ix_(rows, columns)])


def network_input(
    rgb: Float[Tensor, "batch 3 rows columns"],
    depth_m: Float[Tensor, "batch rows columns"],
    focal_px: Float[Tensor, " batch"],
) -> Float[Tensor, "batch 8 rows columns"]:
    """What the network sees: colours about 0, and the shape and size of the surface, none of which depends on the
    camera or the distance. `rgb` is 0-1; where depth is unknown (0) the other channels are 0.
    """
    z = depth_m[:, None]
    known = (z > 0).to(z)
    smooth, support = _mean_of_known(z, known, _SMOOTH_PX)
    width_m = smooth / focal_px[:, None, None, None]
    slopes = [_slope(smooth, support, width_m, axis) for axis in (-1, -2)]
    around, _ = _mean_of_known(z, known, _RELIEF_PX)
    relief = torch.tanh((around - z) / _RELIEF_M) * known
    scale = torch.log(width_m.clamp_min(1e-5) / _SCALE_M).clamp(-3, 3) * known
    return torch.cat([4 * rgb - 2, *slopes, relief, scale, known], 1)


def to_image(
    score: Float[np.ndarray, "rows columns"],
    least: float,
    spacing_px: int,
    first_px: int,
    shape: tuple[int, int],
) -> Bool[np.ndarray, "height width"]:
    """Where a score is at least `least`, in the whole image: interpolated linearly between the pixels that it is of,
    every `spacing_px`-th from `first_px` on.
    """
    height, width = shape
    to_score = np.array([[1, 0, -first_px], [0, 1, -first_px]]) / spacing_px
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(
        score.astype(np.float32), to_score, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(large >= least)


def _mean_of_known(z: Tensor, known: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Mean of the known depths about each pixel (0 where there is none), and whether there is one."""
    total = _box(torch.cat([z * known, known], 1), size_px)
    total, count = total[:, :1], total[:, 1:]
    return total / count.clamp_min(1e-6), (count > 1e-6).to(z)


def _box(values: Tensor, size_px: int) -> Tensor:
    """Mean over squares, zeros beyond the border; a difference of running sums, the same for any size."""
    half = size_px // 2
    for dim in (-1, -2):
        pad = (half + 1, half, 0, 0) if dim == -1 else (0, 0, half + 1, half)
        sums = functional.pad(values, pad).double().cumsum(dim)
        length = values.shape[dim]
        values = (sums.narrow(dim, size_px, length) - sums.narrow(dim, 0, length)).to(values) / size_px
    return values


def _slope(z: Tensor, known: Tensor, width_m: Tensor, dim: int) -> Tensor:
    """Depth a unit of width, -1 to 1 by tanh; 0 where a neighbour is unknown."""
    pad = (_SLOPE_PX, _SLOPE_PX, 0, 0) if dim == -1 else (0, 0, _SLOPE_PX, _SLOPE_PX)
    length = z.shape[dim]
    around, both = functional.pad(z, pad), functional.pad(known, pad)
    step = around.narrow(dim, 2 * _SLOPE_PX, length) - around.narrow(dim, 0, length)
    seen = both.narrow(dim, 2 * _SLOPE_PX, length) * both.narrow(dim, 0, length)
    return torch.tanh(step / (2 * _SLOPE_PX * width_m).clamp_min(1e-6)) * seen * known
