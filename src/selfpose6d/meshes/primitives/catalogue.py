"""The built-in objects: products with artwork that follows a seed, and plain ones with true symmetries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import carton, foam_brick, l_bracket, label_box
from selfpose6d.meshes.primitives.rounds import bottle, bowl, can, mug

ARTWORK_SEED = 20


@dataclass(frozen=True)
class Symmetry:
    """Under which rotations an object looks the same, in shape and colour; its own frame, metres.

    `discrete` leaves the identity out; `continuous` are (axis, offset) pairs, as in BOP.
    """

    discrete: tuple[Float[np.ndarray, "4 4"], ...] = ()
    continuous: tuple[tuple[tuple[float, float, float], tuple[float, float, float]], ...] = ()


@dataclass(frozen=True)
class BuiltinObject:
    """A procedural object: how it is built from a seed, and its true symmetry."""

    obj_id: int
    name: str
    build: Callable[[np.random.Generator], Mesh]
    symmetry: Symmetry = Symmetry()

    def mesh(self, seed: int = ARTWORK_SEED) -> Mesh:
        """The object; the same seed gives the same artwork."""
        return self.build(np.random.default_rng([seed, self.obj_id]))


def _half_turns() -> tuple[Float[np.ndarray, "4 4"], ...]:
    return tuple(np.diag(signs).astype(float) for signs in ([1, -1, -1, 1], [-1, 1, -1, 1], [-1, -1, 1, 1]))


BOX_ID = 1
CATALOGUE: dict[int, BuiltinObject] = {
    builtin.obj_id: builtin
    for builtin in (
        BuiltinObject(BOX_ID, "label_box", label_box),
        BuiltinObject(2, "can", can),
        BuiltinObject(3, "mug", mug),
        BuiltinObject(4, "bottle", bottle),
        BuiltinObject(5, "l_bracket", l_bracket),
        BuiltinObject(6, "bowl", bowl, Symmetry(continuous=(((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),))),
        BuiltinObject(7, "foam_brick", foam_brick, Symmetry(discrete=_half_turns())),
        BuiltinObject(8, "carton", carton),
    )
}
