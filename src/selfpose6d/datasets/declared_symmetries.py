"""Whether the symmetries that a file declares map the mesh onto itself."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from selfpose6d.errors import DataError
from selfpose6d.geometry.symmetry import SymmetryGroup, axis_and_angle, axis_rotations
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.self_comparison import Residuals, SelfComparison

MAX_RESIDUAL_M, MAX_RESIDUAL_RATIO = 0.015, 0.1
"""BOP's criterion for a symmetry: no point is farther off than 15 mm or a tenth of the diameter, whichever is more."""
CHECKED_STEPS = 12
"""Rotations that an axis is checked at: every 30 degrees."""
WRONG_UNITS = {1000.0: "a thousand times too small", 0.001: "a thousand times too large"}
"""What a translation may be off by, and the words for it."""


@dataclass(frozen=True)
class DeclaredMotion:
    """One entry of `models_info.json`: its name, the motions that stand for it, and what they leave at worst."""

    name: str
    T_obj_sym: Float[np.ndarray, "motions 4 4"]
    residual: Residuals


def require_declared_symmetries(mesh: Mesh, declared: SymmetryGroup, name: str) -> None:
    """Refuse declared symmetries that do not map the mesh onto itself by BOP's criterion.

    Raises:
        DataError: one of them leaves points far off; `name` says whose.
    """
    if not len(declared.discrete) and not declared.continuous:
        return
    comparison, allowed_m = SelfComparison(mesh), allowed_residual_m(mesh.diameter_m)
    for motion in declared_motions(comparison, declared):
        if motion.residual.max_m[0] > allowed_m:
            raise DataError(
                f"{name}: {motion.name} does not map the mesh onto itself: points are up to "
                f"{1e3 * motion.residual.max_m[0]:.3g} mm off, a symmetry leaves at most {1e3 * allowed_m:.3g} mm. "
                f"{_remedy(comparison, motion, allowed_m)}"
            )


def doubtful_symmetries(mesh: Mesh, declared: SymmetryGroup) -> Iterator[str]:
    """Declared symmetries that a depth camera can tell from none, as far as BOP's criterion allows them, in words."""
    if not len(declared.discrete) and not declared.continuous:
        return
    comparison = SelfComparison(mesh)
    for motion in declared_motions(comparison, declared):
        if not motion.residual.same_shape(mesh.diameter_m).all():
            percent = 100 * motion.residual.rms_m[0] / mesh.diameter_m
            yield (
                f"{motion.name} leaves {1e3 * motion.residual.rms_m[0]:.3g} mm rms ({percent:.2g} % of the diameter), "
                f"up to {1e3 * motion.residual.max_m[0]:.3g} mm"
            )


def allowed_residual_m(diameter_m: float) -> float:
    """The largest distance that BOP's criterion allows a symmetry to leave."""
    return max(MAX_RESIDUAL_M, MAX_RESIDUAL_RATIO * diameter_m)


def declared_motions(comparison: SelfComparison, declared: SymmetryGroup) -> Iterator[DeclaredMotion]:
    """Every declared symmetry with what it leaves, discrete ones first."""
    for index, T in enumerate(declared.discrete):
        axis, angle_rad = axis_and_angle(T)
        name = f"symmetries_discrete[{index}] ({np.rad2deg(angle_rad):.4g} degrees about {_vector(axis)})"
        yield DeclaredMotion(name, T[None], comparison.residuals(T[None]))
    for index, axis in enumerate(declared.continuous):
        rotations = axis_rotations(axis, CHECKED_STEPS)[1:]
        name = f"symmetries_continuous[{index}] (axis {_vector(axis.axis)})"
        yield DeclaredMotion(name, rotations, comparison.residuals(rotations).worst())


def _remedy(comparison: SelfComparison, motion: DeclaredMotion, allowed_m: float) -> str:
    for factor, words in WRONG_UNITS.items():
        scaled = motion.T_obj_sym.copy()
        scaled[:, :3, 3] *= factor
        if comparison.residuals(scaled).max_m.max() <= allowed_m:
            return f"Its translation is {words}: BOP's are in millimetres."
    return "Correct the entry in models_info.json, or remove it and see what `selfpose6d symmetries MODELS` finds."


def _vector(values: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value + 0.0:.3g}" for value in np.round(values, 3))
