"""Random changes to the depth of crops: what sensors of several kinds do to it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from selfpose6d.crops.draws import MIN_PIXELS_LEFT, dilate, ellipses, pixel_of_each_mask, symmetric, uniform

# a side of the coarse field that depth is bent by: bumps of a sixth of the crop
_BUMPS = 6


def jitter_depth(
    depth_m: Float[Tensor, "batch crop crop"], noise_m: float, dropout: float, generator: torch.Generator
) -> Float[Tensor, "batch crop crop"]:
    """Noise on known depths, and a fraction of them (up to `dropout`) set to unknown."""
    fraction = dropout * uniform((len(depth_m), 1, 1), depth_m, generator)
    draw = uniform(depth_m.shape, depth_m, generator)
    # of uniform noise with this standard deviation; one draw serves both changes
    noisy = depth_m + noise_m * 12**0.5 * (draw - 0.5)
    return torch.where((depth_m > 0) & (draw >= fraction), noisy.clamp_min(1e-3), 0.0)


def bend_depth(
    depth_m: Float[Tensor, "batch crop crop"], most_m: float, generator: torch.Generator
) -> Float[Tensor, "batch crop crop"]:
    """Known depths plus a smooth field, of a standard deviation between 0 and `most_m`."""
    if most_m <= 0:
        return depth_m
    batch, crop = len(depth_m), depth_m.shape[-1]
    size = most_m * 3**0.5 * uniform((batch, 1, 1, 1), depth_m, generator)
    coarse = size * symmetric((batch, 1, _BUMPS, _BUMPS), depth_m, generator)
    bumps = functional.interpolate(coarse, (crop, crop), mode="bilinear").squeeze(1)
    return torch.where(depth_m > 0, (depth_m + bumps).clamp_min(1e-3), 0.0)


def clear_borders(
    depth_m: Float[Tensor, "batch crop crop"],
    mask: Bool[Tensor, "batch crop crop"],
    most_px: int,
    generator: torch.Generator,
) -> Float[Tensor, "batch crop crop"]:
    """No depth within up to `most_px` pixels of a mask's border, unless little would be left inside."""
    if most_px <= 0:
        return depth_m
    width = torch.randint(0, most_px + 1, (len(mask),), generator=generator, device=mask.device)
    grown, shrunk, clear = mask, mask, torch.zeros_like(mask)
    for step in range(1, most_px + 1):
        grown, shrunk = dilate(grown), ~dilate(~shrunk)
        clear = torch.where((width >= step)[:, None, None], grown & ~shrunk, clear)
    enough = (mask & ~clear & (depth_m > 0)).flatten(1).sum(1) >= MIN_PIXELS_LEFT
    return torch.where(clear & enough[:, None, None], 0.0, depth_m)


def cut_depth(
    depth_m: Float[Tensor, "batch crop crop"],
    mask: Bool[Tensor, "batch crop crop"],
    size: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch crop crop"]:
    """Half of the instances lose the depth of an ellipse on the mask, unless little would be left of it."""
    if size <= 0:
        return depth_m
    batch, crop = len(depth_m), depth_m.shape[-1]
    radii = crop * size * uniform((batch, 2), depth_m, generator)
    angle = torch.pi * uniform((batch,), depth_m, generator)
    inside = ellipses(pixel_of_each_mask(mask, generator), radii, angle, crop)
    known = mask & (depth_m > 0)
    kept = (known & ~inside).flatten(1).sum(1)
    cut = (uniform((batch,), depth_m, generator) < 0.5) & (kept >= 0.5 * known.flatten(1).sum(1))
    cut &= kept >= MIN_PIXELS_LEFT
    return torch.where(inside & cut[:, None, None], 0.0, depth_m)
