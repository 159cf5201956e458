"""Everything that is known of one object's symmetries: by shape, by shape and texture, and what is declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup, axis_and_angle, rotations_about
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.self_comparison import Residuals
from selfpose6d.objects.find_symmetries import MeasuredSymmetries, measure_symmetries
from selfpose6d.objects.object_model import as_seen, found_groups, object_constants

Evidence = Literal["texture", "shape", "declared"]
"""What speaks for a symmetry: shape and known colour, shape alone, or whoever wrote `models_info.json`."""
SHOWN_RAD = np.deg2rad(90)
"""Rotation that stands for an axis in pictures."""


@dataclass(frozen=True)
class SymmetryStudy:
    """What a mesh has by its shape, by shape and texture, and by its `models_info.json`, measured alike."""

    obj_id: int
    name: str
    mesh: Mesh
    shape: MeasuredSymmetries
    textured: MeasuredSymmetries
    declared: MeasuredSymmetries

    def rows(self) -> list["NamedSymmetry"]:
        """Each symmetry once: those of shape and texture, those that only the shape has, then the declared ones."""
        textured = _named(self.textured, "texture")
        shape = [row for row in _named(self.shape, "shape") if not any(map(row.is_same, textured))]
        return [*textured, *shape, *_named(self.declared, "declared")]


@dataclass(frozen=True)
class NamedSymmetry:
    """One symmetry in words, a motion that shows it, the axis to draw, and what it leaves."""

    evidence: Evidence
    text: str
    T_obj_sym: Float[np.ndarray, "4 4"]
    axis: ContinuousSymmetry
    is_continuous: bool
    residual: Residuals

    def is_same(self, other: "NamedSymmetry") -> bool:
        """Whether both are the same motion of the same kind."""
        same_kind = self.is_continuous == other.is_continuous
        return same_kind and bool(np.abs(self.T_obj_sym - other.T_obj_sym).max() < 1e-6)


def study_symmetries(
    mesh: Mesh, declared: SymmetryGroup, obj_id: int, name: str, cache_dir: Path | None = None
) -> SymmetryStudy:
    """Find and measure the symmetries of one object: those that annotation takes, from the same cache.

    Raises:
        MeshError: the mesh has no area.
    """
    groups, comparison = found_groups(object_constants(mesh, cache_dir)), as_seen(mesh)
    measured = (measure_symmetries(comparison, group) for group in (groups.shape, groups.textured, declared))
    return SymmetryStudy(obj_id, name, mesh, *measured)


def count_words(group: SymmetryGroup) -> str:
    """How many symmetries of each kind, in words."""
    discrete, continuous = len(group.discrete), len(group.continuous)
    axes = f"{continuous} {'axis' if continuous == 1 else 'axes'} of rotation"
    return (
        " and ".join(
            text for text in (f"{discrete} discrete" * bool(discrete), axes * bool(continuous)) if text
        )
        or "none"
    )


def _named(measured: MeasuredSymmetries, evidence: Evidence) -> list[NamedSymmetry]:
    rows = []
    for index, axis in enumerate(measured.group.continuous):
        (T,) = rotations_about(axis.axis, np.array([SHOWN_RAD]), axis.offset_m)
        text = f"axis {_vector(axis.axis)}"
        rows.append(NamedSymmetry(evidence, text, T, axis, True, measured.continuous.take(index)))
    for index, T in enumerate(measured.group.discrete):
        direction, angle_rad = axis_and_angle(T)
        point_m = np.linalg.lstsq(np.eye(3) - T[:3, :3], T[:3, 3], rcond=1e-6)[0]
        axis = ContinuousSymmetry(direction, point_m)
        text = f"{np.rad2deg(angle_rad):.4g}° about {_vector(direction)}"
        rows.append(NamedSymmetry(evidence, text, T, axis, False, measured.discrete.take(index)))
    return rows


def _vector(values: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value:.2f}" for value in np.round(values, 2) + 0.0)
