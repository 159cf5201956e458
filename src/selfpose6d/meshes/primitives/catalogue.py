"""The built-in objects: products with artwork that follows a seed, and plain ones with true symmetries."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import carton, foam_brick, l_bracket, label_box
from selfpose6d.meshes.primitives.rounds import bottle, bowl, can, mug

ARTWORK_SEED = 20
NO_SYMMETRY = SymmetryGroup(np.empty((0, 4, 4)))
HALF_ROTATIONS = SymmetryGroup(
    np.array([np.diag(signs) for signs in ((1.0, -1, -1, 1), (-1.0, 1, -1, 1), (-1.0, -1, 1, 1))])
)
ABOUT_Z = SymmetryGroup(np.empty((0, 4, 4)), (ContinuousSymmetry(np.array([0.0, 0.0, 1.0]), np.zeros(3)),))


@dataclass(frozen=True)
class BuiltinObject:
    """A procedural object: how a seed builds it, and the rotations that change neither shape nor colour."""

    obj_id: int
    name: str
    build: Callable[[np.random.Generator], Mesh]
    symmetry: SymmetryGroup = NO_SYMMETRY

    def mesh(self, seed: int = ARTWORK_SEED) -> Mesh:
        """The object; the same seed gives the same artwork."""
        return self.build(np.random.default_rng([seed, self.obj_id]))


BOX_ID = 1
CATALOGUE: dict[int, BuiltinObject] = {
    builtin.obj_id: builtin
    for builtin in (
        BuiltinObject(BOX_ID, "label_box", label_box),
        BuiltinObject(2, "can", can),
        BuiltinObject(3, "mug", mug),
        BuiltinObject(4, "bottle", bottle),
        BuiltinObject(5, "l_bracket", l_bracket),
        BuiltinObject(6, "bowl", bowl, ABOUT_Z),
        BuiltinObject(7, "foam_brick", foam_brick, HALF_ROTATIONS),
        BuiltinObject(8, "carton", carton),
    )
}
