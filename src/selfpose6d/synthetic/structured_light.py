"""Depth by projected dots (Kinect v1, PrimeSense, Xtion)."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.depth_sensor import DepthSensor, SensorKind, TrueSurface, in_shadow, near_edges
from selfpose6d.synthetic.noise_fields import FrameNoise, pixel_grid, smooth_field

# 580 px x 75 mm between camera and projector
FOCAL_BASELINE_PX_M = 43.5
BASELINE_M = 0.075
# disparity is found in eighths of a pixel: steps of 2.9 mm at 1 m
STEP_PX = 0.125
# before rounding; with the rounding's own 0.29 steps it makes 0.5 steps, 1.4 mm at 1 m
NOISE_STEPS = 0.4
# Nguyen et al.: 0.8 px sideways, the dots' spacing
LATERAL_PX = 0.8
# short-range devices begin at 0.35 m, some a little before; the long-range ones end at 4 m
MIN_RANGE_M, MAX_RANGE_M = 0.3, 4.0


@dataclass(frozen=True)
class StructuredLight(DepthSensor):
    """Disparity noise of half a step of an eighth of a pixel: 1.4e-3 z^2 (m), in blotches as wide as the dots.

    Lost: the projector's shadow beside near objects (always the same side), depth edges, grazing and dark surfaces.

    Reference: Khoshelham and Elberink 2012, Eq. (11) (1.425e-3 z^2); Nguyen, Izadi and Lovell 2012 (lateral noise,
    angles); Teichman, Miller and Thrun 2013 (smooth bias that grows with the distance).
    """

    noise_factor: float
    """1: as in the papers; devices differ."""
    side: int
    """Of the projector: 1 right, -1 left."""
    grazing_cosine: float
    dark_reflectance: float
    bias_m: Float[np.ndarray, "height width"]
    """At 1 m; grows with the square of the distance."""
    range_factor: float = 1.0
    """A wider baseline for larger scenes: reaches this much farther with this much less noise."""
    kind: ClassVar[SensorKind] = "structured-light"

    def measure_m(self, surface: TrueSurface, noise: FrameNoise) -> Float[np.ndarray, "height width"]:
        """Measured z, 0 where unknown."""
        fb = FOCAL_BASELINE_PX_M * self.range_factor
        depth_m = _moved_aside(surface.depth_m, noise)
        disparity_px = fb / depth_m + self.noise_factor * NOISE_STEPS * STEP_PX * noise.mixed(0.8)
        disparity_px -= FOCAL_BASELINE_PX_M * self.bias_m
        measured_m = fb / (STEP_PX * np.maximum(np.round(disparity_px / STEP_PX), 1))
        chance = noise.blotches()
        lost = (depth_m < MIN_RANGE_M) | (depth_m > MAX_RANGE_M * self.range_factor)
        lost |= in_shadow(surface.depth_m, surface.focal_px, BASELINE_M * self.range_factor, self.side)
        lost |= near_edges(depth_m, 5) & (noise.blotches() > 0.3)
        lost |= surface.incidence < self.grazing_cosine * (1 + 0.3 * chance)
        lost |= surface.reflectance * surface.incidence < self.dark_reflectance * (1 + 0.5 * chance)
        return np.where(lost, 0, measured_m)


def draw_structured_light(
    height: int, width: int, generator: np.random.Generator, range_factor: float = 1.0
) -> StructuredLight:
    """One device: 0.7 to 1.3 times the papers' noise, blind beyond 72 to 82 degrees, 1.5 mm of bias at 1 m."""
    return StructuredLight(
        noise_factor=float(generator.uniform(0.7, 1.3)),
        side=int(generator.choice([-1, 1])),
        grazing_cosine=float(generator.uniform(0.14, 0.3)),
        dark_reflectance=float(generator.uniform(0.002, 0.01)),
        bias_m=np.float32(0.0015) * smooth_field(height, width, generator),
        range_factor=range_factor,
    )


def _moved_aside(
    depth_m: Float[np.ndarray, "height width"], noise: FrameNoise
) -> Float[np.ndarray, "height width"]:
    """The depth of a place near by: outlines fray by the dots' spacing."""
    columns, rows = pixel_grid(*depth_m.shape)
    across, down = (np.float32(LATERAL_PX) * noise.blotches() for _ in range(2))
    return cv2.remap(
        depth_m, columns + across, rows + down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
    )
