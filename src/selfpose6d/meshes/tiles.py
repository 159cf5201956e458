"""Textures whose coordinates leave 0-1, laid out so that none does: repeated, mirrored or extended by their border."""

from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

Wrap = Literal["repeat", "mirror", "clamp"]
"""What a texture shows outside 0-1, along one axis."""
REPEAT: tuple[Wrap, Wrap] = ("repeat", "repeat")
MAX_REPEATS = 64
"""Repetitions of an image that one face may span; of more, the pattern is enlarged: no camera resolves it."""
MAX_TEXELS = 2**26
"""Of a texture that was laid out, 200 MB: a larger one is reduced first."""
_ROUNDING = 1e-4


def unwrap_tiles(
    texture: UInt8[np.ndarray, "rows columns 3"],
    corner_uv: Float[np.ndarray, "faces 3 2"],
    wrap: tuple[Wrap, Wrap] = REPEAT,
) -> tuple[UInt8[np.ndarray, "rows2 columns2 3"], Float[np.ndarray, "faces 3 2"]]:
    """The texture as often as its faces need, so that every coordinate lies in 0-1. `wrap` is that of u and of v."""
    if corner_uv.size == 0 or (corner_uv.min() >= -_ROUNDING and corner_uv.max() <= 1 + _ROUNDING):
        return texture, np.clip(corner_uv, 0, 1).astype(np.float32)
    local_uv = np.empty(corner_uv.shape, np.float64)
    tiles = [(0, 1), (0, 1)]
    for axis in (0, 1):
        local_uv[..., axis], tiles[axis] = _needed_tiles(corner_uv[..., axis].astype(np.float64), wrap[axis])
    starts, counts = np.array([t[0] for t in tiles]), np.array([t[1] - t[0] for t in tiles])
    texture = reduce_texture(texture, MAX_TEXELS // int(counts.prod()))
    rows, columns = texture.shape[:2]
    column = _texels_along(columns, *tiles[0], wrap[0])
    row_from_below = _texels_along(rows, *tiles[1], wrap[1])
    row = rows - 1 - row_from_below[::-1]
    tiled_uv = np.clip((local_uv - starts) / counts, 0, 1)
    return np.ascontiguousarray(texture[row][:, column]), tiled_uv.astype(np.float32)


def reduce_texture(
    texture: UInt8[np.ndarray, "rows columns 3"], max_texels: int
) -> UInt8[np.ndarray, "rows2 columns2 3"]:
    """A texture of at most so many texels: the same, or averages of its own."""
    rows, columns = texture.shape[:2]
    if rows * columns <= max_texels:
        return texture
    scale = np.sqrt(max_texels / (rows * columns))
    size = (max(int(columns * scale), 1), max(int(rows * scale), 1))
    return cv2.resize(texture, size, interpolation=cv2.INTER_AREA)


def repeats_of_faces(
    corner_uv: Float[np.ndarray, "faces 3 2"], wrap: tuple[Wrap, Wrap]
) -> Float[np.ndarray, " faces"]:
    """How many times its width or height, whichever is more, each face needs a texture laid out."""
    spans = []
    for axis in (0, 1):
        coordinate = corner_uv[..., axis].astype(np.float64)
        if wrap[axis] == "clamp":
            spans.append(coordinate.max(axis=1).clip(1) - coordinate.min(axis=1).clip(None, 0))
        else:
            spans.append((coordinate - _first_period(coordinate, wrap[axis])).max(axis=1))
    return np.ceil(np.maximum(*spans) - _ROUNDING)


def _needed_tiles(
    coordinate: Float[np.ndarray, "faces 3"], wrap: Wrap
) -> tuple[Float[np.ndarray, "faces 3"], tuple[int, int]]:
    """Coordinates along one axis with each face in the first period, and the first and last tile that they reach."""
    if wrap == "clamp":
        half = MAX_REPEATS // 2
        low = np.floor(coordinate.min() + _ROUNDING).clip(-half, 0)
        return coordinate, (int(low), int(np.ceil(coordinate.max() - _ROUNDING).clip(1, half)))
    local = coordinate - _first_period(coordinate, wrap)
    local *= np.minimum(1, MAX_REPEATS / local.max(axis=1, keepdims=True).clip(1))
    return local, (0, int(np.ceil(local.max() - _ROUNDING).clip(1)))


def _first_period(coordinate: Float[np.ndarray, "faces 3"], wrap: Wrap) -> Float[np.ndarray, "faces 1"]:
    """Where the repetition begins in which a face's lowest corner lies."""
    period = 2.0 if wrap == "mirror" else 1.0
    return period * np.floor((coordinate.min(axis=1, keepdims=True) + _ROUNDING) / period)


def _texels_along(length: int, start: int, stop: int, wrap: Wrap) -> Int[np.ndarray, " texels"]:
    """Which texel each one of the laid-out axis shows."""
    position = np.arange(start * length, stop * length)
    if wrap == "clamp":
        return position.clip(0, length - 1)
    within = position % length
    is_mirrored = (position // length) % 2 == 1
    return np.where(is_mirrored, length - 1 - within, within) if wrap == "mirror" else within
