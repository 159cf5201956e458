"""Levels of light: glTF's factors and vertex colours are linear, images and every other format's colours are sRGB."""

import numpy as np
from jaxtyping import Float, UInt8


def linear_to_srgb(linear: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Display levels 0-1 of linear light 0-1.

    Reference: IEC 61966-2-1.
    """
    linear = np.clip(linear, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def srgb_to_linear(level: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Linear light 0-1 of display levels 0-1.

    Reference: IEC 61966-2-1.
    """
    level = np.clip(level, 0.0, 1.0)
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


def to_levels(rgb: Float[np.ndarray, "*shape 3"], is_linear: bool) -> UInt8[np.ndarray, "*shape 3"]:
    """Display levels 0-255 of colours 0-1."""
    display = linear_to_srgb(rgb) if is_linear else np.clip(rgb, 0.0, 1.0)
    return np.rint(255 * display).astype(np.uint8)


def multiply(
    levels: UInt8[np.ndarray, "*shape 3"], factor: Float[np.ndarray, "*#shape 3"], is_linear: bool
) -> UInt8[np.ndarray, "*shape 3"]:
    """Display levels of an image, each times a factor: of linear light, or of the levels themselves."""
    if factor.ndim == 1:  # the same for all: one product for each level
        every_level = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
        table = multiply(every_level, factor[None], is_linear)
        return np.stack([table[levels[..., channel], channel] for channel in range(3)], axis=-1)
    if is_linear:
        return to_levels(srgb_to_linear(np.arange(256) / 255)[levels] * factor, is_linear)
    return to_levels(levels / 255 * factor, is_linear)
