"""What the coordinate estimator and the comparison network learn from target poses."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.losses.comparison import correction_loss, rating_loss
from selfpose6d.losses.coordinates import fragment_loss
from selfpose6d.losses.weak import pose_distance_m
from selfpose6d.network.interface import Fragments, Refinement, Surfaces
from selfpose6d.training.targets import Targets

ON_OBJECT = 0.05
"""Diameters; farther from the surface under its target pose a pixel is of something else. Half the error below which a
pose counts as right: more than a depth camera's noise and an automatic label's error."""
REACH_RAD = 1.75
"""Of corrections, a little over a quarter turn: the range that starts are moved by, and what noise adds."""


def pixel_loss(
    fragments: Fragments, batch: CropBatch, targets: Targets, surfaces: Surfaces
) -> Float[Tensor, " batch"]:
    """Where each pixel lies, against where its instance's target pose puts it; `targets` has one for each."""
    index, T = batch.object_index, targets.T_crop_obj[:, 0]
    diameter_m = surfaces.diameter_m[index][:, None]
    points_obj_m = transform_points(inverse(T), batch.points_crop_m)
    on_object = _on_object(points_obj_m, index, surfaces, diameter_m)
    target = (points_obj_m - surfaces.centre_m[index][:, None]) / diameter_m[..., None]
    return fragment_loss(*fragments, target, on_object)


def comparison_loss(
    refinement: Refinement,
    targets: Targets,
    points_m: Float[Tensor, "batch model 3"],
    diameter_m: Float[Tensor, " batch"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch starts poses"]]:
    """Ratings and corrections of all poses, and the poses' errors in metres.

    `targets` has one for each pose, in the order of starts and corrections; `points_m` are model points.
    """
    T, rating = refinement.T_crop_obj, refinement.rating
    assert rating is not None
    T_target = targets.T_crop_obj.unflatten(1, T.shape[1:3])
    error_m = pose_distance_m(T.flatten(1, 2), targets.T_crop_obj, points_m).unflatten(1, T.shape[1:3])
    error = error_m / diameter_m[:, None, None]
    loss = rating_loss(error, *rating).mean((1, 2))
    if T.shape[2] > 1:
        before, aims = T[:, :, :-1], T_target[:, :, :-1]
        after_m = pose_distance_m(T[:, :, 1:].flatten(1, 2), aims.flatten(1, 2), points_m)
        after = after_m.unflatten(1, before.shape[1:3]) / diameter_m[:, None, None]
        near = _angle_rad(before[..., :3, :3], aims[..., :3, :3]) < REACH_RAD
        # the sum over those within reach: an instance with few of them shall not count them more
        loss = loss + correction_loss(error[:, :, :-1], after, near).mean((1, 2))
    return loss, error_m.detach()


def _angle_rad(R: Float[Tensor, "*poses 3 3"], other: Float[Tensor, "*poses 3 3"]) -> Float[Tensor, "*poses"]:
    return (((R * other).sum((-2, -1)) - 1) / 2).clamp(-1, 1).acos()


def _on_object(
    points_obj_m: Float[Tensor, "batch points 3"],
    object_index: Int[Tensor, " batch"],
    surfaces: Surfaces,
    diameter_m: Float[Tensor, "batch 1"],
) -> Bool[Tensor, "batch points"]:
    nearest = nearest_index(surfaces.grid, object_index, points_obj_m)
    distance_m = (surfaces.grid.points_m[object_index[:, None], nearest] - points_obj_m).norm(dim=-1)
    return distance_m < ON_OBJECT * diameter_m
