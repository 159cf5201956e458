"""Objects with flat faces: the label box, a gable-top carton, a foam brick and an L-bracket."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.artwork import (
    PX_PER_M,
    Brand,
    draw_back,
    draw_front,
    draw_lid,
    draw_side,
    random_brand,
)
from selfpose6d.meshes.primitives.shapes import Paint, assemble, box_corners, prism, quad_patch, revolve

LABEL_BOX_M = (0.060, 0.160, 0.210)
FOAM_RED = (186, 62, 52)
STEEL = (138, 142, 148)


def label_box(
    generator: np.random.Generator,
    size_m: tuple[float, float, float] = LABEL_BOX_M,
    px_per_m: float = PX_PER_M,
    spacing_m: float = 0.007,
) -> Mesh:
    """A product box with six different faces; asymmetric by texture only."""
    x, y, z = (int(px_per_m * side) for side in size_m)
    brand = random_brand(generator)
    swapped = Brand(brand.second, brand.ground, brand.accent, brand.name)
    paints = {
        "+x": draw_front(y, z, brand, generator),
        "-x": draw_back(y, z, brand, generator),
        "+y": draw_side(x, z, brand, generator),
        "-y": draw_side(x, z, swapped, generator),
        "+z": draw_lid(y, x, brand, generator),
        "-z": draw_lid(y, x, swapped, generator),
    }
    return painted_box(size_m, paints, spacing_m, "label_box")


def painted_box(
    size_m: tuple[float, float, float], paints: Mapping[str, Paint], spacing_m: float, name: str
) -> Mesh:
    """A centred box with one paint per face."""
    corners = box_corners(size_m)
    return assemble([quad_patch(corners[side], spacing_m, paints[side]) for side in corners], name)


def foam_brick(generator: np.random.Generator) -> Mesh:
    """A plain brick of three different edges in one colour: three rotations by 180 degrees leave it as it is."""
    size_m = (0.052, 0.078, 0.046)
    return painted_box(size_m, dict.fromkeys(box_corners(size_m), FOAM_RED), 0.004, "foam_brick")


def carton(generator: np.random.Generator) -> Mesh:
    """A drinks carton of square footprint with a gable top and a fin; asymmetric by texture only."""
    half, body, ridge, fin = 0.035, 0.120, 0.155, 0.172
    brand = random_brand(generator)
    side_px, body_px = int(2 * half * PX_PER_M), int(body * PX_PER_M)
    draws = (draw_front, draw_side, draw_back, draw_side)
    walls = [draw(side_px, body_px, brand, generator) for draw in draws]
    roof = draw_lid(side_px, int(0.05 * PX_PER_M), brand, generator)
    h, at = half, box_corners((2 * half, 2 * half, body))
    parts = [
        quad_patch(at[face] + (0, 0, body / 2), 0.005, wall)
        for face, wall in zip(("+x", "+y", "-x", "-y"), walls, strict=True)
    ]
    gables = [
        (np.array([[h, -h, body], [h, h, body], [0, h, ridge], [0, -h, ridge]]), roof),
        (np.array([[-h, h, body], [-h, -h, body], [0, -h, ridge], [0, h, ridge]]), brand.accent),
        (np.array([[h, h, body], [-h, h, body], [0, h, ridge], [0, h, ridge]]), brand.ground),
        (np.array([[-h, -h, body], [h, -h, body], [0, -h, ridge], [0, -h, ridge]]), brand.ground),
        (at["-z"] + (0, 0, body / 2), brand.second),
    ]
    parts += [quad_patch(corners, 0.005, paint) for corners, paint in gables]
    sunk = box_corners((0.004, 2 * h, fin - ridge + 0.004))
    parts += [quad_patch(sunk[f] + (0, 0, (ridge + fin - 0.004) / 2), 0.005, brand.accent) for f in sunk]
    return assemble(parts, "carton")


def l_bracket(generator: np.random.Generator) -> Mesh:
    """A steel angle of unequal legs with two bolt heads: one colour, no symmetry in shape."""
    long, short, thick, half = 0.110, 0.070, 0.008, 0.025
    outline = np.array(
        [[0, 0], [thick, 0], [long, 0], [long, thick], [thick, thick], [thick, short], [0, short], [0, thick]]
    )
    sides = [quad_patch(corners, 0.004, STEEL) for corners in prism(outline, half)]
    squares = [(0.0, thick, 0.0, thick), (thick, long, 0.0, thick), (0.0, thick, thick, short)]
    ends = [quad_patch(_end(box, y), 0.004, STEEL) for box in squares for y in (-half, half)]
    bolts = [_bolt((0.085, 0.010), thick), _bolt((0.045, -0.008), thick)]
    return assemble([*sides, *ends, *bolts], "l_bracket")


def _end(box: tuple[float, float, float, float], y: float) -> Float[np.ndarray, "4 3"]:
    left, right, low, high = box
    corners = np.array([[left, y, low], [right, y, low], [right, y, high], [left, y, high]])
    return corners if y < 0 else corners[[1, 0, 3, 2]]


def _bolt(at_xy_m: tuple[float, float], thick: float) -> Mesh:
    """A six-sided bolt head, sunk a little into the plate."""
    head = revolve([(0, 0), (0.008, 0), (0.008, 0.008), (0, 0.008)], 6, 0.003, STEEL)
    offset = np.array([*at_xy_m, thick - 0.002], np.float32)
    return replace(head, vertices_m=head.vertices_m + offset)
