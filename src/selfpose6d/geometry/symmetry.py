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
    """`steps` equal rotations about the axis, the first by 0."""
    angle_rad = np.arange(steps) * (2 * np.pi / steps)
    return rotations_about(symmetry.axis, angle_rad, symmetry.offset_m)


def rotations_about(
    axis: Float[np.ndarray, "3"], angle_rad: Float[np.ndarray, " n"], point_m: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "n 4 4"]:
    """Rotations by these angles about the line through `point_m` along `axis` (Rodrigues' formula)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotations = np.tile(np.eye(4), (len(angle_rad), 1, 1))
    rotations[:, :3, :3] += (
        np.sin(angle_rad)[:, None, None] * cross + (1 - np.cos(angle_rad))[:, None, None] * cross @ cross
    )
    rotations[:, :3, 3] = point_m - rotations[:, :3, :3] @ point_m
    return rotations


def axis_and_angle(T_obj_sym: Float[np.ndarray, "4 4"]) -> tuple[Float[np.ndarray, "3"], float]:
    """Unit axis and angle in radians (0 to pi) of a motion's rotation; any axis for the identity.

    The largest component of a half turn's axis is positive: both signs are the same motion.
    """
    from scipy.spatial.transform import Rotation

    vector = Rotation.from_matrix(T_obj_sym[:3, :3]).as_rotvec()
    angle_rad = float(np.linalg.norm(vector))
    if angle_rad < 1e-9:
        return np.array([0.0, 0.0, 1.0]), 0.0
    axis = vector / angle_rad
    return (axis * np.sign(axis[np.abs(axis).argmax()]) if angle_rad > np.pi - 1e-6 else axis), angle_rad


def _moving(transforms: Float[np.ndarray, "n 4 4"]) -> np.ndarray:
    return np.abs(transforms - np.eye(4)).max(axis=(1, 2), initial=0) > 1e-9
