"""Meshes small enough to check by hand."""

import numpy as np

from selfpose6d.meshes.mesh import Mesh

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# seen as a picture: red and green above, blue and white below
FOUR_COLOURS = np.array([[RED, GREEN], [BLUE, WHITE]], np.uint8)
SQUARE_M = np.array([[0, 0, 0], [0.1, 0, 0], [0.1, 0.1, 0], [0, 0.1, 0]], np.float32)
SQUARE_UV = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
SQUARE_FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def textured_square() -> Mesh:
    """A square of 10 cm in the x-y plane, picture upright: y is up, red in the upper left corner."""
    return Mesh(SQUARE_M, SQUARE_FACES, corner_uv=SQUARE_UV[SQUARE_FACES], texture=FOUR_COLOURS)


def coloured_square() -> Mesh:
    """The same with one colour per vertex: blue, white, green, red."""
    return Mesh(SQUARE_M, SQUARE_FACES, vertex_rgb=np.array([BLUE, WHITE, GREEN, RED], np.uint8))
