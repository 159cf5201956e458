"""Unlabelled things that stand about: boxes, cans and balls with artwork of their own."""

import numpy as np

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.artwork import random_brand
from selfpose6d.meshes.primitives.boxes import label_box
from selfpose6d.meshes.primitives.rounds import can
from selfpose6d.meshes.primitives.shapes import arc, assemble, revolve

PX_PER_M = 1500.0


def make_distractors(count: int, generator: np.random.Generator) -> list[Mesh]:
    """`count` objects of 5 to 25 cm: half boxes, the rest cans and plain balls."""
    builders = (_box, _can, _box, _ball)
    return [builders[index % len(builders)](generator) for index in range(count)]


def _box(generator: np.random.Generator) -> Mesh:
    depth, width, height = generator.uniform((0.03, 0.05, 0.08), (0.08, 0.14, 0.24))
    return label_box(generator, (float(depth), float(width), float(height)), PX_PER_M, spacing_m=0.05)


def _can(generator: np.random.Generator) -> Mesh:
    return can(generator, float(generator.uniform(0.02, 0.05)), float(generator.uniform(0.06, 0.2)))


def _ball(generator: np.random.Generator) -> Mesh:
    radius = float(generator.uniform(0.025, 0.045))
    outline = arc((0.0, 0.0), (radius, radius), -np.pi / 2, np.pi / 2, 16)
    return assemble([revolve(outline, 32, 0.02, random_brand(generator).ground)], "ball")
