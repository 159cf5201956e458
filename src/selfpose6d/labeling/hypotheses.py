"""Start poses: rotations spread evenly over SO(3), translation from the visible cloud, settled by the resolver."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.se3 import make_transform
from selfpose6d.geometry.so3 import super_fibonacci
from selfpose6d.labeling.distinct_kernels import greedy_distinct
from selfpose6d.objects.object_model import ObjectModel
from selfpose6d.resolver.icp import ResolverOptions, resolve
from selfpose6d.types import ResolverResult


def start_poses(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    count: int,
    turn: Float[Tensor, "3 3"] | None = None,
) -> Float[Tensor, "{count} 4 4"]:
    """Evenly spread rotations; each puts the surface that would be visible on the cloud's centroid.

    `turn` turns all of them, for starts between those of an earlier search.
    """
    R = super_fibonacci(count)
    R = R if turn is None else turn @ R
    centroid = cloud_cam_m.mean(0)
    to_camera_obj = -torch.nn.functional.normalize(centroid, dim=0) @ R
    view = (to_camera_obj @ model.view_direction.T).argmax(-1)
    return make_transform(R, centroid - (R @ model.visible_centre_m[view][..., None]).squeeze(-1))


def settle(
    model: ObjectModel,
    cloud_cam_m: Float[Tensor, "points 3"],
    T_cam_obj: Float[Tensor, "poses 4 4"],
    options: ResolverOptions,
) -> ResolverResult:
    """The resolver on every pose, all against one cloud."""
    zero = torch.zeros(len(T_cam_obj), dtype=torch.long)
    return resolve(T_cam_obj, cloud_cam_m[None], zero, model.grid, zero, options)


def distinct(
    T_cam_obj: Float[Tensor, "poses 4 4"],
    preference: Float[Tensor, "poses"],
    centre_m: Float[Tensor, "3"],
    angle_rad: float,
    distance_m: float,
    most: int,
) -> Tensor:
    """Indices of mutually different poses, best preference first.

    Two poses are alike when both their rotations are within `angle_rad` and the places of the object's centre within
    `distance_m`; of alike ones the best is kept.
    """
    order = torch.argsort(preference, descending=True, stable=True)
    R = T_cam_obj[order, :3, :3].reshape(-1, 9).double().cpu().numpy()
    t = (T_cam_obj[order, :3, :3] @ centre_m + T_cam_obj[order, :3, 3]).double().cpu().numpy()
    kept = greedy_distinct(R, t, 1 + 2 * np.cos(angle_rad), distance_m**2, most)
    return order[torch.from_numpy(kept).to(order.device)]
