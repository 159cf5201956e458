"""Lamps over the table and the shadows that the main one casts."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from selfpose6d.synthetic.cameras import direction, look_at
from selfpose6d.synthetic.compose import Placed, compose
from selfpose6d.synthetic.scene_assets import SceneAssets

# about 2 mm a pixel on the table of a scene of scale 1
SHADOW_MAP_PX = 640
# times the scene scale, about the table's middle, where the objects stand; outside, nothing is in shadow
LIT_RADIUS_M = 0.6


@dataclass(frozen=True)
class Lights:
    """A lamp at a position, a far fill light and the room's own light from above; linear RGB strengths."""

    key_position_m: Float[np.ndarray, "3"]
    key_rgb: Float[np.ndarray, "3"]
    fill_direction: Float[np.ndarray, "3"]
    fill_rgb: Float[np.ndarray, "3"]
    ambient_rgb: Float[np.ndarray, "3"]
    softness_px: float


@dataclass(frozen=True)
class ShadowMap:
    """Distance from the lamp to the first surface along each ray of a camera that stands at the lamp."""

    depth_m: Float[np.ndarray, "size size"]
    nearest_m: Float[np.ndarray, "size size"]
    """Least distance within the softness: what is nearer than this is lit wholly."""
    K: Float[np.ndarray, "3 3"]
    T_light_world: Float[np.ndarray, "4 4"]


def draw_lights(generator: np.random.Generator, scale: float = 1.0) -> Lights:
    """A lamp 1.2 to 2.5 m (times the scene scale) away, not too low, warm or cold; more or less even light around."""
    towards_key = direction(generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(35, 75)))
    ambient, key, fill = generator.uniform((0.25, 0.5, 0.05), (0.5, 1.0, 0.3))
    total = ambient + 0.7 * key + 0.3 * fill
    return Lights(
        key_position_m=scale * generator.uniform(1.2, 2.5) * towards_key,
        key_rgb=key / total * _tint(generator, 0.12),
        fill_direction=direction(generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(15, 60))),
        fill_rgb=fill / total * _tint(generator, 0.08),
        ambient_rgb=ambient / total * _tint(generator, 0.06),
        softness_px=float(generator.uniform(0.8, 3.0)),
    )


def cast_shadows(
    assets: SceneAssets,
    placed: Sequence[Placed],
    lights: Lights,
    scale: float = 1.0,
    size_px: int = SHADOW_MAP_PX,
) -> ShadowMap:
    """What the lamp sees, by the same rasteriser as the camera's image; `scale` is the scene's."""
    distance_m = float(np.linalg.norm(lights.key_position_m))
    focal_px = 0.5 * size_px * distance_m / (LIT_RADIUS_M * scale)
    middle_px = 0.5 * (size_px - 1)
    K = np.array([[focal_px, 0.0, middle_px], [0.0, focal_px, middle_px], [0.0, 0.0, 1.0]])
    T_light_world = look_at(lights.key_position_m, np.zeros(3))
    surfaces = compose(assets, placed, T_light_world, K, size_px, size_px)
    depth_m = np.where(surfaces.owner >= 0, surfaces.depth_m, np.float32(np.inf))
    reach_px = 2 * int(np.ceil(lights.softness_px + 0.5)) + 1
    nearest_m = cv2.erode(depth_m, np.ones((reach_px, reach_px), np.uint8))
    return ShadowMap(depth_m, nearest_m, K, T_light_world)


def _tint(generator: np.random.Generator, strength: float) -> Float[np.ndarray, "3"]:
    warmth = generator.uniform(-strength, strength)
    return np.array([1 + warmth, 1.0, 1 - warmth])
