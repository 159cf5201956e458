"""The table and the room around it: plane surfaces with drawn textures."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.meshes.primitives.artwork import Colour, hsv

# the camera sees the table sharply and the room from afar
TABLE_TILE_M, TABLE_TILE_PX = 1.0, 768
ROOM_TILE_M, ROOM_TILE_PX = 2.5, 384


@dataclass(frozen=True)
class Backdrop:
    """A table top at z = 0 in a square room. Textures repeat; `*_half_m` are half edges."""

    table_rgb: UInt8[np.ndarray, "table_px table_px 3"]
    room_rgb: UInt8[np.ndarray, "room_px room_px 3"]
    table_half_m: tuple[float, float]
    room_half_m: float
    floor_z_m: float
    table_gloss: float
    scale: float = 1.0
    """Of the textures: 2 makes every plank twice as wide."""


def make_backdrop(generator: np.random.Generator, scale: float = 1.0) -> Backdrop:
    """A table of wood, stone, cloth or lacquer and a room with floor, and walls with posters and boxes.

    `scale` multiplies every length: 1 makes a table of 0.9 to 1.6 m.
    """
    draw = (_wood, _stone, _cloth, _lacquer)[generator.integers(4)]
    return Backdrop(
        table_rgb=draw(TABLE_TILE_PX, generator),
        room_rgb=_room(ROOM_TILE_PX, generator),
        table_half_m=(
            scale * float(generator.uniform(0.45, 0.8)),
            scale * float(generator.uniform(0.45, 0.8)),
        ),
        room_half_m=scale * float(generator.uniform(1.6, 2.6)),
        floor_z_m=-scale * float(generator.uniform(0.6, 0.8)),
        table_gloss=float(generator.uniform(0.0, 0.25)),
        scale=scale,
    )


def octave_noise(
    size_px: int, generator: np.random.Generator, stretch: tuple[int, int] = (1, 1)
) -> Float[np.ndarray, "{size_px} {size_px}"]:
    """Smooth noise of several scales, about -1 to 1; `stretch` lengthens it along rows and columns."""
    total = np.zeros((size_px, size_px), np.float32)
    for cell_px, weight in ((128, 0.5), (32, 0.3), (8, 0.2)):
        rows, columns = size_px // (cell_px * stretch[0]) + 2, size_px // (cell_px * stretch[1]) + 2
        coarse = generator.normal(0, weight, (rows, columns)).astype(np.float32)
        total += cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    return total


def _wood(size_px: int, generator: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    tone = _colour(generator, (0.3, 0.65), (0.35, 0.8), hue=(0.05, 0.1))
    grain = octave_noise(size_px, generator, (1, 8))
    rings = np.sin(14 * octave_noise(size_px, generator, (2, 16)))
    planks = 4 * int(generator.integers(1, 4))
    plank = np.arange(size_px) * planks // size_px
    shade = generator.normal(0, 0.08, planks)[plank] - 0.25 * (np.diff(plank, prepend=0) > 0)
    return _tinted(tone, 0.10 * grain + 0.05 * rings + shade[:, None])


def _stone(size_px: int, generator: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    tone = _colour(generator, (0.0, 0.15), (0.3, 0.75))
    speckle = cv2.GaussianBlur(generator.normal(0, 1, (size_px, size_px)).astype(np.float32), (0, 0), 1.2)
    return _tinted(tone, 0.08 * octave_noise(size_px, generator) + 0.35 * speckle)


def _cloth(size_px: int, generator: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    tone = _colour(generator, (0.1, 0.7), (0.4, 0.9))
    period = size_px // int(generator.integers(8, 25))
    stripe = (np.arange(size_px) % period) < period * generator.uniform(0.3, 0.6)
    weave = 0.04 * ((np.arange(size_px)[:, None] + np.arange(size_px)) % 2)
    pattern = -generator.uniform(0.1, 0.35) * (stripe[:, None].astype(float) + stripe) / 2
    return _tinted(tone, pattern + weave + 0.06 * octave_noise(size_px, generator))


def _lacquer(size_px: int, generator: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    tone = _colour(generator, (0.0, 0.4), (0.2, 0.95))
    return _tinted(tone, 0.05 * octave_noise(size_px, generator))


def _room(size_px: int, generator: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """A pale ground with posters, shelves and boxes as flat rectangles."""
    tone = _colour(generator, (0.0, 0.25), (0.4, 0.9))
    room = _tinted(tone, 0.08 * octave_noise(size_px, generator))
    for _ in range(generator.integers(6, 16)):
        left, top = (int(c) for c in generator.integers(0, size_px, 2))
        width, height = (int(c) for c in generator.integers(20, 160, 2))
        colour = _colour(generator, (0.0, 0.8), (0.1, 0.95))
        cv2.rectangle(room, (left, top), (left + width, top + height), colour, -1)
        if generator.random() < 0.5:
            inner = _colour(generator, (0.0, 0.8), (0.1, 0.95))
            cv2.rectangle(room, (left + 8, top + 8), (left + width - 8, top + height - 8), inner, -1)
    return cv2.GaussianBlur(room, (0, 0), 1.5)


def _colour(
    generator: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: tuple[float, float] = (0.0, 1.0),
) -> Colour:
    """A random RGB colour with hue, saturation and value between these limits."""
    return hsv(generator.uniform(*hue), generator.uniform(*saturation), generator.uniform(*value))


def _tinted(tone: Colour, change: Float[np.ndarray, "s s"]) -> UInt8[np.ndarray, "s s 3"]:
    factor = (1 + change).astype(np.float32)
    channels = [np.clip(np.float32(value) * factor, 0, 255).astype(np.uint8) for value in tone]
    return np.stack(channels, axis=-1)
