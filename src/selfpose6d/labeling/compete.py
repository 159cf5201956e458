"""Two poses that explain the image about as well, compared where they differ.

Over a whole object most pixels agree with both, and their noise drowns what tells a can's front from its back. Here
only the blocks count in which the two *renderings* differ; in each the colours may shift by some pixels, so that it is
content that is compared and not registration.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.labeling.candidates import RenderedCandidates
from selfpose6d.labeling.contrast_kernels import correlate_blocks
from selfpose6d.labeling.detail import erode
from selfpose6d.labeling.score import NOISE_LAB

BLOCK_RATIO = 8
"""A block is the crop's side divided by this: on a crop of 128 px 16 px, a letter or two of a label. Neighbours overlap
by half."""
REACH_RATIO = 43
"""Shifts in a block, as a part of the crop's side: 3 px of 128, what registration and refinement leave."""
MIN_FILLED = 0.25
"""Blocks that show less of the object say nothing."""
CAP_SIGMA = 3.0
"""Residuals beyond this many deviations are another surface's."""


@dataclass(frozen=True)
class Advantages:
    """By how much the first candidate is better than each of the others, about -1 to 1; 0 where nothing is compared."""

    colour: Float[Tensor, "others"]
    """Of the correlation in the blocks whose renderings differ."""
    shape: Float[Tensor, "others"]
    """Of the mean squared depth residual (capped), per pixel of the mask."""


def compare_first(rendered: RenderedCandidates, shift: Int[Tensor, "poses"]) -> Advantages:
    """The first of the candidates against each of the others. `shift`: of RGB to depth, the score's, per candidate."""
    misfit = _misfit(rendered)
    shape = (misfit[1:] - misfit[0]).sum((1, 2)) / rendered.crop.area_px
    if rendered.detail is None:
        return Advantages(torch.zeros_like(shape), shape)
    return Advantages(_colour_advantages(rendered, shift).to(shape), shape)


def _misfit(rendered: RenderedCandidates) -> Float[Tensor, "poses size size"]:
    """How badly each pixel fits, 0-1: capped squared depth residual where there is one; 1 where the mask shows the
    object and the rendering does not, and where the rendering hides measured background. Unknown depth fits.
    """
    crop, covered = rendered.crop, rendered.covered
    lengths = crop.lengths
    known = crop.depth_m > 0
    gap_m = crop.depth_m - rendered.depth_m
    residual = (gap_m / (CAP_SIGMA * lengths.geometry_scale_m)).square().clamp_max(1.0)
    hiding = ~crop.mask & crop.in_image & (gap_m > lengths.free_space_m)
    inside = torch.where(covered, residual * known, torch.ones_like(residual))
    return torch.where(crop.mask, inside, (covered & known & hiding).to(residual))


def _colour_advantages(rendered: RenderedCandidates, shift: Int[Tensor, "poses"]) -> Float[Tensor, "others"]:
    assert rendered.detail is not None
    crop, size = rendered.crop, rendered.crop.shape[0]
    block, reach = size // BLOCK_RATIO, max(1, size // REACH_RATIO)
    shown = crop.inner & erode(rendered.covered, 1)
    detail = rendered.detail.cpu().numpy()
    observed = F.pad(crop.padded_detail, [reach] * 4).cpu().numpy()
    of_others = F.pad(rendered.detail, [reach] * 4).cpu().numpy()
    shifts = 2 * crop.max_shift_px + 1
    corners = [divmod(int(k), shifts) for k in shift]
    found = []
    for other in range(1, len(detail)):
        both = (shown[0] & shown[other]).cpu().numpy()
        first, energy, count = _correlate(detail[0], both, observed, corners[0], reach, block)
        second, energy_other, _ = _correlate(detail[other], both, observed, corners[other], reach, block)
        alike, _, _ = _correlate(detail[0], both, of_others[other], (0, 0), reach, block)
        contrast = np.maximum(energy, energy_other) / np.maximum(count, 1)
        weight = (1 - alike).clip(0) * contrast / (contrast + 3 * NOISE_LAB**2)
        weight *= count > MIN_FILLED * block**2
        found.append(float((weight * (first - second)).sum() / max(weight.sum(), 1.0)))
    return torch.tensor(found)


def _correlate(
    image: np.ndarray, region: np.ndarray, other: np.ndarray, corner: tuple[int, int], reach: int, block: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best correlation, energy and pixels of every block."""
    stride = block // 2
    blocks = (image.shape[1] - block) // stride + 1
    correlation, energy, count = np.zeros((3, blocks, blocks), np.float32)
    floor = np.float32(3 * NOISE_LAB**2)
    correlate_blocks(image, region, other, *corner, reach, block, stride, floor, correlation, energy, count)
    return correlation, energy, count
