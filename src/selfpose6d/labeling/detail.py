"""Surface detail: colour without its slow changes, which survives lighting.

One function, two back ends as in `rasterize`.
"""

from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.labeling.detail_numba import high_pass_numba

BLUR_SHARE = 8
"""The neighbourhood is the image's side divided by this."""


def high_pass(
    lab: Float[Tensor, "n h w 3"], mask: Bool[Tensor, "n h w"], backend: Backend = "auto"
) -> Float[Tensor, "n 3 h w"]:
    """LAB minus its mean over the neighbourhood within the mask, 0 outside. Square images of even size."""
    side_px = max(1, lab.shape[1] // BLUR_SHARE // 2) | 1
    if runs_numba(backend, lab.device):
        return high_pass_numba(lab, mask, side_px)
    return high_pass_torch(lab, mask, side_px)


def high_pass_torch(
    lab: Float[Tensor, "n h h 3"], mask: Bool[Tensor, "n h h"], side_px: int
) -> Float[Tensor, "n 3 h h"]:
    """Reference for any device. `side_px` is the box filter's side on the half-size image, odd."""
    weight = mask.to(lab)[:, None]
    image = torch.cat([lab.permute(0, 3, 1, 2) * weight, weight], 1)
    across = _blur_matrix(lab.shape[1], side_px, lab.device)
    blurred = F.interpolate(across @ image @ across.T, scale_factor=2, mode="nearest")
    return (image[:, :3] - blurred[:, :3] / blurred[:, 3:].clamp_min(1e-3)) * weight


@cache
def _blur_matrix(size: int, side: int, device: torch.device) -> Float[Tensor, "half {size}"]:
    """One axis of the blur, as a matrix: mean of pairs, then twice the mean over `side` neighbours (0 beyond), which
    is a cheap wide bell.
    """
    half = F.avg_pool1d(torch.eye(size, device=device), 2)
    for _ in range(2):
        half = F.avg_pool1d(half, side, 1, side // 2)
    return half.T


def erode(mask: Bool[Tensor, "n h w"], radius_px: int) -> Bool[Tensor, "n h w"]:
    """Binary erosion with a square of side `2 * radius_px + 1`; beyond the image counts as outside."""
    outside = F.pad((~mask).to(torch.float32)[:, None], [radius_px] * 4, value=1.0)
    for dimension in ((2 * radius_px + 1, 1), (1, 2 * radius_px + 1)):
        outside = F.max_pool2d(outside, dimension, 1)
    return outside[:, 0] == 0
