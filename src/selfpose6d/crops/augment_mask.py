"""Random changes to what of a crop is the object's: pieces of other crops over it, and inexact masks."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from selfpose6d.crops.batch import CropImages
from selfpose6d.crops.draws import dilate, ellipses, pixel_of_each_mask, shifted_axes, uniform


def paste_occluders(
    images: CropImages, fraction: float, size: float, generator: torch.Generator
) -> CropImages:
    """Cover part of the mask by an ellipse of another instance's image; what is covered leaves the mask."""
    if fraction <= 0:
        return images
    batch, crop = len(images.rgb), images.rgb.shape[-1]
    centre = pixel_of_each_mask(images.mask, generator)
    radii = crop * size * (0.25 + 0.75 * uniform((batch, 2), images.rgb, generator))
    angle = torch.pi * uniform((batch,), images.rgb, generator)
    inside = ellipses(centre, radii, angle, crop)
    inside &= (uniform((batch,), images.rgb, generator) < fraction)[:, None, None]
    left = (images.mask & ~inside).flatten(1).sum(1)
    inside &= (left >= 0.3 * images.mask.flatten(1).sum(1))[:, None, None]
    other = torch.roll(images.rgb, 1, 0)
    return replace(images, rgb=torch.where(inside[:, None], other, images.rgb), mask=images.mask & ~inside)


def replace_background(images: CropImages, fraction: float, generator: torch.Generator) -> CropImages:
    """Put another crop's image, mirrored, behind the instance; for rendered crops only."""
    if fraction <= 0:
        return images
    chosen = uniform((len(images.rgb),), images.rgb, generator) < fraction
    behind = ~images.mask & chosen[:, None, None]
    other = torch.roll(images.rgb, 2, 0).flip(-1)
    return replace(images, rgb=torch.where(behind[:, None], other, images.rgb))


def resize_masks(
    mask: Bool[Tensor, "batch crop crop"], most_px: int, generator: torch.Generator
) -> Bool[Tensor, "batch crop crop"]:
    """Erode or dilate each mask by up to `most_px` pixels (negative draws erode)."""
    if most_px <= 0:
        return mask
    change = torch.randint(-most_px, most_px + 1, (len(mask),), generator=generator, device=mask.device)
    for step in range(1, most_px + 1):
        grown = dilate(mask)
        shrunk = ~dilate(~mask)
        mask = torch.where((change >= step)[:, None, None], grown, mask)
        mask = torch.where((change <= -step)[:, None, None], shrunk, mask)
    return mask


def shift_masks(
    mask: Bool[Tensor, "batch crop crop"], most_px: int, generator: torch.Generator
) -> Bool[Tensor, "batch crop crop"]:
    """Move each mask by up to `most_px` pixels in each direction; what leaves the crop is lost."""
    if most_px <= 0:
        return mask
    crop = mask.shape[-1]
    row, column = shifted_axes(len(mask), crop, most_px, generator)
    inside = ((row >= 0) & (row < crop))[:, :, None] & ((column >= 0) & (column < crop))[:, None]
    batch = torch.arange(len(mask), device=mask.device)[:, None, None]
    moved = mask[batch, row.clamp(0, crop - 1)[:, :, None], column.clamp(0, crop - 1)[:, None]]
    return moved & inside
