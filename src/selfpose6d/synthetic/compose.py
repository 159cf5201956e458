"""Many objects in one image: each is rasterised in its own window, the nearest surface wins."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int16, Int32

from selfpose6d.datasets.bop.entries import Silhouette
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.synthetic.compose_kernels import keep_nearest
from selfpose6d.synthetic.scene_assets import SceneAssets

# nearest depth of a vertex; a safeguard, as cameras stand 0.6 m away and more
NEAR_M = 0.05


@dataclass(frozen=True)
class Placed:
    """A mesh of the scene assets at a pose in the world (metres); a distractor's rotation may hold a scale factor."""

    mesh_index: int
    T_world_obj: Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class Surfaces:
    """What is in front per pixel: `owner` indexes the placed objects, -1 where there is none (depth 0)."""

    owner: Int16[np.ndarray, "height width"]
    face_id: Int32[np.ndarray, "height width"]
    barycentric: Float[np.ndarray, "height width 3"]
    depth_m: Float[np.ndarray, "height width"]
    silhouettes: tuple[Silhouette, ...]


def compose(
    assets: SceneAssets,
    placed: Sequence[Placed],
    T_cam_world: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    height: int,
    width: int,
) -> Surfaces:
    """Rasterise every object and keep the nearest surface of each pixel."""
    owner = np.full((height, width), -1, np.int16)
    face_id = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    nearest_m = np.full((height, width), np.inf, np.float32)
    silhouettes = []
    for index, item in enumerate(placed):
        T_cam_obj = T_cam_world @ item.T_world_obj
        left, top, columns, rows = window(assets.resting[item.mesh_index].hull_m, T_cam_obj, K, height, width)
        K_window = torch.from_numpy(K - np.array([[0, 0, left], [0, 0, top], [0, 0, 0]]))
        T = torch.from_numpy(T_cam_obj)[None]
        posed = PosedMeshes.of_one(assets.packed, item.mesh_index, T, K_window, (rows, columns))
        raster = rasterize(posed, "numba")
        face, weights, z_m = (x[0].numpy() for x in (raster.face_id, raster.barycentric, raster.depth_m))
        silhouettes.append(Silhouette(left, top, face >= 0))
        keep_nearest(index, left, top, face, weights, z_m, owner, face_id, barycentric, nearest_m)
    nearest_m[owner < 0] = 0.0
    return Surfaces(owner, face_id, barycentric, nearest_m, tuple(silhouettes))


def window(
    hull_m: Float[np.ndarray, "corners 3"],
    T_cam_obj: Float[np.ndarray, "4 4"],
    K: Float[np.ndarray, "3 3"],
    height: int,
    width: int,
) -> tuple[int, int, int, int]:
    """Left, top, columns, rows of the pixels the object can touch, at most one image beyond each border.

    An object that reaches behind the camera gets no window (1x1, off the image).
    """
    corners = hull_m @ T_cam_obj[:3, :3].T + T_cam_obj[:3, 3]
    if corners[:, 2].min() < NEAR_M:
        return -width, -height, 1, 1
    uv = corners[:, :2] / corners[:, 2:] * (K[0, 0], K[1, 1]) + K[:2, 2]
    low = np.clip(np.floor(uv.min(axis=0)), (-width, -height), (2 * width - 1, 2 * height - 1)).astype(int)
    high = np.clip(np.ceil(uv.max(axis=0)), (-width, -height), (2 * width - 1, 2 * height - 1)).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1)
