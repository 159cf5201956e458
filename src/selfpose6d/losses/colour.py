"""Colour of the rendering against colour of the observed image, forgiving shifts of a few pixels.

Lightness is left out: it follows the light, which nobody knows.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.losses.colour_numba import find_nearest_colours


def colour_loss(
    observed_ab: Float[Tensor, "batch height width 2"],
    rendered_ab: Float[Tensor, "batch height width 2"],
    observed_mask: Float[Tensor, "batch height width"],
    window_px: int = 2,
    known: Bool[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, " batch"]:
    """Mean over all pixels of the least colour difference within the window, both ways.

    Both images count as 0 outside their own mask: the observed one is made so here, the rendering comes so, and must
    not be multiplied by its mask again, since no gradient would be left where the object could grow. `known` (default:
    everywhere) marks the pixels that count. Colours are LAB without L (a and b, -128 to 127).

    Reference: paper Eq. (6)-(7).
    """
    observed = observed_ab * observed_mask[..., None]
    at_rendered, at_observed = nearest_colours(observed.detach(), rendered_ab.detach(), window_px)
    pixel = _distance(observed, _look_up(rendered_ab, at_rendered)) + _distance(
        _look_up(observed, at_observed), rendered_ab
    )
    return (pixel if known is None else pixel * known).mean((1, 2))


def nearest_colours(
    observed_ab: Float[Tensor, "batch height width 2"],
    rendered_ab: Float[Tensor, "batch height width 2"],
    window_px: int,
    backend: Backend = "auto",
) -> tuple[Int[Tensor, "batch height width"], Int[Tensor, "batch height width"]]:
    """For each observed pixel the rendered pixel (raster index) of nearest colour within the window, and vice versa."""
    run = _nearest_numba if runs_numba(backend, observed_ab.device) else _nearest_torch
    return run(observed_ab, rendered_ab, window_px)


def _nearest_numba(
    observed_ab: Float[Tensor, "batch height width 2"],
    rendered_ab: Float[Tensor, "batch height width 2"],
    window_px: int,
) -> tuple[Int[Tensor, "batch height width"], Int[Tensor, "batch height width"]]:
    planes = (image.permute(0, 3, 1, 2).contiguous().numpy() for image in (observed_ab, rendered_ab))
    observed, rendered = planes
    found = [np.empty(observed_ab.shape[:3], np.int64) for _ in range(2)]
    find_nearest_colours(observed, rendered, window_px, 1, found[0])
    find_nearest_colours(rendered, observed, window_px, -1, found[1])
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def _nearest_torch(
    observed_ab: Float[Tensor, "batch height width 2"],
    rendered_ab: Float[Tensor, "batch height width 2"],
    window_px: int,
) -> tuple[Int[Tensor, "batch height width"], Int[Tensor, "batch height width"]]:
    """Reference for any device. Each pair of pixels is compared once: it serves both directions."""
    batch, height, width = observed_ab.shape[:3]
    raster = torch.arange(height * width, device=observed_ab.device).reshape(height, width)
    best = [observed_ab.new_full((batch, height, width), torch.inf) for _ in range(2)]
    found = [raster.repeat(batch, 1, 1) for _ in range(2)]
    for down in range(-window_px, window_px + 1):
        for right in range(-window_px, window_px + 1):
            rows, moved_rows = _overlap(height, down)
            columns, moved_columns = _overlap(width, right)
            here, there = (slice(None), rows, columns), (slice(None), moved_rows, moved_columns)
            squared = (observed_ab[here] - rendered_ab[there]).square().sum(-1)
            for side, (near, far) in enumerate(((here, there), (there, here))):
                better = squared < best[side][near]
                best[side][near] = torch.where(better, squared, best[side][near])
                found[side][near] = torch.where(better, raster[far[1:]], found[side][near])
    return found[0], found[1]


def _overlap(size: int, shift: int) -> tuple[slice, slice]:
    """Indices i and i + shift that both lie in an image of this size."""
    return slice(max(0, -shift), size - max(0, shift)), slice(max(0, shift), size + min(0, shift))


def _look_up(
    image: Float[Tensor, "batch height width c"], index: Int[Tensor, "batch height width"]
) -> Float[Tensor, "batch height width c"]:
    return torch.take_along_dim(image.flatten(1, 2), index.flatten(1)[..., None], 1).reshape(image.shape)


def _distance(
    a: Float[Tensor, "batch height width c"], b: Float[Tensor, "batch height width c"]
) -> Float[Tensor, "batch height width"]:
    """Euclidean; its gradient is 0 where the colours are equal."""
    squared = (a - b).square().sum(-1)
    differ = squared > 0
    return torch.where(differ, torch.where(differ, squared, 1.0).sqrt(), 0.0)
