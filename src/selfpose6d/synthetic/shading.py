"""Light on surfaces: texture, reflection and soft shadows, with table and room behind the objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.synthetic.backdrop import Backdrop
from selfpose6d.synthetic.compose import Placed, Surfaces
from selfpose6d.synthetic.lighting import Lights, ShadowMap
from selfpose6d.synthetic.shading_numba import TONE_STEPS, shade_pixels
from selfpose6d.synthetic.stock import Stock

TONE = np.round(255 * np.sqrt(np.arange(TONE_STEPS + 1) / TONE_STEPS)).astype(np.uint8)


@dataclass(frozen=True)
class View:
    """A camera in the world and its gain per channel."""

    T_cam_world: Float[np.ndarray, "4 4"]
    K: Float[np.ndarray, "3 3"]
    gain_rgb: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class LitImage:
    """Picture without blur and noise, true depth, and the cosine between surface normal and viewing ray."""

    rgb: UInt8[np.ndarray, "height width 3"]
    depth_m: Float[np.ndarray, "height width"]
    incidence: Float[np.ndarray, "height width"]


def shade_surfaces(
    stock: Stock,
    placed: Sequence[Placed],
    surfaces: Surfaces,
    view: View,
    backdrop: Backdrop,
    lights: Lights,
    shadows: ShadowMap,
) -> LitImage:
    """Colour every pixel: objects where there are any, else the table, floor or wall that the ray meets.

    Textures are square roots of the reflected share, and the picture is the square root of the light.
    """
    height, width = surfaces.depth_m.shape
    rgb = np.empty((height, width, 3), np.uint8)
    depth_m, incidence = surfaces.depth_m.copy(), np.empty((height, width), np.float32)
    camera_lights = lights.as_array()
    camera_lights[[1, 3, 4]] *= view.gain_rgb
    mesh = np.array([thing.mesh_index for thing in placed])
    T_world_obj = np.array([thing.T_world_obj for thing in placed])
    packed = stock.packed
    shade_pixels(
        rgb,
        depth_m,
        incidence,
        surfaces.owner,
        surfaces.face_id,
        surfaces.barycentric,
        np.linalg.inv(view.T_cam_world),
        view.K,
        mesh,
        T_world_obj[:, :3, :3].astype(np.float32),
        mip_levels(stock, mesh, view.T_cam_world @ T_world_obj, view.K),
        stock.gloss,
        stock.corner_normals,
        packed.faces.numpy(),
        packed.vertex_rgb.numpy(),
        packed.corner_uv.numpy(),
        packed.texels.numpy(),
        packed.texture_start.numpy(),
        packed.texture_size.numpy(),
        backdrop.table_rgb,
        backdrop.room_rgb,
        np.array([*backdrop.table_half_m, backdrop.room_half_m, backdrop.floor_z_m, backdrop.table_gloss]),
        camera_lights,
        lights.softness_px,
        TONE,
        shadows.depth_m,
        shadows.nearest_m,
        shadows.K,
        shadows.T_light_world,
    )
    return LitImage(rgb, depth_m, incidence)


def mip_levels(
    stock: Stock, mesh: np.ndarray, T_cam_obj: Float[np.ndarray, "n 4 4"], K: np.ndarray
) -> np.ndarray:
    """Texture level at which a texel is about as large as a pixel, from each object's distance."""
    texels_per_px = stock.packed.texels_per_m.numpy()[mesh] * T_cam_obj[:, 2, 3] / K[0, 0]
    level = np.round(np.log2(np.maximum(texels_per_px, 1.0))).astype(np.int64)
    return np.minimum(level, stock.packed.texture_size.shape[1] - 1)
