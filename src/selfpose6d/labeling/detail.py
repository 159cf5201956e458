"""Surface detail: colour without its slow changes, which survives lighting."""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.errors import UsageError
from selfpose6d.labeling.detail_numba import high_pass_images

BLUR_RATIO = 8
"""The neighbourhood is the image's side divided by this."""


def high_pass(
    lab: Float[Tensor, "n h w 3"], mask: Bool[Tensor, "n h w"], backend: Backend = "auto"
) -> Float[Tensor, "n 3 h w"]:
    """LAB minus its mean over the neighbourhood within the mask, 0 outside.

    Raises:
        UsageError: the images are not square and of even size.
    """
    if lab.shape[1] != lab.shape[2] or lab.shape[1] % 2:
        raise UsageError(f"images must be square and of even size, got {tuple(lab.shape[1:3])}. Pad them.")
    side_px = max(1, lab.shape[1] // BLUR_RATIO // 2) | 1
    return (_high_pass_numba if runs_numba(backend, lab.device) else _high_pass_torch)(lab, mask, side_px)


def _high_pass_numba(
    lab: Float[Tensor, "n h h 3"], mask: Bool[Tensor, "n h h"], side_px: int
) -> Float[Tensor, "n 3 h h"]:
    images, height, width, _ = lab.shape
    detail = np.zeros((images, 3, height, width), np.float32)
    high_pass_images(lab.numpy(), mask.numpy(), side_px // 2, detail)
    return torch.from_numpy(detail)


def _high_pass_torch(
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


def image_gradient(
    images: Float[Tensor, "*batch h w"],
) -> tuple[Float[Tensor, "*batch h w"], Float[Tensor, "*batch h w"]]:
    """Central differences along u and v, 0 at the image border."""
    du, dv = torch.zeros_like(images), torch.zeros_like(images)
    du[..., 1:-1] = 0.5 * (images[..., 2:] - images[..., :-2])
    dv[..., 1:-1, :] = 0.5 * (images[..., 2:, :] - images[..., :-2, :])
    return du, dv
