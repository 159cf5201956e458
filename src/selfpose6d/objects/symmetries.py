"""The declared symmetries of a data set's objects as tensors, in the order of the network's channels."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from selfpose6d.datasets.declared_symmetries import require_declared_symmetries
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.geometry.symmetric_poses import Symmetries
from selfpose6d.geometry.symmetry import ContinuousSymmetry, SymmetryGroup
from selfpose6d.meshes.mesh import Mesh

NO_SYMMETRY = SymmetryGroup(np.zeros((0, 4, 4)))
_PARALLEL = 1e-3
"""Radians between axes that are one: files have four digits and more."""


def load_symmetries(
    models_folder: Path, obj_ids: Sequence[int], load_mesh: Callable[[int], Mesh]
) -> Symmetries:
    """What `models_info.json` declares of these objects, continuous symmetries exactly; else the identity.

    An object with axes in several directions is a ball: every rotation about the point where they meet. The meshes of
    objects with declared symmetries are loaded to check them.

    Raises:
        DataError: the file is not BOP's, or declared symmetries do not map the mesh onto itself.
        MeshError: a mesh is unreadable.
    """
    declared = read_symmetries(models_folder)
    groups = [declared.get(obj_id, NO_SYMMETRY) for obj_id in obj_ids]
    for obj_id, group in zip(obj_ids, groups, strict=True):
        if group.continuous or len(group.discrete):
            require_declared_symmetries(load_mesh(obj_id), group, f"object {obj_id}")
    return stack_symmetries(groups)


def stack_symmetries(groups: Sequence[SymmetryGroup]) -> Symmetries:
    """The symmetries of several objects, padded to the same number of discrete motions."""
    discrete = [SymmetryGroup(group.discrete).expand(1) for group in groups]
    most = max(map(len, discrete))
    padded = [np.concatenate([T, np.tile(np.eye(4), (most - len(T), 1, 1))]) for T in discrete]
    allowed = np.arange(most) < np.array([len(T) for T in discrete])[:, None]
    free = [_free_rotation(group.continuous) for group in groups]
    return Symmetries(
        torch.from_numpy(np.stack(padded)).float(),
        torch.from_numpy(allowed),
        torch.from_numpy(np.stack([axis for axis, _, _ in free])).float(),
        torch.from_numpy(np.stack([centre_m for _, centre_m, _ in free])).float(),
        torch.tensor([is_ball for _, _, is_ball in free]),
        has_balls=any(is_ball for _, _, is_ball in free),
    )


def _free_rotation(
    continuous: Sequence[ContinuousSymmetry],
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3"], bool]:
    """Axis, the point nearest to all axes, and whether they point in several directions."""
    if not continuous:
        return np.zeros(3), np.zeros(3), False
    first = continuous[0]
    others = [one.axis for one in continuous[1:]]
    if not any(np.linalg.norm(np.cross(first.axis, axis)) > _PARALLEL for axis in others):
        return first.axis, first.offset_m, False
    across = [np.eye(3) - np.outer(one.axis, one.axis) for one in continuous]
    pulls = [P @ one.offset_m for P, one in zip(across, continuous, strict=True)]
    return first.axis, np.linalg.solve(np.sum(across, 0), np.sum(pulls, 0)), True
