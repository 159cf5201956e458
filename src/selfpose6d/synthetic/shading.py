"""Light on surfaces: texture, reflection and soft shadows, with table and room behind the objects."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.shade import mip_levels
from selfpose6d.synthetic.backdrop import Backdrop
from selfpose6d.synthetic.compose import Placed, Surfaces
from selfpose6d.synthetic.lighting import Lights, ShadowMap
from selfpose6d.synthetic.scene_assets import SceneAssets
from selfpose6d.synthetic.shading_kernels import TONE_STEPS, shade_pixels

# square root of the light: about the gamma of a camera
TONE = np.round(255 * np.sqrt(np.arange(TONE_STEPS + 1) / TONE_STEPS)).astype(np.uint8)


@dataclass(frozen=True)
class Camera:
    """A camera in the world and its gain per channel."""

    T_cam_world: Float[np.ndarray, "4 4"]
    K: Float[np.ndarray, "3 3"]
    gain_rgb: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class LitImage:
    """Image without blur and noise, true depth, cosine between normal and viewing ray, reflected fraction 0-1."""

    rgb: UInt8[np.ndarray, "height width 3"]
    depth_m: Float[np.ndarray, "height width"]
    incidence: Float[np.ndarray, "height width"]
    reflectance: Float[np.ndarray, "height width"]


def shade_surfaces(
    assets: SceneAssets,
    placed: Sequence[Placed],
    surfaces: Surfaces,
    camera: Camera,
    backdrop: Backdrop,
    lights: Lights,
    shadows: ShadowMap,
) -> LitImage:
    """Colour every pixel: objects where there are any, else the table, floor or wall that the ray meets.

    Textures are square roots of the reflectance, and the image is the square root of the light.
    """
    height, width = surfaces.depth_m.shape
    rgb = np.empty((height, width, 3), np.uint8)
    depth_m, incidence = surfaces.depth_m.copy(), np.empty((height, width), np.float32)
    reflectance = np.empty((height, width), np.float32)
    mesh = np.array([item.mesh_index for item in placed])
    T_world_obj = np.array([item.T_world_obj for item in placed])
    strengths = np.stack([lights.key_rgb, lights.fill_rgb, lights.ambient_rgb]) * camera.gain_rgb
    room = np.array(
        [
            *backdrop.table_half_m,
            backdrop.room_half_m,
            backdrop.floor_z_m,
            backdrop.table_gloss,
            backdrop.scale,
        ]
    )
    packed = assets.packed
    T_cam_obj, K = torch.from_numpy(camera.T_cam_world @ T_world_obj), torch.from_numpy(camera.K)
    posed = PosedMeshes(packed, torch.from_numpy(mesh), T_cam_obj, K.expand(len(mesh), 3, 3), height, width)
    shade_pixels(
        rgb,
        depth_m,
        incidence,
        reflectance,
        surfaces.owner,
        surfaces.face_id,
        surfaces.barycentric,
        np.linalg.inv(camera.T_cam_world),
        camera.K,
        mesh,
        T_world_obj[:, :3, :3].astype(np.float32),
        mip_levels(posed).numpy(),
        assets.gloss,
        assets.corner_normals,
        packed.faces.numpy(),
        packed.vertex_rgb.numpy(),
        packed.corner_uv.numpy(),
        packed.texels.numpy(),
        packed.texture_start.numpy(),
        packed.texture_size.numpy(),
        backdrop.table_rgb.reshape(-1, 3),
        backdrop.room_rgb.reshape(-1, 3),
        room,
        np.stack([lights.key_position_m, lights.fill_direction, *strengths]),
        lights.softness_px,
        TONE,
        shadows.depth_m,
        shadows.nearest_m,
        shadows.K,
        shadows.T_light_world,
    )
    return LitImage(rgb, depth_m, incidence, reflectance)
