"""Depth by the phase of modulated light (Kinect v2, Azure Kinect)."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.depth_sensor import DepthSensor, SensorKind, TrueSurface, near_edges
from selfpose6d.synthetic.noise_fields import FrameNoise, smooth_field

# the noise is this constant's parabola: 4 % more at 0.6 m, 16 % at 1.2 m, twice as much at 3 m
NOISE_DOUBLES_AT_M = 3.0
# a mid-grey surface, for which the noise is stated
GREY_REFLECTANCE = 0.3
# noise goes with one over the root of the returned light; limits keep it within a factor 2.5 of grey's
MIN_AMPLITUDE, MAX_AMPLITUDE = 0.16, 2.0
# how far around a pixel light comes from by way of other surfaces, and the depth difference that counts most
MULTIPATH_PX, MULTIPATH_MOST_M = 41, 0.03
# of the pixels at an edge, those that keep a (mixed) depth
FLYING_FRACTION_CHANCE = 0.25
MIN_RANGE_M, MAX_RANGE_M = 0.25, 5.0


@dataclass(frozen=True)
class TimeOfFlight(DepthSensor):
    """Noise of 0.8 to 2 mm on grey, more on dark surfaces, nearly independent of the distance up to 3 m.

    Pixels at edges hold a mixture of near and far depth (flying pixels) or nothing; concave corners and what stands
    before a wall look several millimetres farther (multipath); dark and grazing surfaces return too little light.
    The bias is smooth over the image, and a wave over the distance (the modulation's harmonics).

    Reference: Tolgyessy et al. 2021, "Evaluation of the Azure Kinect" (noise, flying pixels); Fankhauser et al. 2015,
    Kinect v2 (noise over distance and angle); Foix, Alenya and Torras 2011 (wiggling, amplitude, multipath).
    """

    grey_noise_m: float
    least_amplitude: float
    """Reflectance times cosine over z^2 below which there is no depth."""
    multipath_ratio: float
    wiggle_m: float
    wiggle_length_m: float
    dark_bias_m: float
    """By which black looks farther than grey."""
    bias_m: Float[np.ndarray, "height width"]
    range_factor: float = 1.0
    """Stronger light for larger scenes: reaches this much farther."""
    kind: ClassVar[SensorKind] = "time-of-flight"

    def measure_m(self, surface: TrueSurface, noise: FrameNoise) -> Float[np.ndarray, "height width"]:
        """Measured z, 0 where unknown."""
        z, reach = surface.depth_m, self.range_factor
        returned = surface.reflectance * surface.incidence
        edge, chance = near_edges(z), noise.white()
        grey = np.clip(returned / np.float32(GREY_REFLECTANCE), MIN_AMPLITUDE, MAX_AMPLITUDE)
        sigma_m = self.grey_noise_m * (1 + (z / (NOISE_DOUBLES_AT_M * reach)) ** 2) / np.sqrt(grey)
        measured_m = np.where(edge, _flying(z, noise), z) + self._bias(z, grey) + sigma_m * noise.mixed(0.3)
        lost = (z < MIN_RANGE_M) | (z > MAX_RANGE_M * reach)
        lost |= returned < self.least_amplitude * (z / reach) ** 2 * (1 + 0.2 * chance)
        lost |= edge & (noise.blotches() > FLYING_FRACTION_CHANCE)
        return np.where(lost, 0, measured_m)

    def _bias(
        self, z: Float[np.ndarray, "height width"], grey: Float[np.ndarray, "height width"]
    ) -> Float[np.ndarray, "height width"]:
        """Image, distance, darkness and multipath."""
        around_m = cv2.blur(z, (MULTIPATH_PX, MULTIPATH_PX))
        corner_m = np.clip(z - around_m, 0, MULTIPATH_MOST_M)
        wave = np.sin(z * np.float32(2 * np.pi / self.wiggle_length_m))
        dark = np.clip(1 - grey, 0, 1)
        return self.bias_m + self.wiggle_m * wave + self.dark_bias_m * dark + self.multipath_ratio * corner_m


def draw_time_of_flight(
    height: int, width: int, generator: np.random.Generator, range_factor: float = 1.0
) -> TimeOfFlight:
    """One device: biases of about 1.5 mm over the image, 1 mm over the distance, up to 7 mm in corners."""
    return TimeOfFlight(
        grey_noise_m=float(generator.uniform(0.0008, 0.002)),
        least_amplitude=float(generator.uniform(0.005, 0.015)),
        multipath_ratio=float(generator.uniform(0.05, 0.25)),
        wiggle_m=float(generator.uniform(0.0, 0.002)),
        wiggle_length_m=float(generator.uniform(0.7, 1.5)),
        dark_bias_m=float(generator.uniform(0.0, 0.004)),
        bias_m=np.float32(0.0015) * smooth_field(height, width, generator),
        range_factor=range_factor,
    )


def _flying(z: Float[np.ndarray, "height width"], noise: FrameNoise) -> Float[np.ndarray, "height width"]:
    """Depths between the nearest and the farthest of the neighbours."""
    kernel = np.ones((3, 3), np.uint8)
    near, far = cv2.erode(z, kernel), cv2.dilate(z, kernel)
    weight = np.clip(np.float32(0.5) + np.float32(0.4) * noise.white(), 0, 1)
    return near + weight * (far - near)
