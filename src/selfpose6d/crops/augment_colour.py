"""Random changes to the colours of crops: other light, another camera."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from selfpose6d.crops.augment_options import AugmentOptions
from selfpose6d.crops.draws import shifted_axes, symmetric, uniform

# ITU-R BT.601
_LUMA = (0.299, 0.587, 0.114)
_TRACE = 0.3
"""Most of the contrast that a faded pattern keeps. A choice."""


def jitter_colour(
    rgb: Float[Tensor, "batch 3 crop crop"], options: AugmentOptions, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Brightness, colour cast, contrast, saturation and hue: one matrix and one offset an instance. Kept 0-1."""
    batch = len(rgb)
    gain = 1 + options.brightness * symmetric((batch, 1), rgb, generator)
    cast = 1 + options.brightness / 3 * symmetric((batch, 3), rgb, generator)
    contrast = 1 + options.contrast * symmetric((batch, 1), rgb, generator)
    saturation = 1 + options.saturation * symmetric((batch, 1, 1), rgb, generator)
    grey = rgb.new_tensor(_LUMA).expand(3, 3)
    matrix = saturation * torch.eye(3, device=rgb.device) + (1 - saturation) * grey
    if options.hue > 0:
        matrix = matrix @ _hue_turns(options.hue * symmetric((batch,), rgb, generator))
    matrix = (gain * cast * contrast)[..., None] * matrix
    mean = rgb.mean((-2, -1), keepdim=True)
    offset = ((1 / contrast - 1)[..., None] * (matrix @ mean.flatten(2)))[..., None]
    changed = (matrix @ rgb.flatten(2)).unflatten(2, rgb.shape[-2:])
    return changed.add_(offset).clamp_(0, 1)


def change_light(
    rgb: Float[Tensor, "batch 3 crop crop"], light: float, highlight: float, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Brighter on one side than on the other, by up to `light`, and a white spot somewhere. Kept 0-1."""
    if light <= 0 and highlight <= 0:
        return rgb
    batch, crop = len(rgb), rgb.shape[-1]
    axis = torch.linspace(-1, 1, crop, device=rgb.device)
    across, down = (light * symmetric((batch, 1, 1), rgb, generator) for _ in range(2))
    gain = 1 + 0.5 * (across * axis[None, None] + down * axis[None, :, None])
    x, y = (symmetric((batch, 1, 1), rgb, generator) for _ in range(2))
    radius = 0.1 + 0.4 * uniform((batch, 1, 1), rgb, generator)
    distance = ((axis[None, None] - x) ** 2 + (axis[None, :, None] - y) ** 2) / radius**2
    # bright spots are rare: the cube of a uniform draw
    spot = highlight * uniform((batch, 1, 1), rgb, generator) ** 3 / (1 + distance) ** 2
    return torch.addcmul(spot[:, None], rgb, gain[:, None]).clamp_(0, 1)


def bend_tones(
    rgb: Float[Tensor, "batch 3 crop crop"], most: float, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """x + b x (1 - x) with b up to `most` either way: monotone, and much cheaper than a power."""
    if most <= 0:
        return rgb
    bend = most * symmetric((len(rgb), 1, 1, 1), rgb, generator)
    return rgb.addcmul(bend, rgb * (1 - rgb))


def change_sharpness(
    rgb: Float[Tensor, "batch 3 crop crop"], most: float, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Blur or sharpen: add a multiple of the difference to the mean of 3 x 3 pixels. Kept 0-1."""
    if most <= 0:
        return rgb
    # avg_pool2d takes ten times as long
    padded = functional.pad(rgb, (1, 1, 1, 1), mode="replicate")
    rows = padded[..., :-2, :] + padded[..., 1:-1, :] + padded[..., 2:, :]
    blurred = (rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]) / 9
    amount = most * symmetric((len(rgb), 1, 1, 1), rgb, generator)
    return rgb.addcmul(amount, rgb - blurred).clamp_(0, 1)


def fade_pattern(
    rgb: Float[Tensor, "batch 3 crop crop"],
    mask: Bool[Tensor, "batch crop crop"],
    fraction: float,
    generator: torch.Generator,
) -> Float[Tensor, "batch 3 crop crop"]:
    """In a fraction of the crops, draw the mask's colours to their mean, up to `_TRACE` of the difference."""
    if fraction <= 0:
        return rgb
    fades = uniform((len(rgb), 1, 1, 1), rgb, generator) < fraction
    kept = _TRACE * uniform((len(rgb), 1, 1, 1), rgb, generator)
    inside = mask[:, None].to(rgb)
    mean = (rgb * inside).sum((-2, -1), keepdim=True) / inside.sum((-2, -1), keepdim=True).clamp_min(1)
    return torch.where(fades & mask[:, None], mean + kept * (rgb - mean), rgb)


def shift_colours(
    rgb: Float[Tensor, "batch 3 crop crop"], most_px: int, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Move each image by up to `most_px` pixels in each direction; what comes in is its border."""
    if most_px <= 0:
        return rgb
    crop, batch = rgb.shape[-1], torch.arange(len(rgb), device=rgb.device)[:, None, None]
    row, column = shifted_axes(len(rgb), crop, most_px, generator)
    row, column = row.clamp(0, crop - 1)[:, :, None], column.clamp(0, crop - 1)[:, None]
    return rgb.permute(0, 2, 3, 1)[batch, row, column].permute(0, 3, 1, 2).contiguous()


def add_noise(
    rgb: Float[Tensor, "batch 3 crop crop"], largest: float, generator: torch.Generator
) -> Float[Tensor, "batch 3 crop crop"]:
    """Pixel noise, of a strength between 0 and `largest`."""
    if largest <= 0:
        return rgb
    strength = 2 * largest * 3**0.5 * uniform((len(rgb), 1, 1, 1), rgb, generator)
    noise = uniform(rgb.shape, rgb, generator) - 0.5
    return rgb.addcmul(noise, strength).clamp_(0, 1)


def _hue_turns(angle_rad: Float[Tensor, " batch"]) -> Float[Tensor, "batch 3 3"]:
    """Rotations about grey: Rodrigues' formula for the axis (1, 1, 1)."""
    cos, sin = angle_rad.cos()[:, None, None], angle_rad.sin()[:, None, None] / 3**0.5
    eye = torch.eye(3, device=angle_rad.device)
    turn = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angle_rad.device)
    return cos * eye + (1 - cos) / 3 + sin * turn
