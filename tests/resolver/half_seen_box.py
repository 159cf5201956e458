"""A box as a camera sees it: only the faces towards the camera have points."""

import numpy as np
import torch

from selfpose6d.geometry.nearest import NearestGrid, build_nearest_grid
from selfpose6d.geometry.se3 import make_transform, retract, transform_points
from selfpose6d.geometry.so3 import random_rotations
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import label_box
from selfpose6d.meshes.sampling import sample_surface

BOX: Mesh = label_box(np.random.default_rng(0))


def box_grid(samples: int, cells: int, seed: int = 0) -> NearestGrid:
    """The box's nearest-point grid."""
    surface = sample_surface(BOX, samples, np.random.default_rng(seed))
    return build_nearest_grid(surface.points_m, surface.normals, cells)


def random_poses(count: int, seed: int) -> torch.Tensor:
    """Any rotation, half a metre to a metre ahead."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.rand(count, 3, generator=generator) * torch.tensor([0.2, 0.2, 0.5]) + torch.tensor(
        [-0.1, -0.1, 0.5]
    )
    return make_transform(random_rotations(count, generator), t)


def nudged(T_cam_obj: torch.Tensor, angle_deg: float, shift_m: float, seed: int) -> torch.Tensor:
    """Each pose rotated about its own origin and shifted by these amounts in a random direction."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(
        torch.randn(2, len(T_cam_obj), 3, generator=generator, dtype=torch.float64), dim=-1
    )
    T_offset = retract(
        torch.cat([torch.zeros_like(direction[0]), np.deg2rad(angle_deg) * direction[0]], -1)
    ).to(T_cam_obj)
    nudged = T_cam_obj @ T_offset
    nudged[:, :3, 3] += shift_m * direction[1].to(T_cam_obj)
    return nudged


def visible_clouds_m(T_cam_obj: torch.Tensor, points: int, seed: int) -> torch.Tensor:
    """(poses, points, 3): surface points in the camera frame, none on a face that points away."""
    generator = np.random.default_rng(seed)
    return torch.stack([_visible_cloud_m(T, points, generator) for T in T_cam_obj])


def _visible_cloud_m(
    T_cam_obj: torch.Tensor, points: int, generator: np.random.Generator, samples_per_point: int = 8
) -> torch.Tensor:
    surface = sample_surface(BOX, samples_per_point * points, generator)
    points_cam_m = transform_points(T_cam_obj, torch.from_numpy(surface.points_m).to(T_cam_obj))
    normals = torch.from_numpy(surface.normals).to(T_cam_obj) @ T_cam_obj[:3, :3].T
    seen = torch.nonzero((normals * points_cam_m).sum(-1) < 0)[:, 0]
    if len(seen) < points:  # a small face alone is seen
        return _visible_cloud_m(T_cam_obj, points, generator, 4 * samples_per_point)
    return points_cam_m[torch.from_numpy(generator.choice(seen.numpy(), points, replace=False))]
