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
from selfpose6d.labeling.contrast_kernels import correlate_blocks, window_sums
from selfpose6d.labeling.detail import erode
from selfpose6d.labeling.score import NOISE_LAB

BLOCK_RATIO = 8
"""A block is the crop's side divided by this: on a crop of 128 px 16 px, a letter or two of a label. Neighbours overlap
by half."""
REACH_RATIO = 43
"""Shifts in a block, as a part of the crop's side: 3 px of 128, what registration and refinement leave."""
MIN_FILLED = 0.25
"""Blocks that show less of the object say nothing."""
MIN_BLOCKS, MAX_SIGMA = 4, 10.0
"""Fewer blocks have no standard error worth the name; beyond ten of them nothing is gained."""
CAP_SIGMA = 3.0
"""Residuals beyond this many deviations are another surface's."""


@dataclass(frozen=True)
class Advantages:
    """By how much the first candidate is better than each of the others, about -1 to 1; 0 where nothing is compared."""

    colour: Float[Tensor, " others"]
    """Of the correlation in the blocks whose renderings differ."""
    shape: Float[Tensor, " others"]
    """Of the mean squared depth residual (capped), per pixel of the mask."""
    significance: Float[Tensor, " others"]
    """Mean of the blocks' advantages in units of its own standard error (colour and shape together): small differences
    count where they are the same all over the object, as they are when mesh and sensor are exact."""


def compare_first(rendered: RenderedCandidates, shift: Int[Tensor, " poses"]) -> Advantages:
    """The first of the candidates against each of the others. `shift`: of RGB to depth, the score's, per candidate."""
    misfit = _misfit(rendered)
    better = misfit[1:] - misfit[0]
    shape = better.sum((1, 2)) / rendered.crop.area_px
    block = rendered.crop.shape[0] // BLOCK_RATIO
    significance = _significance(F.avg_pool2d(better[:, None], block).flatten(1))
    if rendered.detail is None:
        return Advantages(torch.zeros_like(shape), shape, significance)
    colour, blocks = _colour_advantages(rendered, shift)
    # blocks overlap by half in both directions: a quarter of them is independent
    together = (significance + 0.5 * _significance(blocks.to(shape))) / 2**0.5
    return Advantages(colour.to(shape), shape, together)


def _significance(blocks: Float[Tensor, "others blocks"]) -> Float[Tensor, " others"]:
    """Mean over its standard error, of the blocks where there is any difference; 0 where there are hardly any."""
    used = blocks != 0
    count = used.sum(1).clamp_min(1)
    mean = blocks.sum(1) / count
    variance = ((blocks - mean[:, None]).square() * used).sum(1) / (count - 1).clamp_min(1)
    value = mean / (variance / count).sqrt().clamp_min(1e-9)
    return torch.where(count < MIN_BLOCKS, torch.zeros_like(value), value.clamp(-MAX_SIGMA, MAX_SIGMA))


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


def _colour_advantages(
    rendered: RenderedCandidates, shift: Int[Tensor, " poses"]
) -> tuple[Float[Tensor, " others"], Float[Tensor, "others blocks"]]:
    """The weighted mean over the blocks, and every block's weighted advantage."""
    assert rendered.detail is not None
    crop, size = rendered.crop, rendered.crop.shape[0]
    block, reach = size // BLOCK_RATIO, max(1, size // REACH_RATIO)
    shown = crop.inner & erode(rendered.covered, 1)
    detail = rendered.detail.cpu().numpy()
    observed = F.pad(crop.padded_detail, [reach] * 4).cpu().numpy()
    of_others = F.pad(rendered.detail, [reach] * 4).cpu().numpy()
    shifts = 2 * crop.max_shift_px + 1
    corners = [divmod(int(k), shifts) for k in shift]
    found, blocks, sums = [], [], window_sums(observed, block)
    for other in range(1, len(detail)):
        both = (shown[0] & shown[other]).cpu().numpy()
        sums_other = window_sums(of_others[other], block)
        first, energy, count = _correlate(detail[0], both, observed, sums, corners[0], reach, block)
        second, energy_other, _ = _correlate(
            detail[other], both, observed, sums, corners[other], reach, block
        )
        alike, _, _ = _correlate(detail[0], both, of_others[other], sums_other, (0, 0), reach, block)
        contrast = np.maximum(energy, energy_other) / np.maximum(count, 1)
        weight = (1 - alike).clip(0) * contrast / (contrast + 3 * NOISE_LAB**2)
        weight *= count > MIN_FILLED * block**2
        blocks.append(weight * (first - second))
        found.append(float(blocks[-1].sum() / max(weight.sum(), 1.0)))
    return torch.tensor(found), torch.from_numpy(np.stack(blocks)).flatten(1)


def _correlate(
    image: np.ndarray,
    region: np.ndarray,
    other: np.ndarray,
    sums: np.ndarray,
    corner: tuple[int, int],
    reach: int,
    block: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best correlation, energy and pixels of every block; of those that say nothing, the pixels."""
    stride = block // 2
    blocks = (image.shape[1] - block) // stride + 1
    correlation, energy, count = np.zeros((3, blocks, blocks), np.float32)
    floor, least = np.float32(3 * NOISE_LAB**2), np.float32(MIN_FILLED * block**2)
    correlate_blocks(
        image, region, other, sums, *corner, reach, block, stride, floor, least, correlation, energy, count
    )
    return correlation, energy, count
