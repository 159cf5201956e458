"""Colour lookup in a mesh's texture, and texture coordinates brought into the unit square.

Texture coordinates follow OBJ and BOP: v runs upwards, image row = (1 - v) * height, texel centres at half
integers.
"""

import numpy as np
from jaxtyping import Float, Int, UInt8

MAX_TILES = 8


def sample_texture(
    texture: UInt8[np.ndarray, "rows columns 3"], uv: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "points 3"]:
    """Bilinear colour (0-255, float) at texture coordinates; coordinates outside 0-1 are clamped."""
    rows, columns = texture.shape[:2]
    x = np.clip(uv[:, 0] * columns - 0.5, 0, columns - 1)
    y = np.clip((1 - uv[:, 1]) * rows - 0.5, 0, rows - 1)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, bottom = np.minimum(left + 1, columns - 1), np.minimum(top + 1, rows - 1)
    fx, fy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = texture[top, left] * (1 - fx) + texture[top, right] * fx
    lower = texture[bottom, left] * (1 - fx) + texture[bottom, right] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)


def unwrap_tiles(
    texture: UInt8[np.ndarray, "rows columns 3"], corner_uv: Float[np.ndarray, "faces 3 2"]
) -> tuple[UInt8[np.ndarray, "rows2 columns2 3"], Float[np.ndarray, "faces 3 2"]]:
    """Repeat a wrapping texture as often as its faces need, so that every coordinate lies in 0-1.

    A face that spans more than `MAX_TILES` repetitions is clamped: no camera resolves such detail.
    """
    eps = 1e-4
    if corner_uv.size == 0 or (corner_uv.min() >= -eps and corner_uv.max() <= 1 + eps):
        return texture, np.clip(corner_uv, 0, 1).astype(np.float32)
    local_uv = corner_uv - np.floor(corner_uv.min(axis=1, keepdims=True) + eps)
    across, up = np.clip(np.ceil(local_uv.max(axis=(0, 1)) - eps), 1, MAX_TILES).astype(int)
    tiled_uv = np.clip(local_uv / np.array([across, up]), 0, 1)
    return np.tile(texture, (up, across, 1)), tiled_uv.astype(np.float32)


def corner_to_vertex_rgb(
    texture: UInt8[np.ndarray, "rows columns 3"],
    corner_uv: Float[np.ndarray, "faces 3 2"],
    faces: Int[np.ndarray, "faces 3"],
    vertex_count: int,
) -> UInt8[np.ndarray, "vertices 3"]:
    """Mean texture colour over the face corners that meet in each vertex; grey for unused vertices."""
    rgb = sample_texture(texture, corner_uv.reshape(-1, 2))
    count = np.bincount(faces.ravel(), minlength=vertex_count)
    total = np.stack(
        [np.bincount(faces.ravel(), rgb[:, c], minlength=vertex_count) for c in range(3)], axis=1
    )
    mean = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], 128)
    return np.round(mean).astype(np.uint8)
