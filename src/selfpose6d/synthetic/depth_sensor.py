"""What every depth sensor has: its input, the places where depth is lost, and the plainest of the noise models."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.synthetic.noise_fields import FrameNoise

SensorKind = Literal["simple", "structured-light", "stereo", "time-of-flight"]
# about what consumer depth cameras reach
MAX_RANGE_M = 4.0


@dataclass(frozen=True)
class TrueSurface:
    """What a depth camera looks at: camera z, cosine between normal and ray, reflected fraction of the light (0-1)."""

    depth_m: Float[np.ndarray, "height width"]
    incidence: Float[np.ndarray, "height width"]
    reflectance: Float[np.ndarray, "height width"]
    focal_px: float


class DepthSensor(ABC):
    """A noise model with the parameters of one device."""

    kind: ClassVar[SensorKind]
    """Its name in options and records."""

    @abstractmethod
    def measure_m(self, surface: TrueSurface, noise: FrameNoise) -> Float[np.ndarray, "height width"]:
        """Measured z of every pixel, 0 where the sensor has none."""


@dataclass(frozen=True)
class SimpleSensor(DepthSensor):
    """Noise with the square of the distance, steps of disparity, holes at edges: one model for any depth camera."""

    depth_noise_m: float
    depth_noise_per_m: float
    disparity_m: float
    grazing_cosine: float
    max_range_m: float = MAX_RANGE_M
    kind: ClassVar[SensorKind] = "simple"

    def measure_m(self, surface: TrueSurface, noise: FrameNoise) -> Float[np.ndarray, "height width"]:
        """0 at grazing angles, depth edges and out of range."""
        depth_m = surface.depth_m
        white, chance, blotches = noise.white(), noise.white(), noise.blotches()
        sigma_m = self.depth_noise_m + self.depth_noise_per_m * depth_m * depth_m
        measured_m = np.maximum(depth_m + sigma_m * (0.6 * white + 0.8 * blotches), 0.05)
        measured_m = self.disparity_m / np.round(self.disparity_m / measured_m)
        lost = surface.incidence < self.grazing_cosine * (1.0 + 0.5 * chance)
        lost |= (depth_m > self.max_range_m) | (blotches > 3.6)
        lost |= near_edges(depth_m) & (chance > -0.6)
        return np.where(lost, 0, measured_m)


def draw_simple_sensor(generator: np.random.Generator) -> SimpleSensor:
    """Settings of one recording."""
    return SimpleSensor(
        depth_noise_m=float(generator.uniform(0.0003, 0.0006)),
        depth_noise_per_m=float(generator.uniform(0.0010, 0.0020)),
        disparity_m=float(generator.uniform(900, 1500)),
        grazing_cosine=float(generator.uniform(0.08, 0.2)),
    )


def near_edges(
    depth_m: Float[np.ndarray, "height width"], size_px: int = 3
) -> Bool[np.ndarray, "height width"]:
    """Pixels whose window holds a jump in depth of more than a fiftieth of the distance."""
    kernel = np.ones((size_px, size_px), np.uint8)
    low, high = cv2.erode(depth_m, kernel), cv2.dilate(depth_m, kernel)
    return high - low > 0.02 * high


def in_shadow(
    depth_m: Float[np.ndarray, "height width"], focal_px: float, baseline_m: float, side: int
) -> Bool[np.ndarray, "height width"]:
    """Pixels that a projector or second camera `baseline_m` aside (`side` 1: to the right, -1) cannot see.

    It sees a pixel at its column less its disparity; where a nearer surface farther to that side lands at or
    before this column, that one hides it.
    """
    height, width = depth_m.shape
    seen_px = np.arange(width, dtype=np.float32) - focal_px * baseline_m / (
        depth_m if side > 0 else depth_m[:, ::-1]
    )
    nearest_px = np.minimum.accumulate(seen_px[:, ::-1], axis=1)[:, ::-1]
    # half a pixel of slack, else steep continuous surfaces would shade themselves
    hidden = np.zeros((height, width), bool)
    hidden[:, :-1] = seen_px[:, :-1] > nearest_px[:, 1:] + 0.5
    return hidden if side > 0 else hidden[:, ::-1]
