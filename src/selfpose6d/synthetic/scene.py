"""One scene: an arrangement on a table, a camera that moves around it, and what it sees."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from selfpose6d.synthetic.backdrop import make_backdrop
from selfpose6d.synthetic.cameras import HEIGHT_PX, K_YCB_VIDEO, WIDTH_PX, all_around, orbit
from selfpose6d.synthetic.compose import Silhouette, Surfaces, compose
from selfpose6d.synthetic.layout import Arrangement, add_occluder, arrange_single_upright, arrange_tabletop
from selfpose6d.synthetic.lighting import cast_shadows, draw_lights
from selfpose6d.synthetic.options import FRAMES_PER_SCENE, Split, SynthOptions
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.sensor import draw_sensor, measure_depth, take_image
from selfpose6d.synthetic.shading import Camera, shade_surfaces

SPLIT_KEY: dict[Split, int] = {"train": 0, "test": 1}


@dataclass(frozen=True)
class TrueInstance:
    """An object with at least one visible pixel, its pose and its outlines."""

    obj_id: int
    T_cam_obj: Float[np.ndarray, "4 4"]
    visible: Bool[np.ndarray, "height width"]
    silhouette: Silhouette


@dataclass(frozen=True)
class RenderedFrame:
    """One image as a sensor gives it, with what is true about it. Depth in units of 0.1 mm, 0 unknown."""

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: UInt16[np.ndarray, "height width"]
    K: Float[np.ndarray, "3 3"]
    T_cam_world: Float[np.ndarray, "4 4"]
    instances: tuple[TrueInstance, ...]


def render_scene(
    assets: SceneAssets, options: SynthOptions, split: Split, scene_id: int, frames: int
) -> Iterator[RenderedFrame]:
    """Frames of a scene; everything follows the seed, the split and the scene's id."""
    generator = np.random.default_rng([options.seed, SPLIT_KEY[split], scene_id])
    single = options.preset == "single-upright"
    arrangement = (arrange_single_upright if single else arrange_tabletop)(assets, generator)
    backdrop, lights = make_backdrop(generator), draw_lights(generator)
    sensor = draw_sensor(HEIGHT_PX, WIDTH_PX, generator)
    shadows = cast_shadows(assets, arrangement.placed, lights)
    indices = range(scene_id * FRAMES_PER_SCENE, scene_id * FRAMES_PER_SCENE + frames)
    cameras = (
        all_around(indices, arrangement.centre_m, generator)
        if single
        else orbit(frames, arrangement.centre_m, generator)
    )
    for index, T_cam_world in zip(indices, cameras, strict=True):
        shown, cast = arrangement, shadows
        if single and index % 2:
            shown = add_occluder(assets, arrangement, T_cam_world, K_YCB_VIDEO, generator)
            cast = cast_shadows(assets, shown.placed, lights)
        surfaces = compose(assets, shown.placed, T_cam_world, K_YCB_VIDEO, HEIGHT_PX, WIDTH_PX)
        camera = Camera(T_cam_world, K_YCB_VIDEO, sensor.gain_rgb)
        lit = shade_surfaces(assets, shown.placed, surfaces, camera, backdrop, lights, cast)
        yield RenderedFrame(
            rgb=take_image(lit.rgb, sensor, generator),
            depth=measure_depth(lit.depth_m, lit.incidence, sensor, generator),
            K=K_YCB_VIDEO,
            T_cam_world=T_cam_world,
            instances=_instances(assets, shown, T_cam_world, surfaces),
        )


def _instances(
    assets: SceneAssets, arrangement: Arrangement, T_cam_world: Float[np.ndarray, "4 4"], surfaces: Surfaces
) -> tuple[TrueInstance, ...]:
    found = (
        TrueInstance(
            assets.object_ids[item.mesh_index],
            T_cam_world @ item.T_world_obj,
            surfaces.owner == index,
            surfaces.silhouettes[index],
        )
        for index, item in enumerate(arrangement.placed[: arrangement.labelled])
    )
    return tuple(instance for instance in found if instance.visible.any())
