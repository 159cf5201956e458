"""How far the observed points are from the model at a pose."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.geometry.nearest import NearestGrid, nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.types import Direction


def geometry_loss(
    T_cam_obj: Float[Tensor, "batch 4 4"],
    observed_cam_m: Float[Tensor, "batch points 3"],
    grid: NearestGrid,
    model: Int[Tensor, "batch"],
    direction: Direction = "observed-to-model",
    most_samples: int = 500,
) -> Float[Tensor, "batch"]:
    """Mean squared distance to the nearest counterpart, square metres; instance b is of model `model[b]` of `grid`.

    `observed-to-model` is what the paper's text says, `model-to-observed` what its formula says: that one also pulls
    the hidden back of the object onto the visible front (`most_samples` model points are compared).

    Reference: paper Eq. (10).
    """
    if direction == "observed-to-model":
        observed_obj_m = transform_points(inverse(T_cam_obj), observed_cam_m)
        index = nearest_index(grid, model, observed_obj_m.detach())
        return (observed_obj_m - grid.points_m[model[:, None], index]).square().sum(-1).mean(-1)
    samples = grid.points_m[model].to(T_cam_obj)[:, :: max(1, grid.points_m.shape[1] // most_samples)]
    placed = transform_points(T_cam_obj, samples)
    with torch.no_grad():
        centre = observed_cam_m.mean(
            1, keepdim=True
        )  # cdist squares coordinates: near 0 they keep their digits
        index = torch.cdist(placed - centre, observed_cam_m - centre).argmin(-1)
    nearest = observed_cam_m.gather(1, index[..., None].expand(-1, -1, 3))
    return (placed - nearest).square().sum(-1).mean(-1)
