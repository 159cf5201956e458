"""The symmetries of a mesh as an exact group: by shape alone, and by shape and known colour.

What registration found is aligned closely, then replaced by the exact group nearest to it: an axis of rotation with a
half turn across it, or finitely many rotations about axes through one point. Every motion is measured again as it is
given back. Textured spheres are beyond it: of their symmetries only axes of the principal frame are found.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from selfpose6d.geometry.rotation_groups import (
    common_axis,
    composition_table,
    exact_group,
    fixed_point,
    largest_group,
)
from selfpose6d.geometry.symmetry import (
    ContinuousSymmetry,
    SymmetryGroup,
    axis_and_angle,
    axis_rotations,
    rotations_about,
)
from selfpose6d.meshes.self_comparison import Residuals, SelfComparison
from selfpose6d.objects.self_similarity import SelfSimilarity

SAME_ROTATION_RAD = np.deg2rad(8)
"""A product of measured symmetries is another one where it is this near: each is off by a degree or two."""
DIFFERENT_RAD = np.deg2rad(20)
"""Members of a finite group are farther apart: up to order 12 by 30 degrees; more are a continuous symmetry."""
ALIKE_MOMENTS = 1.2
"""Ratio of the largest to the least moment of inertia up to which scans leave the principal axes open."""
SAME_AXIS_RAD = np.deg2rad(8)
"""Axes nearer than this lead to the same one when they are aligned."""
MAX_AXES = 24
"""Hypotheses of a continuous axis beyond the principal ones; a sphere's candidates have hundreds."""
NEAR_FIT = 3.0
"""Of the allowed residual: what a motion may leave before it is aligned. An axis 2 degrees off leaves twice as much."""
AXIS_STEPS = 36
"""Rotations that stand for an axis: every 10 degrees."""
PROBED_RAD = np.deg2rad([50.0, 87.0, 130.0])
"""Tried first: no rotation of order up to 12 is near all of them."""
FITTED_RAD = np.deg2rad([30.0, 65.0, 100.0, 135.0, 170.0, 215.0, 290.0])
"""Rotations that an axis is fitted to, spread over the circle."""
MAX_LABEL_ORDER = 12
"""Of a print around a can that repeats."""
FLIP_STEPS = 36
"""Axes across a can's that are tried for a half turn of its print: every 5 degrees, the half turns 10 degrees apart."""


def parameters() -> tuple[object, ...]:
    """All that `find_symmetries` depends on beside mesh and self-similarity, for the key of a cache."""
    angles = (SAME_ROTATION_RAD, DIFFERENT_RAD, SAME_AXIS_RAD, tuple(PROBED_RAD), tuple(FITTED_RAD))
    return *angles, ALIKE_MOMENTS, MAX_AXES, NEAR_FIT, AXIS_STEPS, MAX_LABEL_ORDER, FLIP_STEPS


@dataclass(frozen=True)
class MeasuredSymmetries:
    """A group without its identity, and what its members leave; of an axis the worst of its rotations."""

    group: SymmetryGroup
    discrete: Residuals
    continuous: Residuals

    @property
    def is_trivial(self) -> bool:
        """Whether there is only the identity."""
        return not len(self.group.discrete) and not self.group.continuous


@dataclass(frozen=True)
class SymmetryGroups:
    """The symmetries of a mesh's shape, and those that its known colour shares (none where no colour is known)."""

    shape: SymmetryGroup
    textured: SymmetryGroup


def find_symmetries(comparison: SelfComparison, similarity: SelfSimilarity) -> SymmetryGroups:
    """Make exact symmetries of the motions that registration found."""
    candidates = similarity.T_obj_obj.double().cpu().numpy()
    axes = _continuous_axes(comparison, candidates)
    if len(axes) > 1:
        shape = textured = SymmetryGroup(np.empty((0, 4, 4)), axes)
    elif axes:
        shape = SymmetryGroup(_flip_of_shape(comparison, axes[0]), axes)
        textured = _of_print(comparison, shape)
    else:
        shape = textured = SymmetryGroup(_finite_group(comparison, candidates))
    if not comparison.mesh.has_known_colour:
        return SymmetryGroups(shape, SymmetryGroup(np.empty((0, 4, 4))))
    return SymmetryGroups(shape, _with_same_colour(comparison, textured))


def measure_symmetries(comparison: SelfComparison, group: SymmetryGroup) -> MeasuredSymmetries:
    """What declared or found symmetries leave of shape and colour."""
    of_axes = [
        comparison.residuals(axis_rotations(axis, AXIS_STEPS)[1:]).worst() for axis in group.continuous
    ]
    joined = (np.concatenate(values) for values in zip(*(vars(r).values() for r in of_axes), strict=True))
    continuous = Residuals(*joined) if of_axes else Residuals(*np.empty((4, 0)))
    return MeasuredSymmetries(group, comparison.residuals(group.discrete), continuous)


def _continuous_axes(comparison: SelfComparison, candidates: np.ndarray) -> tuple[ContinuousSymmetry, ...]:
    """The axis about which every rotation fits; for a sphere three that are orthogonal."""
    for start in _axis_hypotheses(comparison, candidates):
        axis = _fit_axis(comparison, start)
        if axis is None:
            continue
        if _fit_axis(comparison, _across(axis, 1)[0]) is None:
            return (axis,)
        return tuple(ContinuousSymmetry(unit, comparison.centroid_m) for unit in np.eye(3))
    return ()


def _axis_hypotheses(comparison: SelfComparison, candidates: np.ndarray) -> list[Float[np.ndarray, "3"]]:
    """The axes of inertia; where all moments are alike and leave them open, those of the candidates' rotations too."""
    moments, axes = comparison.principal_axes
    directions = [*axes]
    if moments.max() > ALIKE_MOMENTS * moments.min():
        return directions
    for T in candidates[1:]:
        axis, _ = axis_and_angle(T)
        if all(abs(axis @ other) < np.cos(SAME_AXIS_RAD) for other in directions):
            directions.append(axis)
    return directions[: 3 + MAX_AXES]


def _fit_axis(comparison: SelfComparison, start: Float[np.ndarray, "3"]) -> ContinuousSymmetry | None:
    """Align rotations about the start axis, which may slide about it, and take the axis that they share, if it fits."""
    centre_m, diameter_m = comparison.centroid_m, comparison.mesh.diameter_m
    for probe in rotations_about(start, PROBED_RAD, centre_m):
        if not comparison.residuals(probe[None]).same_shape(diameter_m, NEAR_FIT).all():
            return None
    aligned = np.stack([comparison.align(T) for T in rotations_about(start, FITTED_RAD, centre_m)])
    direction = common_axis(aligned[:, :3, :3], start)
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    point_m = fixed_point(aligned[:, :3], centre_m)
    axis = ContinuousSymmetry(direction, point_m - direction * (direction @ point_m))
    residuals = comparison.residuals(axis_rotations(axis, AXIS_STEPS)[1:])
    return axis if residuals.same_shape(diameter_m).all() else None


def _flip_of_shape(comparison: SelfComparison, axis: ContinuousSymmetry) -> Float[np.ndarray, "flips 4 4"]:
    """The half turn across the axis, if it fits: any direction across it will do."""
    across = _across(axis, 4)
    on_axis_m = axis.offset_m + axis.axis * (axis.axis @ comparison.centroid_m)
    aligned = comparison.align(_half_turns(across[:1], on_axis_m)[0])
    end_m = aligned[:3, :3] @ on_axis_m + aligned[:3, 3]
    middle_m = on_axis_m + axis.axis * (axis.axis @ (end_m - on_axis_m)) / 2
    flips = _half_turns(across, middle_m)
    fits = comparison.residuals(flips).same_shape(comparison.mesh.diameter_m).all()
    return flips[:1] if fits else flips[:0]


def _of_print(comparison: SelfComparison, shape: SymmetryGroup) -> SymmetryGroup:
    """What the colours of a body of revolution keep of its symmetries: all, or finitely many."""
    if not comparison.mesh.has_known_colour:
        return shape
    (axis,) = shape.continuous
    if _keeps_colour(comparison, axis):
        return shape
    rotations = _repeats_of_print(comparison, axis)
    if not len(shape.discrete):
        return SymmetryGroup(rotations[1:])
    flips = axis_rotations(axis, FLIP_STEPS) @ shape.discrete[0]
    colour_lab = comparison.residuals(flips).colour_lab
    turned = rotations @ flips[colour_lab.argmin()]
    fits = comparison.residuals(turned).same_colour.all()
    return SymmetryGroup(np.concatenate([rotations[1:], turned]) if fits else rotations[1:])


def _repeats_of_print(comparison: SelfComparison, axis: ContinuousSymmetry) -> Float[np.ndarray, "order 4 4"]:
    """The most equal rotations about the axis that the print allows, the identity first."""
    for order in range(MAX_LABEL_ORDER, 1, -1):
        rotations = axis_rotations(axis, order)
        first = comparison.residuals(rotations[1:2])
        if first.same_colour.all() and comparison.residuals(rotations[1:]).same_colour.all():
            return rotations
    return axis_rotations(axis, 1)


def _finite_group(comparison: SelfComparison, candidates: np.ndarray) -> Float[np.ndarray, "motions 4 4"]:
    """The exact group among the candidates, its identity left out.

    A member that does not fit as part of the exact group is taken back, with all that leads to it.
    """
    diameter_m = comparison.mesh.diameter_m
    coarse = comparison.residuals(candidates)
    near = coarse.same_shape(diameter_m, NEAR_FIT)
    near[0] = True
    starts = _different(candidates[near], coarse.rms_m[near])
    aligned = np.stack([np.eye(4), *(comparison.align(T) for T in starts[1:])])
    aligned = _different(aligned, comparison.residuals(aligned).rms_m)
    residuals = comparison.residuals(aligned)
    table = composition_table(aligned, SAME_ROTATION_RAD)
    fits = residuals.same_shape(diameter_m)
    while True:
        order = [int(i) for i in residuals.rms_m.argsort() if i and fits[i]]
        group = largest_group(np.where(fits[table], table, -1), order)
        place = np.full(len(table), -1)
        place[group] = np.arange(len(group))
        exact = exact_group(aligned[group], place[table[np.ix_(group, group)]], comparison.centroid_m)
        left = comparison.residuals(exact[1:])
        if left.same_shape(diameter_m).all():
            return exact[1:]
        fits[group[1 + int(left.rms_m.argmax())]] = False


def _different(T: Float[np.ndarray, "n 4 4"], rms_m: Float[np.ndarray, " n"]) -> np.ndarray:
    """Of motions that came to the same rotation the one that fits best; the identity (the first) stays the first."""
    kept = [0]
    for index in rms_m.argsort():
        cosine = (np.einsum("nab,ab->n", T[kept, :3, :3], T[index, :3, :3]) - 1) / 2
        if cosine.max() < np.cos(DIFFERENT_RAD):
            kept.append(int(index))
    return T[kept]


def _with_same_colour(comparison: SelfComparison, group: SymmetryGroup) -> SymmetryGroup:
    """The largest part of a group that known colour allows."""
    axes = tuple(axis for axis in group.continuous if _keeps_colour(comparison, axis))
    if not len(group.discrete):
        return SymmetryGroup(group.discrete, axes)
    elements = np.concatenate([np.eye(4)[None], group.discrete])
    residuals = comparison.residuals(elements)
    order = [int(i) for i in residuals.colour_lab.argsort() if i and residuals.same_colour[i]]
    kept = np.sort(largest_group(composition_table(elements, SAME_ROTATION_RAD), order))
    return SymmetryGroup(elements[kept[1:]], axes)


def _keeps_colour(comparison: SelfComparison, axis: ContinuousSymmetry) -> bool:
    probes = rotations_about(axis.axis, PROBED_RAD[:1], axis.offset_m)
    if not comparison.residuals(probes).same_colour.all():
        return False
    return bool(comparison.residuals(axis_rotations(axis, AXIS_STEPS)).same_colour.all())


def _across(axis: ContinuousSymmetry, count: int) -> Float[np.ndarray, "count 3"]:
    """Directions across an axis, equally spread over half a circle."""
    first = np.cross(axis.axis, np.eye(3)[np.abs(axis.axis).argmin()])
    second = np.cross(axis.axis, first / np.linalg.norm(first))
    angle_rad = np.arange(count)[:, None] * np.pi / count
    return np.cos(angle_rad) * first / np.linalg.norm(first) + np.sin(angle_rad) * second


def _half_turns(axes: Float[np.ndarray, "n 3"], point_m: Float[np.ndarray, "3"]) -> np.ndarray:
    return np.concatenate([rotations_about(axis, np.array([np.pi]), point_m) for axis in axes])
