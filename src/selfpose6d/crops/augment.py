"""Random changes to crops, another for each instance: light, occluders, masks and depth that the data do not show."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from selfpose6d.crops.batch import CropImages
from selfpose6d.errors import UsageError

# ITU-R BT.601
_LUMA = (0.299, 0.587, 0.114)
# with depth; fewer say little of a pose. A choice, not measured
_MIN_PIXELS_LEFT = 64


@dataclass(frozen=True)
class AugmentOptions:
    """How strongly crops are changed; 0 switches a change off."""

    brightness: float = 0.25
    """Largest relative change of brightness, and of each colour channel by a third of it."""
    contrast: float = 0.25
    """Largest relative change of contrast."""
    saturation: float = 0.3
    """Largest relative change of saturation."""
    noise: float = 0.02
    """Largest standard deviation of the pixel noise, 0-1 units."""
    occluder_fraction: float = 0.4
    """Fraction of instances that get a piece of another crop pasted over them."""
    occluder_size: float = 0.35
    """Largest half axis of the pasted ellipse, as a fraction of the crop."""
    mask_px: int = 1
    """Most pixels that a mask is eroded or dilated by."""
    mask_shift_px: int = 1
    """Most pixels that a mask is shifted by, in each direction."""
    depth_dropout: float = 0.1
    """Largest fraction of an instance's depth pixels that are set to unknown."""
    depth_noise_m: float = 0.001
    """Standard deviation of the noise added to each depth pixel, metres."""
    background_fraction: float = 0.0
    """Fraction of instances whose background is replaced by another crop's image (for rendered crops)."""

    def __post_init__(self) -> None:
        for name in ("occluder_fraction", "depth_dropout", "background_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be a fraction between 0 and 1, got {getattr(self, name)}.")


def augment(images: CropImages, options: AugmentOptions, generator: torch.Generator) -> CropImages:
    """All changes in turn; an instance that would lose nearly all of its pixels keeps its mask."""
    images = replace_background(images, options.background_fraction, generator)
    images = paste_occluders(images, options.occluder_fraction, options.occluder_size, generator)
    mask = shift_masks(images.mask, options.mask_shift_px, generator)
    mask = resize_masks(mask, options.mask_px, generator)
    enough = (mask & (images.depth_m > 0)).flatten(1).sum(1) >= _MIN_PIXELS_LEFT
    images = replace(images, mask=torch.where(enough[:, None, None], mask, images.mask))
    depth_m = jitter_depth(images.depth_m, options.depth_noise_m, options.depth_dropout, generator)
    rgb = jitter_colour(images.rgb, options, generator)
    return replace(images, rgb=add_noise(rgb, options.noise, generator), depth_m=depth_m)


def jitter_colour(
    rgb: Float[Tensor, "batch 3 crop crop"], options: AugmentOptions, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Brightness, colour cast, contrast and saturation: one matrix and one offset an instance. Kept 0-1."""
    batch = len(rgb)
    gain = 1 + options.brightness * _symmetric((batch, 1), rgb, generator)
    cast = 1 + options.brightness / 3 * _symmetric((batch, 3), rgb, generator)
    contrast = 1 + options.contrast * _symmetric((batch, 1), rgb, generator)
    saturation = 1 + options.saturation * _symmetric((batch, 1, 1), rgb, generator)
    grey = rgb.new_tensor(_LUMA).expand(3, 3)
    matrix = saturation * torch.eye(3, device=rgb.device) + (1 - saturation) * grey
    matrix = (gain * cast * contrast)[..., None] * matrix
    mean = rgb.mean((-2, -1), keepdim=True)
    offset = ((1 / contrast - 1)[..., None] * (matrix @ mean.flatten(2)))[..., None]
    changed = (matrix @ rgb.flatten(2)).unflatten(2, rgb.shape[-2:])
    return changed.add_(offset).clamp_(0, 1)


def add_noise(
    rgb: Float[Tensor, "batch 3 crop crop"], largest: float, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Pixel noise, of a strength between 0 and `largest`."""
    if largest <= 0:
        return rgb
    strength = 2 * largest * 3**0.5 * _uniform((len(rgb), 1, 1, 1), rgb, generator)
    noise = _uniform(rgb.shape, rgb, generator) - 0.5
    return rgb.addcmul(noise, strength).clamp_(0, 1)


def paste_occluders(
    images: CropImages, fraction: float, size: float, generator: torch.Generator
) -> CropImages:
    """Cover part of the mask by an ellipse of another instance's image; what is covered leaves the mask."""
    if fraction <= 0:
        return images
    batch, crop = len(images.rgb), images.rgb.shape[-1]
    centre = _pixel_of_each_mask(images.mask, generator)
    radii = crop * size * (0.25 + 0.75 * _uniform((batch, 2), images.rgb, generator))
    angle = torch.pi * _uniform((batch,), images.rgb, generator)
    inside = _ellipses(centre, radii, angle, crop)
    inside &= (_uniform((batch,), images.rgb, generator) < fraction)[:, None, None]
    left = (images.mask & ~inside).flatten(1).sum(1)
    inside &= (left >= 0.3 * images.mask.flatten(1).sum(1))[:, None, None]
    other = torch.roll(images.rgb, 1, 0)
    return replace(images, rgb=torch.where(inside[:, None], other, images.rgb), mask=images.mask & ~inside)


def replace_background(images: CropImages, fraction: float, generator: torch.Generator) -> CropImages:
    """Put another crop's image, mirrored, behind the instance; for rendered crops only."""
    if fraction <= 0:
        return images
    chosen = _uniform((len(images.rgb),), images.rgb, generator) < fraction
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
        grown = _dilate(mask)
        shrunk = ~_dilate(~mask)
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
    shift = torch.randint(-most_px, most_px + 1, (2, len(mask), 1), generator=generator, device=mask.device)
    row, column = torch.arange(crop, device=mask.device) - shift
    inside = ((row >= 0) & (row < crop))[:, :, None] & ((column >= 0) & (column < crop))[:, None]
    batch = torch.arange(len(mask), device=mask.device)[:, None, None]
    moved = mask[batch, row.clamp(0, crop - 1)[:, :, None], column.clamp(0, crop - 1)[:, None]]
    return moved & inside


def jitter_depth(
    depth_m: Float[Tensor, "batch crop crop"], noise_m: float, dropout: float, generator: torch.Generator
) -> Float[Tensor, "batch crop crop"]:
    """Noise on known depths, and a fraction of them (up to `dropout`) set to unknown."""
    fraction = dropout * _uniform((len(depth_m), 1, 1), depth_m, generator)
    draw = _uniform(depth_m.shape, depth_m, generator)
    # of uniform noise with this standard deviation; one draw serves both changes
    noisy = depth_m + noise_m * 12**0.5 * (draw - 0.5)
    return torch.where((depth_m > 0) & (draw >= fraction), noisy.clamp_min(1e-3), 0.0)


def _dilate(mask: Bool[Tensor, "batch crop crop"]) -> Bool[Tensor, "batch crop crop"]:
    padded = functional.pad(mask, (1, 1, 1, 1))
    wide = padded[:, :, :-2] | padded[:, :, 1:-1] | padded[:, :, 2:]
    return wide[:, :-2] | wide[:, 1:-1] | wide[:, 2:]


def _pixel_of_each_mask(
    mask: Bool[Tensor, "batch crop crop"], generator: torch.Generator
) -> Int[Tensor, "batch 2"]:
    """(row, column) of one random mask pixel; the first pixel where a mask is empty."""
    counted = mask.flatten(1).cumsum(1)
    wanted = _uniform((len(mask),), mask, generator) * counted[:, -1]
    flat = torch.searchsorted(counted, wanted.long()[:, None] + 1).squeeze(1).clamp_max(mask[0].numel() - 1)
    return torch.stack([flat // mask.shape[-1], flat % mask.shape[-1]], -1)


def _ellipses(
    centre: Int[Tensor, "batch 2"], radii: Float[Tensor, "batch 2"], angle: Float[Tensor, "batch"], crop: int
) -> Bool[Tensor, "batch {crop} {crop}"]:
    axis = torch.arange(crop, device=centre.device)
    y = (axis - centre[:, :1]).to(radii)[:, :, None]
    x = (axis - centre[:, 1:]).to(radii)[:, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    along, across = (cos * x + sin * y) / radii[:, :1, None], (cos * y - sin * x) / radii[:, 1:, None]
    return along.square() + across.square() < 1


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device)


def _symmetric(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return 2 * _uniform(shape, like, generator) - 1
