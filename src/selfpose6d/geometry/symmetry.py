"""The motions that map an object onto itself, as data sets declare them.

`T_obj_sym` maps object coordinates to object coordinates: `T_cam_obj @ T_obj_sym` cannot be told from `T_cam_obj`.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class ContinuousSymmetry:
    """Every rotation about one axis: unit `axis` through `offset_m`, object frame."""

    axis: Float[np.ndarray, "3"]
    offset_m: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class SymmetryGroup:
    """Discrete symmetries (the identity need not be among them) and axes of rotation."""

    discrete: Float[np.ndarray, "discrete 4 4"]
    continuous: tuple[ContinuousSymmetry, ...] = ()

    def expand(self, steps: int) -> Float[np.ndarray, "symmetries 4 4"]:
        """Every discrete symmetry, the identity first, after each of `steps` equal rotations about every axis.

        Reference: BOP toolkit, `get_symmetry_transformations`.
        """
        transforms = np.concatenate([np.eye(4)[None], self.discrete[_moving(self.discrete)]])
        if not self.continuous:
            return transforms
        rotations = np.concatenate([axis_rotations(symmetry, steps) for symmetry in self.continuous])
        return (rotations[None] @ transforms[:, None]).reshape(-1, 4, 4)


def axis_rotations(symmetry: ContinuousSymmetry, steps: int) -> Float[np.ndarray, "steps 4 4"]:
    """`steps` equal rotations about the axis, the first by 0 (Rodrigues' formula)."""
    angle_rad = np.arange(steps) * (2 * np.pi / steps)
    x, y, z = symmetry.axis / np.linalg.norm(symmetry.axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotations = np.tile(np.eye(4), (steps, 1, 1))
    rotations[:, :3, :3] += (
        np.sin(angle_rad)[:, None, None] * cross + (1 - np.cos(angle_rad))[:, None, None] * cross @ cross
    )
    rotations[:, :3, 3] = symmetry.offset_m - rotations[:, :3, :3] @ symmetry.offset_m
    return rotations


def _moving(transforms: Float[np.ndarray, "n 4 4"]) -> np.ndarray:
    return np.abs(transforms - np.eye(4)).max(axis=(1, 2), initial=0) > 1e-9
