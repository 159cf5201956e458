"""Start poses: rotations spread evenly over SO(3), translation from the visible cloud, aligned by the resolver."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import super_fibonacci
from selfpose6d.labeling.distinct_kernels import greedy_distinct
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions, resolve
from selfpose6d.types import ResolverResult


class PoseSpacing(NamedTuple):
    """Poses nearer to each other than both are one: angle of the rotations, distance of the object's centre."""

    angle_rad: float
    distance_m: float


def start_poses(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    count: int,
    R_offset: Float[Tensor, "3 3"] | None = None,
) -> Float[Tensor, "{count} 4 4"]:
    """Evenly spread rotations; each puts the surface that would be visible on the cloud's centroid.

    `R_offset` rotates all of them, for starts between those of an earlier search.
    """
    R = super_fibonacci(count).to(cloud_cam_m.device)
    R = R if R_offset is None else R_offset @ R
    centroid = cloud_cam_m.mean(0)
    to_camera_obj = -torch.nn.functional.normalize(centroid, dim=0) @ R
    view = (to_camera_obj @ model.view_direction.T).argmax(-1)
    return make_transform(R, centroid - (R @ model.visible_centre_m[view][..., None]).squeeze(-1))


def align(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    options: ResolverOptions,
) -> ResolverResult:
    """The resolver on every pose, all against one cloud."""
    zero = torch.zeros(len(T_cam_obj), dtype=torch.long, device=T_cam_obj.device)
    return resolve(T_cam_obj, cloud_cam_m[None], zero, model.grid, zero, options)


def distinct(
    model: ObjectModel,
    T_cam_obj: Float[Tensor, "poses 4 4"],
    preference: Float[Tensor, " poses"],
    spacing: PoseSpacing,
    max_poses: int,
) -> Tensor:
    """Indices of mutually different poses, best preference first; of poses within `spacing` the best is kept."""
    order = torch.argsort(preference, descending=True, stable=True)
    R = T_cam_obj[order, :3, :3].reshape(-1, 9).double().cpu().numpy()
    t = model.centre_at(T_cam_obj[order]).double().cpu().numpy()
    min_trace = 1 + 2 * math.cos(spacing.angle_rad)
    kept = greedy_distinct(R, t, min_trace, spacing.distance_m**2, max_poses)
    return order[torch.from_numpy(kept).to(order.device)]
