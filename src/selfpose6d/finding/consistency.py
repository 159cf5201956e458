"""Whether poses can be together: nothing passes through its support, nothing through another object."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from selfpose6d.finding.scene import Scene
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.labeling.lengths import Lengths
from selfpose6d.objects.object_model import ObjectModel

POINTS = 500
"""Of a model's surface."""
MAX_THROUGH_PLANE, MAX_INSIDE = 0.1, 0.05
"""Of them, that may lie behind a support's visible surface, or inside another object, by more than the tolerance:
errors of meshes and poses leave some."""


def through_support(
    scene: Scene,
    own: Bool[np.ndarray, "rows columns"],
    model: ObjectModel,
    T_cam_obj: Float[torch.Tensor, "4 4"],
    lengths: Lengths,
) -> float:
    """Fraction of the object's surface that lies behind a support plane, where the image shows that plane.

    Pixels that show the object itself (`own`) say nothing, though a face of it may lie in a plane; nor does what hides
    behind the edge of a table, where the image shows no plane.
    """
    points = surface_points(model, T_cam_obj).double().cpu().numpy()
    K, surface = scene.seen.frame.K, scene.surface
    z = np.maximum(points[:, 2], 1e-6)
    column = np.floor((K[0, 0] * points[:, 0] / z + K[0, 2]) / surface.step_px).astype(int)
    row = np.floor((K[1, 1] * points[:, 1] / z + K[1, 2]) / surface.step_px).astype(int)
    rows, columns = surface.known.shape
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns) & (points[:, 2] > 0)
    row, column = row.clip(0, rows - 1), column.clip(0, columns - 1)
    behind = np.zeros(len(points), bool)
    for plane in scene.planes:
        tolerance_m = 2 * lengths.agree_m
        behind |= inside & (plane.on_it & ~own)[row, column] & (plane.height_m(points) < -tolerance_m)
    return float(behind.mean())


def inside_of(
    model: ObjectModel,
    T_cam_obj: Float[torch.Tensor, "4 4"],
    other: ObjectModel,
    T_cam_other: Float[torch.Tensor, "4 4"],
    lengths: Lengths,
) -> float:
    """Fraction of the object's surface that is inside the other one, by more than the tolerance."""
    points = surface_points(model, T_cam_obj)
    far_m = float((model.centre_at(T_cam_obj[None]) - other.centre_at(T_cam_other[None])).norm())
    if far_m > 0.5 * (model.diameter_m + other.diameter_m):
        return 0.0
    points_other = transform_points(inverse(T_cam_other[None]), points[None])
    zero = torch.zeros(1, dtype=torch.long, device=points.device)
    index = nearest_index(other.grid, zero, points_other)[0]
    offset = points_other[0] - other.grid.points_m[0][index]
    depth_m = -(offset * other.grid.normals[0][index]).sum(-1)
    return float((depth_m > 2 * lengths.agree_m).double().mean())


def surface_points(
    model: ObjectModel, T_cam_obj: Float[torch.Tensor, "4 4"]
) -> Float[torch.Tensor, "points 3"]:
    """Points spread over the object's surface, camera frame."""
    samples = model.grid.points_m[0]
    thin = samples[:: max(1, len(samples) // POINTS)]
    return transform_points(T_cam_obj[None], thin[None])[0]
