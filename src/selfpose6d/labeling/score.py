"""How well a rendered hypothesis explains what the camera saw: coverage, depth, free space and colour.

Everything is measured on the instance's crop; higher is better for `total`, 1 is the most a term can give.
"""

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.labeling.observation import Crop

DEPTH_CAP_M = 0.02
FREE_SPACE_M = 0.015
NOISE_LAB = 4.0


@dataclass(frozen=True)
class ScoreWeights:
    """Weights of the score's terms; coverage weighs 1."""

    colour: float = 0.5
    free_space: float = 2.0
    depth: float = 1.0


@dataclass(frozen=True)
class View:
    """Rendered hypotheses: visible faces (-1: none), camera z, and the high-pass LAB colours (0 off the object)."""

    face_id: Int[Tensor, "poses size size"]
    covered: Bool[Tensor, "poses size size"]
    depth_m: Float[Tensor, "poses size size"]
    detail: Float[Tensor, "poses 3 size size"]

    def take(self, which: Tensor) -> "View":
        """Some of the hypotheses, by index or mask."""
        return View(*(value[which] for value in vars(self).values()))


@dataclass(frozen=True)
class Scores:
    """Terms per hypothesis, 0-1 (colour -1..1; 0 where the mesh has no colour)."""

    total: Float[Tensor, "poses"]
    coverage: Float[Tensor, "poses"]
    depth: Float[Tensor, "poses"]
    free_space: Float[Tensor, "poses"]
    colour: Float[Tensor, "poses"]
    shift: Int[Tensor, "poses"]


@dataclass(frozen=True)
class ObservedCrop:
    """A crop with what scoring needs of it, computed once per instance and size.

    `moved` is the high-pass LAB shifted by each of `shifts_px` (rows, columns), the registration errors between RGB
    and depth that the colour term allows for; `inner` the mask without its rim.
    """

    crop: Crop
    inner: Bool[Tensor, "size size"]
    shifts_px: Float[Tensor, "shifts 2"]
    moved: Float[Tensor, "shifts 3 size size"]
    moved_square: Float[Tensor, "shifts size size"]


def observe(crop: Crop, max_shift_px: int) -> ObservedCrop:
    """Prepare a crop for scoring with shifts of up to `max_shift_px` crop pixels."""
    inner = erode(crop.mask[None], max(1, crop.mask.shape[0] // 64))[0]
    detail = high_pass(rgb_to_lab(crop.rgb)[None], crop.mask[None])[0]
    window = range(-max_shift_px, max_shift_px + 1)
    shifts = [(i, j) for i in window for j in window]
    moved = torch.stack([torch.roll(detail, (-i, -j), (1, 2)) for i, j in shifts])
    return ObservedCrop(crop, inner, torch.tensor(shifts, dtype=torch.float32), moved, moved.square().sum(1))


def erode(mask: Bool[Tensor, "n h w"], radius_px: int) -> Bool[Tensor, "n h w"]:
    """Binary erosion with a square of side `2 * radius_px + 1`; beyond the image counts as outside."""
    outside = F.pad((~mask).to(torch.float32)[:, None], [radius_px] * 4, value=1.0)
    for dimension in ((2 * radius_px + 1, 1), (1, 2 * radius_px + 1)):
        outside = F.max_pool2d(outside, dimension, 1)
    return outside[:, 0] == 0


def high_pass(lab: Float[Tensor, "n h w 3"], mask: Bool[Tensor, "n h w"]) -> Float[Tensor, "n 3 h w"]:
    """LAB minus its mean over the neighbourhood within the mask, 0 outside: detail that survives lighting."""
    weight = mask.to(lab)[:, None]
    image = torch.cat([lab.permute(0, 3, 1, 2) * weight, weight], 1)
    blurred = _blur(image, lab.shape[1] // 8)
    return (image[:, :3] - blurred[:, :3] / blurred[:, 3:].clamp_min(1e-3)) * weight


def _blur(images: Float[Tensor, "n c h h"], side_px: int) -> Float[Tensor, "n c h h"]:
    """Two box filters one after the other on a half-size image, a cheap wide bell."""
    across = _blur_matrix(images.shape[-1], max(1, side_px // 2) | 1, images.device)
    return F.interpolate(across @ images @ across.T, scale_factor=2, mode="nearest")


@cache
def _blur_matrix(size: int, side: int, device: torch.device) -> Float[Tensor, "half {size}"]:
    """One axis of the blur, as a matrix: mean of pairs, then twice the mean over `side` neighbours (0 beyond)."""
    half = F.avg_pool1d(torch.eye(size, device=device), 2)
    for _ in range(2):
        half = F.avg_pool1d(half, side, 1, side // 2)
    return half.T


def colour_correlation(
    observed: ObservedCrop, view: View
) -> tuple[Float[Tensor, "poses"], Int[Tensor, "poses"]]:
    """NCC of high-pass LAB, the best over the allowed shifts, and which shift that is.

    The noise floor keeps plain surfaces near 0 instead of correlating their noise.
    """
    region = (observed.inner & erode(view.covered, 1)).to(view.detail)[:, None]
    count = region.sum((-1, -2, -3)).clamp_min(1)
    inside = view.detail * region
    centred = inside - inside.sum((-1, -2), keepdim=True) / count[:, None, None, None] * region
    floor = 3 * count * NOISE_LAB**2
    product = centred.flatten(1) @ observed.moved.flatten(1).T
    pixels = region.flatten(1)
    square = pixels @ observed.moved_square.flatten(1).T
    mean = torch.stack([pixels @ observed.moved[:, c].flatten(1).T for c in range(3)]).square().sum(0)
    rendered = centred.square().sum((-1, -2, -3)) + floor
    energy = (square - mean / count[:, None]).clamp_min(0) + floor[:, None]
    ncc = product / (rendered[:, None] * energy).sqrt()
    best, which = ncc.max(-1)
    return best, which


def score(observed: ObservedCrop, view: View, weights: ScoreWeights, has_colour: bool) -> Scores:
    """Score every rendered hypothesis against the crop."""
    crop = observed.crop
    area = crop.mask.sum().clamp_min(1)
    known = crop.depth_m > 0
    gap_m = crop.depth_m - view.depth_m
    coverage = (view.covered & crop.mask).sum((1, 2)) / area
    measured = view.covered & (crop.mask & known)
    error = (gap_m.abs().clamp_max(DEPTH_CAP_M) * measured).sum((1, 2))
    depth = error / (DEPTH_CAP_M * measured.sum((1, 2)).clamp_min(1))
    outside = view.covered & (~crop.mask & known & crop.in_image)
    free_space = (outside & (gap_m > FREE_SPACE_M)).sum((1, 2)) / area
    if has_colour:
        colour, shift = colour_correlation(observed, view)
    else:
        colour, shift = torch.zeros_like(coverage), torch.zeros(len(coverage), dtype=torch.long)
    total = coverage - weights.depth * depth - weights.free_space * free_space + weights.colour * colour
    return Scores(total, coverage, depth, free_space, colour, shift)
