"""Colours as networks take them: by fixed statistics, and relative to the light that they were seen in."""

from jaxtyping import Float, Int
from torch import Tensor

RGB_MEAN, RGB_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's statistics, colours of 0-1."""
MIN_CONTRAST = 0.03
"""Deviation of colours (0-1 units) below which they are not enlarged further: a camera's noise is no pattern."""
MAX_CONTRAST = 4.0
"""Deviations; colours farther from the mean (the background's) count as this far."""


def normalised_rgb(rgb: Float[Tensor, "batch 3 crop crop"]) -> Float[Tensor, "batch 3 crop crop"]:
    """Colours of 0-1 with about zero mean and unit variance: by ImageNet's statistics."""
    mean, deviation = rgb.new_tensor(RGB_MEAN), rgb.new_tensor(RGB_DEVIATION)
    return (rgb - mean[:, None, None]) / deviation[:, None, None]


def relative_rgb(rgb: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Colours about a mean, in deviations: the pattern without the light. All three broadcast."""
    return ((rgb - mean) / (deviation + MIN_CONTRAST)).clamp(-MAX_CONTRAST, MAX_CONTRAST)


def colours_at(
    rgb: Float[Tensor, "batch channels crop crop"], pixel: Int[Tensor, "batch points"]
) -> Float[Tensor, "batch points channels"]:
    """Of each image the colours of some pixels, named by their raster index."""
    # take_along_dim would fix the batch of an exported graph
    return rgb.flatten(2).gather(2, pixel[:, None].expand(-1, rgb.shape[1], -1)).mT
