"""What random changes to crops are made of: draws for each instance, ellipses, shifts, grown masks."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

MIN_PIXELS_LEFT = 64
"""With depth; fewer say little of a pose, and a change that leaves fewer is not made. A choice, not measured."""


def uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device)


def symmetric(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return 2 * uniform(shape, like, generator) - 1


def pixel_of_each_mask(
    mask: Bool[Tensor, "batch crop crop"], generator: torch.Generator
) -> Int[Tensor, "batch 2"]:
    """(row, column) of one random mask pixel; the first pixel where a mask is empty."""
    counted = mask.flatten(1).cumsum(1)
    wanted = uniform((len(mask),), mask, generator) * counted[:, -1]
    flat = torch.searchsorted(counted, wanted.long()[:, None] + 1).squeeze(1).clamp_max(mask[0].numel() - 1)
    return torch.stack([flat // mask.shape[-1], flat % mask.shape[-1]], -1)


def ellipses(
    centre: Int[Tensor, "batch 2"], radii: Float[Tensor, "batch 2"], angle: Float[Tensor, " batch"], crop: int
) -> Bool[Tensor, "batch {crop} {crop}"]:
    axis = torch.arange(crop, device=centre.device)
    y = (axis - centre[:, :1]).to(radii)[:, :, None]
    x = (axis - centre[:, 1:]).to(radii)[:, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = (cos * x + sin * y) / radii[:, :1, None], (cos * y - sin * x) / radii[:, 1:, None]
    return along.square() + across.square() < 1


def shifted_axes(
    batch: int, crop: int, most_px: int, generator: torch.Generator
) -> tuple[Int[Tensor, "batch crop"], Int[Tensor, "batch crop"]]:
    """Rows and columns that each image's pixels come from; some lie outside."""
    device = generator.device
    shift = torch.randint(-most_px, most_px + 1, (2, batch, 1), generator=generator, device=device)
    row, column = torch.arange(crop, device=device) - shift
    return row, column


def dilate(mask: Bool[Tensor, "batch crop crop"]) -> Bool[Tensor, "batch crop crop"]:
    padded = functional.pad(mask, (1, 1, 1, 1))
    wide = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
    return wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]
