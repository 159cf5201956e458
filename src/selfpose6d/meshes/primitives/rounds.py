"""Bodies of revolution: can, mug, bottle and a plain bowl."""

import numpy as np

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.artwork import PX_PER_M, draw_wrap, random_brand
from selfpose6d.meshes.primitives.shapes import arc, assemble, revolve, tube

# about a circle: corners of under 6 degrees
SEGMENTS = 64
TIN = (186, 188, 190)
BOWL_BLUE = (92, 128, 172)


def can(generator: np.random.Generator, radius: float = 0.034, height: float = 0.102) -> Mesh:
    """A food can (metres): a label around it breaks the symmetry that its shape has."""
    rim = 0.003
    label = _wrap(radius, height - 2 * rim, generator)
    base = [(0, 0.002), (radius - 0.003, 0.002), (radius - 0.003, 0), (radius, 0), (radius, rim)]
    lid = [(r, height - z) for r, z in reversed(base)]
    parts = [
        revolve(base, SEGMENTS, 0.005, TIN),
        revolve([(radius, rim), (radius, height - rim)], SEGMENTS, 0.005, label),
        revolve(lid, SEGMENTS, 0.005, TIN),
    ]
    return assemble(parts, "can")


def mug(generator: np.random.Generator) -> Mesh:
    """A hollow mug with a handle and a print around its wall."""
    radius, height, wall, edge = 0.041, 0.092, 0.0045, 0.010
    brand = random_brand(generator)
    print_ = _wrap(radius, height - 2 * edge, generator)
    inner = radius - wall
    inside = [(radius, height - edge), (radius, height - 0.001), (radius - 0.001, height), (inner, height)]
    inside += [(inner, 0.012), (inner - 0.006, 0.007), (0, 0.006)]
    foot = [(0, 0), (radius - 0.003, 0), (radius, 0.003), (radius, edge)]
    parts = [
        revolve(foot, SEGMENTS, 0.005, brand.ground),
        revolve([(radius, edge), (radius, height - edge)], SEGMENTS, 0.005, print_),
        revolve(inside, SEGMENTS, 0.005, brand.ground),
        tube(_handle_path(radius - 0.5 * wall, 0.020, 0.074), (0.0045, 0.007), 16, brand.accent),
    ]
    return assemble(parts, "mug")


def _handle_path(x_m: float, low_m: float, high_m: float) -> np.ndarray:
    """A half ellipse in the x-z plane from high to low, ends inside the wall."""
    angle = np.linspace(np.pi / 2, -np.pi / 2, 25)
    x = x_m + 0.031 * np.cos(angle) ** 0.8
    z = 0.5 * (low_m + high_m) + 0.5 * (high_m - low_m) * np.sin(angle)
    return np.stack([x, np.zeros_like(x), z], axis=1)


def bottle(generator: np.random.Generator) -> Mesh:
    """A bottle with shoulder, neck, cap and a label around the body."""
    radius, neck = 0.036, 0.013
    brand = random_brand(generator)
    label = _wrap(radius, 0.085, generator)
    foot = [(0, 0.004), (radius - 0.010, 0.0), (radius - 0.004, 0.0), (radius, 0.005), (radius, 0.025)]
    bend = arc((neck, 0.122), (radius - neck, 0.042), 0.0, np.pi / 2, 8)
    shoulder = [(radius, 0.110), (radius, 0.122), *bend[1:], (neck, 0.178)]
    cap = [(neck, 0.178), (neck + 0.003, 0.178), (neck + 0.003, 0.197), (neck + 0.001, 0.199), (0, 0.199)]
    parts = [
        revolve(foot, SEGMENTS, 0.006, brand.second),
        revolve([(radius, 0.025), (radius, 0.110)], SEGMENTS, 0.006, label),
        revolve(shoulder, SEGMENTS, 0.006, brand.second),
        revolve(cap, SEGMENTS, 0.006, brand.accent),
    ]
    return assemble(parts, "bottle")


def bowl(generator: np.random.Generator) -> Mesh:
    """A plain bowl of one colour: every rotation about its axis leaves it as it is."""
    radius, height, wall = 0.078, 0.055, 0.004
    outer = [(0, 0.003), (0.028, 0.003), (0.030, 0.0), (0.034, 0.0)]
    outer += arc((0.034, height), (radius - 0.034, height), -np.pi / 2, 0.0, 14)[1:]
    hollow = arc((0.034, height), (radius - wall - 0.034, height - 0.007), 0.0, -np.pi / 2, 14)
    inner = [(radius - wall, height), *hollow[1:], (0, 0.007)]
    return assemble([revolve([*outer, *inner], SEGMENTS, 0.005, BOWL_BLUE)], "bowl")


def _wrap(radius_m: float, height_m: float, generator: np.random.Generator) -> np.ndarray:
    width_px = int(2 * np.pi * radius_m * PX_PER_M)
    return draw_wrap(width_px, int(height_m * PX_PER_M), random_brand(generator), generator)
