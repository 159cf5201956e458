"""The sensor's depth noise, measured on the frame itself.

Small windows of a depth image mostly show planes, and on a plane the inverse depth is linear in the pixel: what is left
of it after the best fit is noise.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

WINDOW_PX = 13
"""Wide enough for the correlation of a sensor's noise (4 to 6 px), small enough to be plane."""
MAX_WINDOWS = 3_000
"""Of a frame: a 640 x 480 image at every tenth pixel."""
QUANTILE = 0.3
"""Of the windows' deviations: edges and curved surfaces raise the upper ones. On rendered planes it is within a fifth
of the truth; on YCB-Video it gives 0.5 mm at 0.7 m and 2.3 mm at 2 m."""
NEAR_RATIO, MIN_NEAR = 1.3, 40
"""Windows up to this factor nearer or farther speak for a distance, where there are enough."""
FLOOR_PER_M = 0.0005
"""Least deviation at 1 m, growing with the square: no sensor is better, and rendered depth has no noise at all."""
DEFAULT_PER_M = 0.0015
"""Deviation at 1 m where the frame shows no smooth window: a structured-light camera's."""


@dataclass(frozen=True)
class DepthNoise:
    """Deviations of the windows of one frame: `depth_m` their distance, `sigma_per_m` of the inverse depth."""

    depth_m: Float[np.ndarray, " windows"]
    sigma_per_m: Float[np.ndarray, " windows"]
    fixed_m: float | None = None
    """A deviation that is known, at every distance; None: what was measured."""

    @cached_property
    def _overall_per_m(self) -> float:
        return float(np.quantile(self.sigma_per_m, QUANTILE)) if len(self.sigma_per_m) else DEFAULT_PER_M

    def at(self, distance_m: float) -> float:
        """Standard deviation of the depth at a distance, metres; inverse depth makes it grow with the square."""
        if self.fixed_m is not None:
            return self.fixed_m
        near = np.abs(np.log(self.depth_m / distance_m)) < np.log(NEAR_RATIO)
        per_m = self._overall_per_m
        if near.sum() >= MIN_NEAR:
            per_m = float(np.quantile(self.sigma_per_m[near], QUANTILE))
        return max(per_m, FLOOR_PER_M) * distance_m**2


def known_noise(noise_m: float) -> DepthNoise:
    """A camera's own figure instead of a measurement."""
    return DepthNoise(np.zeros(0), np.zeros(0), noise_m)


def measure_noise(depth_m: Float[np.ndarray, "height width"]) -> DepthNoise:
    """Deviations from the best plane in windows spread over the image; those with unknown depth (0) are left out."""
    if min(depth_m.shape) < WINDOW_PX:
        return DepthNoise(np.zeros(0), np.zeros(0))
    windows = np.lib.stride_tricks.sliding_window_view(depth_m, (WINDOW_PX, WINDOW_PX))
    step = max(1, int(np.sqrt(windows.shape[0] * windows.shape[1] / MAX_WINDOWS)))
    flat = windows[::step, ::step].reshape(-1, WINDOW_PX**2)
    flat = flat[(flat > 0).all(1)].astype(np.float64)
    v, u = np.mgrid[:WINDOW_PX, :WINDOW_PX].reshape(2, -1) - WINDOW_PX // 2
    basis = np.linalg.qr(np.stack([np.ones_like(u), u, v], 1).astype(np.float64))[0]
    inverse = 1 / flat
    residual = inverse - (inverse @ basis) @ basis.T
    sigma = np.sqrt((residual**2).sum(1) / (WINDOW_PX**2 - basis.shape[1]))
    return DepthNoise(np.median(flat, axis=1), sigma)
