"""How well a rendered hypothesis explains what the camera saw: coverage, depth, free space and colour.

Everything is measured on the instance's crop; higher is better for `total`, 1 is the most a term can give.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.labeling.detail import erode, high_pass
from selfpose6d.labeling.observation import Crop
from selfpose6d.labeling.score_numba import covered_detail_numba, shape_counts_numba

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

    RGB may be registered to depth with an error of up to `max_shift_px` crop pixels either way: the colour term takes
    the best of `shifts` = (2 * max_shift_px + 1) squared. `padded_detail` is the high-pass LAB with as many pixels of
    zeros around it; `inner` the mask without its rim, `inner_px` the flat indices of its pixels, `moved` their
    high-pass LAB and its square at each shift.
    """

    crop: Crop
    max_shift_px: int
    padded_detail: Float[Tensor, "3 padded padded"]
    inner: Bool[Tensor, "size size"]
    inner_px: Int[Tensor, "pixels"]
    moved: Float[Tensor, "4 shifts pixels"]


def observe(crop: Crop, max_shift_px: int) -> ObservedCrop:
    """Prepare a crop for scoring with shifts of up to `max_shift_px` crop pixels."""
    size, shifts = crop.mask.shape[0], 2 * max_shift_px + 1
    inner = erode(crop.mask[None], max(1, size // 64))[0]
    detail = F.pad(high_pass(rgb_to_lab(crop.rgb)[None], crop.mask[None])[0], [max_shift_px] * 4)
    row, column = inner.nonzero().unbind(1)
    corner = torch.arange(shifts)[:, None] * detail.shape[2] + torch.arange(shifts)
    where = corner.reshape(-1, 1) + (row * detail.shape[2] + column)
    moved = detail.flatten(1).index_select(1, where.flatten()).reshape(3, *where.shape)
    moved = torch.cat([moved, moved.square().sum(0, keepdim=True)])
    return ObservedCrop(crop, max_shift_px, detail, inner, row * size + column, moved)


def score(
    observed: ObservedCrop, view: View, weights: ScoreWeights, has_colour: bool, backend: Backend = "auto"
) -> Scores:
    """Score every rendered hypothesis against the crop."""
    compiled, crop = runs_numba(backend, view.depth_m.device), observed.crop
    count = shape_counts_numba if compiled else _shape_counts
    seen, measured, gap_m, hiding = count(crop, view.covered, view.depth_m, DEPTH_CAP_M, FREE_SPACE_M)
    area = crop.mask.sum().clamp_min(1)
    coverage, free_space = seen / area, hiding / area
    depth = gap_m / (DEPTH_CAP_M * measured.clamp_min(1))
    if has_colour:
        colour, shift = colour_correlation(observed, view, compiled)
    else:
        colour, shift = torch.zeros_like(coverage), torch.zeros(len(coverage), dtype=torch.long)
    total = coverage - weights.depth * depth - weights.free_space * free_space + weights.colour * colour
    return Scores(total, coverage, depth, free_space, colour, shift)


def colour_correlation(
    observed: ObservedCrop, view: View, compiled: bool
) -> tuple[Float[Tensor, "poses"], Int[Tensor, "poses"]]:
    """NCC of high-pass LAB, the best over the allowed shifts, and which shift that is.

    The noise floor keeps plain surfaces near 0 instead of correlating their noise.
    """
    covered_detail = covered_detail_numba if compiled else _covered_detail
    region, detail = covered_detail(view.covered, view.detail, observed.inner_px)
    count = region.sum(-1).clamp_min(1)
    centred = detail - (detail.sum(-1) / count)[..., None] * region
    product = torch.bmm(centred, observed.moved[:3].mT).sum(0)
    *mean, square = (region @ observed.moved.flatten(0, 1).T).unflatten(1, (4, -1)).unbind(1)
    floor = 3 * count * NOISE_LAB**2
    rendered = centred.square().sum((0, 2)) + floor
    mean_square = sum(m.square() for m in mean) / count[:, None]
    energy = (square - mean_square).clamp_min(0) + floor[:, None]
    ncc = product / (rendered[:, None] * energy).sqrt()
    best, which = ncc.max(-1)
    return best, which


def _shape_counts(
    crop: Crop,
    covered: Bool[Tensor, "poses size size"],
    depth_m: Float[Tensor, "poses size size"],
    cap_m: float,
    free_space_m: float,
) -> Float[Tensor, "4 poses"]:
    """Per pose: covered mask pixels, those with measured depth, the sum of their capped depth errors (metres), and
    covered pixels that hide measured background.
    """
    known = crop.depth_m > 0
    gap_m = crop.depth_m - depth_m
    seen = covered & crop.mask
    measured = seen & known
    error_m = gap_m.abs().clamp_max(cap_m) * measured
    hiding = covered & (~crop.mask & known & crop.in_image) & (gap_m > free_space_m)
    return torch.stack([value.sum((1, 2)).to(depth_m) for value in (seen, measured, error_m, hiding)])


def _covered_detail(
    covered: Bool[Tensor, "poses size size"],
    detail: Float[Tensor, "poses 3 size size"],
    pixels: Int[Tensor, "pixels"],
) -> tuple[Float[Tensor, "poses pixels"], Float[Tensor, "3 poses pixels"]]:
    """Whether each of the pixels is covered with all its neighbours, and the detail there (0 where not)."""
    region = erode(covered, 1).flatten(1)[:, pixels].to(detail)
    return region, detail.flatten(2)[:, :, pixels].transpose(0, 1) * region
