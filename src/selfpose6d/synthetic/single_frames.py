"""Single frames in memory, each of another scene, camera and sensor: to measure what a certificate is worth."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import UsageError
from selfpose6d.synthetic.backdrop import Backdrop, make_backdrop
from selfpose6d.synthetic.cameras import K_YCB_VIDEO, direction, look_at
from selfpose6d.synthetic.clutter import arrange_cluttered, hold_in_front
from selfpose6d.synthetic.compose import compose
from selfpose6d.synthetic.depth_sensor import SensorKind, TrueSurface
from selfpose6d.synthetic.frame import RenderedFrame, true_instances
from selfpose6d.synthetic.image_variation import (
    GLOSS_FACTOR,
    MAX_SHIFT_PX,
    draw_image_settings,
    draw_varied_lights,
    take_varied_image,
)
from selfpose6d.synthetic.layout import Arrangement
from selfpose6d.synthetic.lighting import cast_shadows
from selfpose6d.synthetic.mask_noise import MASK_KINDS, MaskKind
from selfpose6d.synthetic.noise_fields import FrameNoise, NoiseFields, make_noise_fields
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import REAL_SENSORS, depth_units_per_m, draw_depth_sensor, quantise_depth
from selfpose6d.synthetic.shading import Camera, shade_surfaces

# enough that a frame's background tells nothing; each takes about 20 ms to draw, once
NUM_BACKDROPS = 16
# half the data sets': an edge of a shadow is four millimetres wide then, less than its softness
SHADOW_MAP_PX = 320
# times the scene scale; the nearest that 2 to 6 objects are seen from
DISTANCE_M = (0.4, 1.5)
# the nearest part of the nearest object stays that far away: sensors see nothing nearer
LEAST_M = 0.3
# of the image's shorter side, that the largest object may fill
MAX_FILL = 0.85
ELEVATION_RAD = (np.radians(10), np.radians(80))
# camera's aim off the objects' middle, times the scene scale: some objects are cut by the border
AIM_DEVIATION_M = 0.03


@dataclass(frozen=True)
class CameraKind:
    """Intrinsics and image size."""

    K: Float[np.ndarray, "3 3"]
    height: int
    width: int


def _pinhole(focal_px: float, height: int, width: int) -> CameraKind:
    K = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1.0]])
    return CameraKind(K, height, width)


CAMERAS = (CameraKind(K_YCB_VIDEO, 480, 640), _pinhole(600.0, 480, 640), _pinhole(900.0, 720, 960))
"""YCB-Video's narrow view; a Kinect's or RealSense's at 640 columns; a finer one."""


@dataclass(frozen=True)
class SceneVariation:
    """What a single frame may be; each is drawn per frame (masks: per instance)."""

    sensors: tuple[SensorKind, ...] = REAL_SENSORS
    masks: tuple[MaskKind, ...] = MASK_KINDS
    """None at all leaves every mask exact."""
    cameras: tuple[CameraKind, ...] = CAMERAS
    max_shift_px: float = MAX_SHIFT_PX
    """Of the colours against the depth."""

    def __post_init__(self) -> None:
        if not self.sensors or not set(self.sensors) <= set(REAL_SENSORS):
            raise UsageError(
                f"sensors must be some of {', '.join(REAL_SENSORS)}, got {self.sensors}. Name one."
            )
        if not self.cameras:
            raise UsageError("cameras must hold at least one, got none. Leave it out for the usual ones.")
        if not 0 <= self.max_shift_px < np.inf:
            raise UsageError(f"max_shift_px must be 0 or more, got {self.max_shift_px}. Pass 0 for no shift.")


def render_single(
    assets: SceneAssets, variation: SceneVariation, generator: np.random.Generator
) -> RenderedFrame:
    """One frame of its own scene: 2 to 6 things close together on a table, seen from anywhere above it.

    Everything follows `generator`; frames with their own generators do not depend on their order.
    """
    camera_kind = variation.cameras[int(generator.integers(len(variation.cameras)))]
    kind = variation.sensors[int(generator.integers(len(variation.sensors)))]
    height, width, K = camera_kind.height, camera_kind.width, camera_kind.K
    arrangement = arrange_cluttered(assets, generator)
    T_cam_world, distance_scale = _draw_viewpoint(assets, arrangement, camera_kind, generator)
    arrangement = hold_in_front(assets, arrangement, T_cam_world, LEAST_M, generator)
    scale, placed = arrangement.scale, arrangement.placed
    settings = draw_image_settings(generator, variation.max_shift_px)
    lights, backdrop = draw_varied_lights(generator, scale.size), _draw_backdrop(scale.size, generator)
    shiny = replace(assets, gloss=assets.gloss * np.float32(generator.uniform(*GLOSS_FACTOR)))
    shadows = cast_shadows(assets, placed, lights, scale.size, SHADOW_MAP_PX)
    surfaces = compose(assets, placed, T_cam_world, K, height, width)
    camera = Camera(T_cam_world, K, settings.gain_rgb)
    lit = shade_surfaces(shiny, placed, surfaces, camera, backdrop, lights, shadows)
    surface = TrueSurface(lit.depth_m, lit.incidence, lit.reflectance, float(K[0, 0]))
    noise = FrameNoise(_noise_pool(height, width), (height, width), generator)
    sensor = draw_depth_sensor(kind, height, width, generator, distance_scale)
    units = depth_units_per_m(distance_scale)
    labelled = placed[: arrangement.labelled]
    return RenderedFrame(
        rgb=take_varied_image(lit.rgb, settings, noise),
        depth=quantise_depth(sensor.measure_m(surface, noise), units),
        K=K,
        T_cam_world=T_cam_world,
        instances=true_instances(assets, labelled, T_cam_world, surfaces, variation.masks, generator),
        owner=surfaces.owner,
        sensor=kind,
        depth_units_per_m=units,
    )


def _draw_viewpoint(
    assets: SceneAssets, arrangement: Arrangement, camera: CameraKind, generator: np.random.Generator
) -> tuple[Float[np.ndarray, "4 4"], float]:
    """`T_cam_world`, and its distance in units of the farthest of a scene of scale 1.

    Not nearer than the largest object fits, nor than the sensors' least range.
    """
    scale, K = arrangement.scale, camera.K
    labelled = arrangement.placed[: arrangement.labelled]
    diameters_m = [assets.diameters_m[item.mesh_index] for item in labelled]
    away_m = [np.linalg.norm(item.T_world_obj[:3, 3] - arrangement.centre_m) for item in labelled]
    radius_m = max(away + diameter / 2 for away, diameter in zip(away_m, diameters_m, strict=True))
    fits_m = K[0, 0] * max(diameters_m) / (MAX_FILL * min(camera.height, camera.width))
    nearest_m = max(DISTANCE_M[0] * scale.size, fits_m, LEAST_M + radius_m)
    farthest_m = max(DISTANCE_M[1] * scale.size, 1.2 * nearest_m)
    # nearer ones more often, as recordings have them
    distance_m = nearest_m + (farthest_m - nearest_m) * generator.random() ** 1.5
    aim_m = arrangement.centre_m + scale.size * generator.normal(0, AIM_DEVIATION_M, 3)
    towards = direction(generator.uniform(0, 2 * np.pi), generator.uniform(*ELEVATION_RAD))
    roll = np.radians(generator.normal(0, 8))
    return look_at(aim_m + distance_m * towards, aim_m, roll), float(farthest_m / DISTANCE_M[1])


def _draw_backdrop(scale: float, generator: np.random.Generator) -> Backdrop:
    """One of the pool's, with its colours exchanged and its textures at another size."""
    pool = _backdrop_pool()
    table, room = pool[int(generator.integers(len(pool)))], pool[int(generator.integers(len(pool)))]
    return replace(
        table,
        table_rgb=np.ascontiguousarray(table.table_rgb[..., generator.permutation(3)]),
        room_rgb=room.room_rgb,
        table_half_m=tuple((scale * generator.uniform(0.45, 0.8, 2)).tolist()),
        room_half_m=scale * room.room_half_m,
        floor_z_m=scale * room.floor_z_m,
        scale=scale * generator.uniform(0.6, 1.4),
    )


@cache
def _backdrop_pool() -> tuple[Backdrop, ...]:
    generator = np.random.default_rng(0xBAC)
    return tuple(make_backdrop(generator) for _ in range(NUM_BACKDROPS))


@cache
def _noise_pool(height: int, width: int) -> NoiseFields:
    return make_noise_fields(height, width, np.random.default_rng(0x0153))
