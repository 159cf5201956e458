"""How well a rendered candidate explains what the camera saw: coverage, depth, free space and colour.

Everything is measured on the instance's crop; higher is better for `total`, 1 is the most a term can give.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.labeling.candidates import Candidates, RenderedCandidates, shade_candidates
from selfpose6d.labeling.detail import erode
from selfpose6d.labeling.score_numba import count_shapes, pick_covered
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.types import Rasterization

NOISE_LAB = 4.0
"""Detail weaker than this is camera noise; as a floor of the correlation it keeps plain surfaces near 0."""
MAX_COARSE_COLOUR = 0.5
"""No better colour correlation is expected of a wrong pose on the coarse crop."""


@dataclass(frozen=True)
class ScoreWeights:
    """Weights of the score's terms; coverage weighs 1."""

    colour: float = 0.5
    free_space: float = 2.0
    depth: float = 1.0


@dataclass(frozen=True)
class Scores:
    """Terms per candidate, 0-1 (colour -1..1; 0 where the mesh has no colour)."""

    total: Float[Tensor, " poses"]
    coverage: Float[Tensor, " poses"]
    depth: Float[Tensor, " poses"]
    free_space: Float[Tensor, " poses"]
    colour: Float[Tensor, " poses"]
    shift: Int[Tensor, " poses"]


@dataclass(frozen=True)
class ScoredPoses:
    """Poses with their scores."""

    T_cam_obj: Float[Tensor, "poses 4 4"]
    scores: Scores

    def __len__(self) -> int:
        return len(self.T_cam_obj)

    @property
    def total(self) -> Float[Tensor, " poses"]:
        """The total score."""
        return self.scores.total

    def ordered(self) -> "ScoredPoses":
        """The same, best total score first."""
        return self.take(self.total.argsort(descending=True, stable=True))

    def join(self, other: "ScoredPoses") -> "ScoredPoses":
        """These poses and others."""
        pairs = zip(vars(self.scores).values(), vars(other.scores).values(), strict=True)
        return ScoredPoses(torch.cat([self.T_cam_obj, other.T_cam_obj]), Scores(*map(torch.cat, pairs)))

    def take(self, which: Tensor) -> "ScoredPoses":
        """Some of the poses, by index or mask."""
        return ScoredPoses(
            self.T_cam_obj[which], Scores(*(term[which] for term in vars(self.scores).values()))
        )

    def better_of(self, other: "ScoredPoses") -> "ScoredPoses":
        """Per pose the better-scored of two."""
        better = other.total > self.total
        pick = lambda a, b: torch.where(better.reshape(-1, *[1] * (a.ndim - 1)), b, a)  # noqa: E731
        pairs = zip(vars(self.scores).values(), vars(other.scores).values(), strict=True)
        return ScoredPoses(pick(self.T_cam_obj, other.T_cam_obj), Scores(*(pick(a, b) for a, b in pairs)))


def score(rendered: RenderedCandidates, weights: ScoreWeights, backend: Backend = "auto") -> Scores:
    """Score every rendered candidate against its crop."""
    compiled = runs_numba(backend, rendered.depth_m.device)
    seen, measured, gap_m, hiding = (_count_numba if compiled else _count_torch)(rendered)
    coverage, free_space = seen / rendered.crop.area_px, hiding / rendered.crop.area_px
    depth = gap_m / (rendered.crop.lengths.depth_cap_m * measured.clamp_min(1))
    if rendered.detail is not None:
        colour, shift = colour_correlation(rendered, compiled)
    else:
        colour, shift = torch.zeros_like(coverage), torch.zeros_like(coverage, dtype=torch.long)
    total = coverage - weights.depth * depth - weights.free_space * free_space + weights.colour * colour
    return Scores(total, coverage, depth, free_space, colour, shift)


def coarse_score(candidates: Candidates, weights: ScoreWeights, max_gap: float) -> Float[Tensor, " poses"]:
    """Total scores, with colour where the rest leaves a chance to come within `max_gap` of the best.

    The others keep their score without it.
    """
    raster = rasterize(candidates.posed)
    total = score(shade_candidates(candidates, raster, with_colour=False), weights).total
    chance = total > total.max() - max_gap - MAX_COARSE_COLOUR * weights.colour
    if candidates.model.has_colour:
        raster = Rasterization(*(value[chance] for value in vars(raster).values()))
        total[chance] = score(shade_candidates(candidates.take(chance), raster), weights).total
    return total


def colour_correlation(
    rendered: RenderedCandidates, compiled: bool
) -> tuple[Float[Tensor, " poses"], Int[Tensor, " poses"]]:
    """NCC of high-pass LAB, the best over the allowed shifts, and which shift that is.

    The noise floor keeps plain surfaces near 0 instead of correlating their noise.
    """
    shifted = rendered.crop.shifted
    region, detail = (_inner_detail_numba if compiled else _inner_detail_torch)(rendered)
    count = region.sum(-1).clamp_min(1)
    centred = detail - (detail.sum(-1) / count)[..., None] * region
    product = torch.bmm(centred, shifted[:3].mT).sum(0)
    *mean, square = (region @ shifted.flatten(0, 1).T).unflatten(1, (4, -1)).unbind(1)
    floor = 3 * count * NOISE_LAB**2
    energy_rendered = centred.square().sum((0, 2)) + floor
    mean_square = sum(m.square() for m in mean) / count[:, None]
    energy = (square - mean_square).clamp_min(0) + floor[:, None]
    ncc = product / (energy_rendered[:, None] * energy).sqrt()
    best, which = ncc.max(-1)
    return best, which


def _count_numba(rendered: RenderedCandidates) -> Float[Tensor, "4 poses"]:
    crop, counts = rendered.crop, np.zeros((4, len(rendered.covered)), np.float32)
    count_shapes(
        crop.mask.numpy(),
        crop.depth_m.numpy(),
        crop.in_image.numpy(),
        rendered.covered.numpy(),
        rendered.depth_m.numpy(),
        crop.lengths.depth_cap_m,
        crop.lengths.free_space_m,
        counts,
    )
    return torch.from_numpy(counts)


def _count_torch(rendered: RenderedCandidates) -> Float[Tensor, "4 poses"]:
    """Per pose: covered mask pixels, those with measured depth, the sum of their capped depth errors (metres), and
    covered pixels that hide measured background.
    """
    crop, covered = rendered.crop, rendered.covered
    known = crop.depth_m > 0
    gap_m = crop.depth_m - rendered.depth_m
    seen = covered & crop.mask
    measured = seen & known
    error_m = gap_m.abs().clamp_max(crop.lengths.depth_cap_m) * measured
    hiding = covered & (~crop.mask & known & crop.in_image) & (gap_m > crop.lengths.free_space_m)
    return torch.stack([value.sum((1, 2)).to(gap_m) for value in (seen, measured, error_m, hiding)])


def _inner_detail_numba(
    rendered: RenderedCandidates,
) -> tuple[Float[Tensor, "poses pixels"], Float[Tensor, "3 poses pixels"]]:
    assert rendered.detail is not None
    covered, pixels = rendered.covered.numpy(), rendered.crop.inner_px.numpy()
    region = np.zeros((len(covered), len(pixels)), np.float32)
    picked = np.zeros((3, *region.shape), np.float32)
    pick_covered(covered, rendered.detail.numpy(), pixels, region, picked)
    return torch.from_numpy(region), torch.from_numpy(picked)


def _inner_detail_torch(
    rendered: RenderedCandidates,
) -> tuple[Float[Tensor, "poses pixels"], Float[Tensor, "3 poses pixels"]]:
    """Whether each inner pixel is covered with all its neighbours, and the detail there (0 where not)."""
    assert rendered.detail is not None
    detail, pixels = rendered.detail, rendered.crop.inner_px
    region = erode(rendered.covered, 1).flatten(1)[:, pixels].to(detail)
    return region, detail.flatten(2)[:, :, pixels].transpose(0, 1) * region
