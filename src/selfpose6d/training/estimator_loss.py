"""What the estimator of either architecture learns from target poses."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.nearest import nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.losses.coordinates import best_mode_share, coordinate_loss
from selfpose6d.losses.weak import WeakLoss, pose_distance_m, weak_loss, weighted_mean
from selfpose6d.network.interface import ObjectTable, PosePrediction
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.training.targets import Targets

ON_OBJECT = 0.05
"""Diameters; farther from the surface under its target pose a pixel is of something else. Half the error below which a
pose counts as right: more than a depth camera's noise and an automatic label's error."""


def estimator_loss(
    prediction: PosePrediction,
    batch: CropBatch,
    targets: Targets,
    points_m: Float[Tensor, "batch model 3"],
    shapes: ObjectShapes,
    objects: ObjectTable,
    regularisation_m: float,
) -> WeakLoss:
    """The weak loss of all poses; of coordinates that of the pixels, while the poses' own teaches the rating alone.

    `points_m` are model points of each instance's object.

    Reference: paper Eq. (3)-(4).
    """
    distance_m = pose_distance_m(prediction.T_crop_obj, targets.T_crop_obj, points_m)
    weak = weak_loss(distance_m, prediction.confidence_logit, regularisation_m, targets.weight)
    if prediction.correspondences is None:
        return weak
    best = prediction.confidence_logit.argmax(1, keepdim=True)
    pixels = _pixel_loss(prediction, batch, targets, shapes, objects)
    # in units of its weight the poses' loss is about 1 in size, like the pixels'
    instance = pixels + weak.instance / regularisation_m
    total = weighted_mean(instance, targets.weight)
    chosen_m, chosen = distance_m.gather(1, best).squeeze(1), prediction.confidence.gather(1, best).squeeze(1)
    return WeakLoss(total, instance, chosen_m.detach(), chosen.detach())


def _pixel_loss(
    prediction: PosePrediction,
    batch: CropBatch,
    targets: Targets,
    shapes: ObjectShapes,
    objects: ObjectTable,
) -> Float[Tensor, "batch"]:
    """Each mode against the target nearest to it, then mostly the best mode's."""
    assert prediction.correspondences is not None
    coordinates, log_weight = prediction.correspondences
    device = coordinates.device
    diameter_m = torch.tensor(objects.diameter_m, device=device)[batch.object_index][:, None, None, None]
    centre_m = torch.tensor(objects.centre_m, device=device)[batch.object_index][:, None, None]
    points_m = batch.points_crop_m[:, None].expand(-1, coordinates.shape[1], -1, -1)
    points_obj_m = transform_points(inverse(targets.T_crop_obj), points_m)
    on_object = _on_object(points_obj_m, batch.object_index, shapes, diameter_m)
    loss = coordinate_loss(coordinates, log_weight, (points_obj_m - centre_m) / diameter_m, on_object)
    return (best_mode_share(loss.detach()) * loss).sum(1)


def _on_object(
    points_obj_m: Float[Tensor, "batch modes points 3"],
    object_index: Int[Tensor, "batch"],
    shapes: ObjectShapes,
    diameter_m: Float[Tensor, "batch 1 1 1"],
) -> Bool[Tensor, "batch modes points"]:
    flat = points_obj_m.flatten(1, 2)
    nearest = nearest_index(shapes.grid, object_index, flat)
    distance_m = (shapes.grid.points_m[object_index[:, None], nearest] - flat).norm(dim=-1)
    return distance_m.unflatten(1, points_obj_m.shape[1:3]) < ON_OBJECT * diameter_m.squeeze(-1)
