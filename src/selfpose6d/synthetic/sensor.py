"""What the camera makes of the scene: exposure, blur and noise in colour; the depth sensor's own view in depth."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int16, UInt8, UInt16

from selfpose6d.synthetic.depth_sensor import (
    MAX_RANGE_M,
    DepthSensor,
    SensorKind,
    TrueSurface,
    draw_simple_sensor,
)
from selfpose6d.synthetic.noise_fields import FrameNoise, NoiseFields, cut, make_noise_fields
from selfpose6d.synthetic.stereo import draw_stereo
from selfpose6d.synthetic.structured_light import draw_structured_light
from selfpose6d.synthetic.time_of_flight import draw_time_of_flight

DEPTH_UNITS_PER_M = 10_000
"""Of scenes that a consumer camera could take; 16 bits hold 6.5 m."""
LARGE_DEPTH_UNITS_PER_M = 1_000
"""Of larger scenes: 65 m."""
# a scene of scale 1 ends 1.6 m from its camera
SCENE_DEPTH_M = 1.6
REAL_SENSORS: tuple[SensorKind, ...] = ("structured-light", "stereo", "time-of-flight")
_DRAW = {
    "structured-light": draw_structured_light,
    "stereo": draw_stereo,
    "time-of-flight": draw_time_of_flight,
}


@dataclass(frozen=True)
class SensorModel:
    """One scene's camera: colour settings, depth sensor, and the fields that frames cut noise from."""

    gain_rgb: Float[np.ndarray, "3"]
    rgb_noise: Int16[np.ndarray, "rows columns 3"]
    blur_px: float
    depth: DepthSensor
    fields: NoiseFields
    depth_units_per_m: int = DEPTH_UNITS_PER_M


def draw_sensor(
    height: int, width: int, generator: np.random.Generator, distance_scale: float = 1.0
) -> SensorModel:
    """Settings and noise fields of one recording; scenes farther away than usual get a sensor that reaches them."""
    fields = make_noise_fields(height, width, generator)
    grain = np.float32(255 * generator.uniform(0.004, 0.014)) * fields.white
    rgb_noise = np.stack([np.roll(grain, 7 * k, axis=k % 2) for k in range(3)], -1)
    warmth = generator.uniform(-0.08, 0.08)
    gain_rgb = generator.uniform(0.85, 1.35) * np.array([1 + warmth, 1.0, 1 - warmth])
    blur_px = float(generator.uniform(0.45, 0.8))
    simple, reach = draw_simple_sensor(generator), range_factor(distance_scale)
    simple = replace(
        simple,
        max_range_m=MAX_RANGE_M * reach,
        depth_noise_per_m=simple.depth_noise_per_m / reach,
        disparity_m=simple.disparity_m * reach,
    )
    units = depth_units_per_m(distance_scale)
    return SensorModel(gain_rgb, rgb_noise.round().astype(np.int16), blur_px, simple, fields, units)


def draw_depth_sensor(
    kind: SensorKind, height: int, width: int, generator: np.random.Generator, distance_scale: float = 1.0
) -> DepthSensor:
    """A device of one of the three real kinds, for images of this size."""
    return _DRAW[kind](height, width, generator, range_factor(distance_scale))


def range_factor(distance_scale: float) -> float:
    """By how much a sensor must reach farther than a consumer's, for a scene of this scale; 1 or more."""
    return max(1.0, SCENE_DEPTH_M * distance_scale / MAX_RANGE_M)


def depth_units_per_m(distance_scale: float) -> int:
    """Tenths of a millimetre, or millimetres where 16 bits would not hold the scene's depth."""
    fits = MAX_RANGE_M * range_factor(distance_scale) * DEPTH_UNITS_PER_M <= np.iinfo(np.uint16).max
    return DEPTH_UNITS_PER_M if fits else LARGE_DEPTH_UNITS_PER_M


def take_image(
    rgb: UInt8[np.ndarray, "height width 3"], sensor: SensorModel, generator: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Lens blur and noise."""
    blurred = cv2.GaussianBlur(rgb, (0, 0), sensor.blur_px)
    return cv2.add(blurred, cut(sensor.rgb_noise, rgb.shape, generator), dtype=cv2.CV_8U)


def measure_depth(
    surface: TrueSurface, sensor: SensorModel, generator: np.random.Generator
) -> UInt16[np.ndarray, "height width"]:
    """Depth as the sensor gives it, in its units; 0 unknown."""
    height, width = surface.depth_m.shape
    measured_m = sensor.depth.measure_m(surface, FrameNoise(sensor.fields, (height, width), generator))
    return quantise_depth(measured_m, sensor.depth_units_per_m)


def quantise_depth(
    measured_m: Float[np.ndarray, "height width"], units_per_m: int
) -> UInt16[np.ndarray, "height width"]:
    """Depth in whole units; 0 (unknown) where 16 bits do not hold it."""
    units = np.round(measured_m * units_per_m)
    return np.where((units > np.iinfo(np.uint16).max) | (units < 0), 0, units).astype(np.uint16)
