"""One scene: an arrangement on a table, a camera that moves around it, and what it sees."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from selfpose6d.synthetic.backdrop import make_backdrop
from selfpose6d.synthetic.cameras import HEIGHT_PX, K_YCB_VIDEO, WIDTH_PX, all_around, orbit
from selfpose6d.synthetic.compose import compose
from selfpose6d.synthetic.depth_sensor import SensorKind, TrueSurface
from selfpose6d.synthetic.frame import RenderedFrame, true_instances
from selfpose6d.synthetic.layout import add_occluder, arrange_single_upright, arrange_tabletop
from selfpose6d.synthetic.lighting import cast_shadows, draw_lights
from selfpose6d.synthetic.mask_noise import MASK_KINDS, MaskKind
from selfpose6d.synthetic.options import FRAMES_PER_SCENE, MaskOption, SensorOption, Split, SynthOptions
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import (
    REAL_SENSORS,
    SensorModel,
    draw_depth_sensor,
    draw_sensor,
    measure_depth,
    take_image,
)
from selfpose6d.synthetic.shading import Camera, shade_surfaces

SPLIT_KEY: dict[Split, int] = {"train": 0, "test": 1}
# of the random streams beside the scene's own: the same scene whatever the sensor and the masks
SENSOR_STREAM, MASK_STREAM = 0x5E75, 0x3A5C


def render_scene(
    assets: SceneAssets, options: SynthOptions, split: Split, scene_id: int, frames: int
) -> Iterator[RenderedFrame]:
    """Frames of a scene; everything follows the seed, the split and the scene's id."""
    key = [options.seed, SPLIT_KEY[split], scene_id]
    generator = np.random.default_rng(key)
    single = options.preset == "single-upright"
    arrangement = (arrange_single_upright if single else arrange_tabletop)(assets, generator)
    scale = arrangement.scale
    backdrop, lights = make_backdrop(generator, scale.size), draw_lights(generator, scale.size)
    sensor = draw_sensor(HEIGHT_PX, WIDTH_PX, generator, scale.distance)
    depth_generator, mask_generator = generator, np.random.default_rng([*key, MASK_STREAM])
    if options.sensor != "simple":
        depth_generator = np.random.default_rng([*key, SENSOR_STREAM])
        sensor = _with_real_depth(sensor, options.sensor, scale.distance, depth_generator)
    shadows = cast_shadows(assets, arrangement.placed, lights, scale.size)
    indices = range(scene_id * FRAMES_PER_SCENE, scene_id * FRAMES_PER_SCENE + frames)
    cameras = (
        all_around(indices, arrangement.centre_m, generator, scale)
        if single
        else orbit(frames, arrangement.centre_m, generator, scale)
    )
    for index, T_cam_world in zip(indices, cameras, strict=True):
        shown, cast = arrangement, shadows
        if single and index % 2:
            shown = add_occluder(assets, arrangement, T_cam_world, K_YCB_VIDEO, generator)
            cast = cast_shadows(assets, shown.placed, lights, scale.size)
        surfaces = compose(assets, shown.placed, T_cam_world, K_YCB_VIDEO, HEIGHT_PX, WIDTH_PX)
        camera = Camera(T_cam_world, K_YCB_VIDEO, sensor.gain_rgb)
        lit = shade_surfaces(assets, shown.placed, surfaces, camera, backdrop, lights, cast)
        labelled = shown.placed[: shown.labelled]
        surface = TrueSurface(lit.depth_m, lit.incidence, lit.reflectance, float(K_YCB_VIDEO[0, 0]))
        yield RenderedFrame(
            rgb=take_image(lit.rgb, sensor, generator),
            depth=measure_depth(surface, sensor, depth_generator),
            K=K_YCB_VIDEO,
            T_cam_world=T_cam_world,
            instances=true_instances(
                assets, labelled, T_cam_world, surfaces, mask_kinds(options.masks), mask_generator
            ),
            owner=surfaces.owner,
            sensor=sensor.depth.kind,
            depth_units_per_m=sensor.depth_units_per_m,
        )


def mask_kinds(option: MaskOption) -> tuple[MaskKind, ...]:
    """The kinds that `--masks` draws from; none where masks are to stay as they are."""
    if option == "exact":
        return ()
    return MASK_KINDS if option == "mixed" else (option,)


def _with_real_depth(
    sensor: SensorModel, option: SensorOption, distance_scale: float, generator: np.random.Generator
) -> SensorModel:
    """The same colour camera with one of the real depth sensors."""
    kinds: list[SensorKind] = [kind for kind in REAL_SENSORS if option in (kind, "mixed")]
    kind = kinds[int(generator.integers(len(kinds)))]
    depth = draw_depth_sensor(kind, HEIGHT_PX, WIDTH_PX, generator, distance_scale)
    return replace(sensor, depth=depth)
