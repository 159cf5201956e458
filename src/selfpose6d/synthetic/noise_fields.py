"""Random fields that images cut their noise from: drawn once, as normal numbers for every frame would cost more."""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float

# by which the noise fields exceed the image: windows at 192 x 192 positions hardly repeat within a scene
MARGIN_PX = 192
# standard deviation of the blotches' blur: the windows that depth sensors match are about five pixels wide
BLOTCH_PX = 2.0


@dataclass(frozen=True)
class NoiseFields:
    """Fields of unit variance, larger than the image."""

    white: Float[np.ndarray, "rows columns"]
    blotches: Float[np.ndarray, "rows columns"]


@dataclass(frozen=True)
class FrameNoise:
    """One frame's noise: every call cuts another window, at a position drawn from `generator`."""

    fields: NoiseFields
    shape: tuple[int, int]
    generator: np.random.Generator

    def white(self) -> Float[np.ndarray, "height width"]:
        """Independent pixels, unit variance."""
        return cut(self.fields.white, self.shape, self.generator)

    def blotches(self) -> Float[np.ndarray, "height width"]:
        """Neighbouring pixels alike, unit variance."""
        return cut(self.fields.blotches, self.shape, self.generator)

    def mixed(self, blotch_weight: float) -> Float[np.ndarray, "height width"]:
        """Unit variance, of which blotches make `blotch_weight` squared."""
        white_weight = np.float32(np.sqrt(1 - blotch_weight**2))
        return np.float32(blotch_weight) * self.blotches() + white_weight * self.white()


def make_noise_fields(height: int, width: int, generator: np.random.Generator) -> NoiseFields:
    """Fields for images up to this size."""
    white = generator.standard_normal((height + MARGIN_PX, width + MARGIN_PX), np.float32)
    coarse = cv2.GaussianBlur(white, (0, 0), BLOTCH_PX)
    return NoiseFields(white, coarse / coarse.std())


def cut(field: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """A window of a noise field at a random position."""
    top, left = generator.integers(0, MARGIN_PX, 2)
    return field[top : top + shape[0], left : left + shape[1]]


def smooth_field(
    height: int, width: int, generator: np.random.Generator, cells: tuple[int, int] = (4, 5)
) -> Float[np.ndarray, "{height} {width}"]:
    """A field that changes a few times over the image, standard deviation about 1 over many draws."""
    # interpolation between cells averages, which takes a quarter off the deviation
    coarse = 1.3 * generator.standard_normal(cells).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@cache
def pixel_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of every pixel, float32."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return columns, rows
