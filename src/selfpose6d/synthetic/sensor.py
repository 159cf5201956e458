"""What the camera makes of the scene: exposure, blur and noise in colour; noise, steps and holes in depth."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int16, UInt8, UInt16

# by which the noise fields exceed the image: windows at 192 x 192 positions hardly repeat within a scene
MARGIN_PX = 192
DEPTH_UNITS_PER_M = 10_000
# about what consumer depth cameras reach; 16 bits would hold 6.5 m
MAX_RANGE_M = 4.0


@dataclass(frozen=True)
class SensorModel:
    """One scene's camera. Depth noise grows with the square of the distance, as a stereo sensor's does.

    `white` and `blotches` are fields of unit variance, larger than the image: frames cut noise from them.
    """

    gain_rgb: Float[np.ndarray, "3"]
    rgb_noise: Int16[np.ndarray, "rows columns 3"]
    blur_px: float
    depth_noise_m: float
    depth_noise_per_m: float
    disparity_m: float
    grazing_cosine: float
    white: Float[np.ndarray, "rows columns"]
    blotches: Float[np.ndarray, "rows columns"]


def draw_sensor(height: int, width: int, generator: np.random.Generator) -> SensorModel:
    """Settings and noise fields of one recording."""
    white = generator.standard_normal((height + MARGIN_PX, width + MARGIN_PX), np.float32)
    coarse = cv2.GaussianBlur(white, (0, 0), 2.0)
    grain = np.float32(255 * generator.uniform(0.004, 0.014)) * white
    rgb_noise = np.stack([np.roll(grain, 7 * k, axis=k % 2) for k in range(3)], -1)
    warmth = generator.uniform(-0.08, 0.08)
    return SensorModel(
        gain_rgb=generator.uniform(0.85, 1.35) * np.array([1 + warmth, 1.0, 1 - warmth]),
        rgb_noise=rgb_noise.round().astype(np.int16),
        blur_px=float(generator.uniform(0.45, 0.8)),
        depth_noise_m=float(generator.uniform(0.0003, 0.0006)),
        depth_noise_per_m=float(generator.uniform(0.0010, 0.0020)),
        disparity_m=float(generator.uniform(900, 1500)),
        grazing_cosine=float(generator.uniform(0.08, 0.2)),
        white=white,
        blotches=coarse / coarse.std(),
    )


def take_image(
    rgb: UInt8[np.ndarray, "height width 3"], sensor: SensorModel, generator: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Lens blur and noise."""
    blurred = cv2.GaussianBlur(rgb, (0, 0), sensor.blur_px)
    return cv2.add(blurred, _cut(sensor.rgb_noise, rgb.shape, generator), dtype=cv2.CV_8U)


def measure_depth(
    depth_m: Float[np.ndarray, "height width"],
    incidence: Float[np.ndarray, "height width"],
    sensor: SensorModel,
    generator: np.random.Generator,
) -> UInt16[np.ndarray, "height width"]:
    """Depth as a sensor gives it, units of 0.1 mm; 0 at grazing angles, depth edges and out of range."""
    white, chance = (_cut(sensor.white, depth_m.shape, generator) for _ in range(2))
    blotches = _cut(sensor.blotches, depth_m.shape, generator)
    sigma_m = sensor.depth_noise_m + sensor.depth_noise_per_m * depth_m * depth_m
    measured_m = np.maximum(depth_m + sigma_m * (0.6 * white + 0.8 * blotches), 0.05)
    measured_m = sensor.disparity_m / np.round(sensor.disparity_m / measured_m)
    lost = incidence < sensor.grazing_cosine * (1.0 + 0.5 * chance)
    lost |= (depth_m > MAX_RANGE_M) | (blotches > 3.6)
    lost |= _near_edges(depth_m) & (chance > -0.6)
    return np.where(lost, 0, np.round(measured_m * DEPTH_UNITS_PER_M)).astype(np.uint16)


def _near_edges(depth_m: Float[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Pixels within about a pixel of a jump in depth of more than a fiftieth of the distance."""
    kernel = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(depth_m, kernel), cv2.dilate(depth_m, kernel)
    return high - low > 0.02 * high


def _cut(field: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """A window of a noise field at a random position."""
    top, left = generator.integers(0, MARGIN_PX, 2)
    return field[top : top + shape[0], left : left + shape[1]]
