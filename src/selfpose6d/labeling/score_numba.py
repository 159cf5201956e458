"""CPU back end of `score`: one pass over the pixels of each hypothesis, hypotheses in parallel."""

import numba
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.labeling.observation import Crop


def shape_counts_numba(
    crop: Crop,
    covered: Bool[Tensor, "poses size size"],
    depth_m: Float[Tensor, "poses size size"],
    cap_m: float,
    free_space_m: float,
) -> Float[Tensor, "4 poses"]:
    """See `score._shape_counts`."""
    counts = np.zeros((4, len(covered)), np.float32)
    _count_shapes(
        crop.mask.numpy(),
        crop.depth_m.numpy(),
        crop.in_image.numpy(),
        covered.numpy(),
        depth_m.numpy(),
        cap_m,
        free_space_m,
        counts,
    )
    return torch.from_numpy(counts)


def covered_detail_numba(
    covered: Bool[Tensor, "poses size size"],
    detail: Float[Tensor, "poses 3 size size"],
    pixels: Int[Tensor, "pixels"],
) -> tuple[Float[Tensor, "poses pixels"], Float[Tensor, "3 poses pixels"]]:
    """See `score._covered_detail`."""
    region = np.zeros((len(covered), len(pixels)), np.float32)
    picked = np.zeros((3, *region.shape), np.float32)
    _pick_covered(covered.numpy(), detail.numpy(), pixels.numpy(), region, picked)
    return torch.from_numpy(region), torch.from_numpy(picked)


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _count_shapes(
    mask, crop_depth_m, in_image, covered, depth_m, cap_m, free_space_m, counts
):  # pragma: no cover - compiled
    for pose in numba.prange(len(covered)):
        seen, measured, error_m, hiding = 0, 0, 0.0, 0
        for row in range(mask.shape[0]):
            for column in range(mask.shape[1]):
                if not covered[pose, row, column]:
                    continue
                known = crop_depth_m[row, column] > 0
                gap_m = crop_depth_m[row, column] - depth_m[pose, row, column]
                if mask[row, column]:
                    seen += 1
                    if known:
                        measured += 1
                        error_m += min(abs(gap_m), cap_m)
                elif known and in_image[row, column] and gap_m > free_space_m:
                    hiding += 1
        counts[0, pose], counts[1, pose], counts[2, pose], counts[3, pose] = seen, measured, error_m, hiding


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _pick_covered(covered, detail, pixels, region, picked):  # pragma: no cover - compiled
    width = covered.shape[2]
    for pose in numba.prange(len(covered)):
        for i, pixel in enumerate(pixels):
            row, column = pixel // width, pixel % width
            if covers(covered[pose], row, column, 1):
                region[pose, i] = 1.0
                for k in range(3):
                    picked[k, pose, i] = detail[pose, k, row, column]


@numba.njit(cache=True, error_model="numpy")
def covers(covered, row, column, radius):  # pragma: no cover - compiled
    """Whether the square of side `2 * radius + 1` about the pixel lies in the image and is covered throughout."""
    height, width = covered.shape
    if row < radius or column < radius or row >= height - radius or column >= width - radius:
        return False
    for i in range(row - radius, row + radius + 1):
        for j in range(column - radius, column + radius + 1):
            if not covered[i, j]:
                return False
    return True
