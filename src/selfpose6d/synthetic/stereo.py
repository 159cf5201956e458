"""Depth by two cameras and projected texture (RealSense D400)."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.depth_sensor import DepthSensor, SensorKind, TrueSurface, in_shadow, near_edges
from selfpose6d.synthetic.noise_fields import FrameNoise, smooth_field

# D415: 665 px (848 columns) x 55 mm; the D435 has 22
FOCAL_BASELINE_PX_M = 36.0
BASELINE_M = 0.055
# disparities have five bits after the point
STEP_PX = 1 / 32
# weight of the blotches: the matching window makes neighbours alike
BLOTCH_WEIGHT = 0.93
# least z of a D415 at 640 columns is 0.3 m, of a D405 less; noise of 1 to 2 % of the distance at the far end
MIN_RANGE_M, MAX_RANGE_M = 0.25, 6.0


@dataclass(frozen=True)
class Stereo(DepthSensor):
    """Correlated noise of `subpixel_px` of disparity: 1.2e-3 to 2.8e-3 z^2 (m); a ripple between whole disparities.

    Near surfaces bleed 2 to 4 pixels over what is behind them, edges are smooth ramps, the band that only one camera
    sees is lost in part, and so are blotches where matching fails.

    Reference: Intel 2018, "Best-known methods for tuning RealSense D400 depth cameras" (noise = subpixel error times
    z^2 / (focal length times baseline), 0.05 to 0.1 px); Keselman et al. 2017 (census matching, edges); Shimizu and
    Okutomi 2001 (the ripple: subpixel interpolation is drawn to whole disparities).
    """

    subpixel_px: float
    bleed_px: int
    ramp_px: float
    ripple_px: float
    grazing_cosine: float
    hole_blotches: float
    """Blotches beyond this many standard deviations have no match."""
    bias_m: Float[np.ndarray, "height width"]
    """At 1 m; grows with the square of the distance."""
    range_factor: float = 1.0
    """A wider baseline for larger scenes: reaches this much farther with this much less noise."""
    kind: ClassVar[SensorKind] = "stereo"

    def measure_m(self, surface: TrueSurface, noise: FrameNoise) -> Float[np.ndarray, "height width"]:
        """Measured z, 0 where unknown."""
        fb = FOCAL_BASELINE_PX_M * self.range_factor
        true_px = fb / self._bled(surface.depth_m, noise)
        disparity_px = cv2.GaussianBlur(true_px, (0, 0), self.ramp_px)
        disparity_px += self.subpixel_px * noise.mixed(BLOTCH_WEIGHT)
        disparity_px -= FOCAL_BASELINE_PX_M * self.bias_m
        disparity_px -= np.float32(self.ripple_px) * np.sin(np.float32(2 * np.pi) * disparity_px)
        measured_m = fb / (STEP_PX * np.maximum(np.round(disparity_px / STEP_PX), 1))
        matching, chance = noise.blotches(), noise.white()
        lost = (surface.depth_m < MIN_RANGE_M) | (measured_m > MAX_RANGE_M * self.range_factor)
        lost |= in_shadow(surface.depth_m, surface.focal_px, BASELINE_M * self.range_factor, -1) & (
            matching > -0.5
        )
        lost |= near_edges(surface.depth_m) & (matching > 1.0)
        lost |= (matching > self.hole_blotches) | (
            surface.incidence < self.grazing_cosine * (1 + 0.3 * chance)
        )
        return np.where(lost, 0, measured_m)

    def _bled(
        self, depth_m: Float[np.ndarray, "height width"], noise: FrameNoise
    ) -> Float[np.ndarray, "height width"]:
        """Near surfaces grown over far ones, by more in some places than in others."""
        near, far = (cv2.erode(depth_m, _disc(size)) for size in (self.bleed_px, max(self.bleed_px - 2, 0)))
        return np.where(noise.blotches() > 0, near, far)


def draw_stereo(height: int, width: int, generator: np.random.Generator, range_factor: float = 1.0) -> Stereo:
    """One device: 0.043 to 0.1 px of noise, a ripple of up to 0.05 px, 1.5 mm of bias at 1 m."""
    return Stereo(
        subpixel_px=float(generator.uniform(0.043, 0.1)),
        bleed_px=int(generator.integers(1, 4)),
        ramp_px=float(generator.uniform(0.7, 1.3)),
        ripple_px=float(generator.uniform(0.0, 0.05)),
        grazing_cosine=float(generator.uniform(0.05, 0.15)),
        hole_blotches=float(generator.uniform(2.4, 3.6)),
        bias_m=np.float32(0.0015) * smooth_field(height, width, generator),
        range_factor=range_factor,
    )


def _disc(radius_px: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
