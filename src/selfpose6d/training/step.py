"""One step's loss: decode, change, sample, predict, ask for targets, compare."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from selfpose6d.data.augment import augment
from selfpose6d.data.crop_batch import CropBatch, decode_records, sample_batch
from selfpose6d.data.crop_store import CropStore
from selfpose6d.errors import DataError
from selfpose6d.inference.object_shapes import ObjectShapes
from selfpose6d.losses.weak import WeakLoss, pose_distance_m, weak_loss
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.estimator import ObjectTable, PosePrediction
from selfpose6d.training.recipe import Recipe
from selfpose6d.training.targets import TargetSource

_LOSS_POINTS = 200


@dataclass(frozen=True)
class StepContext:
    """What is the same in every step."""

    recipe: Recipe
    config: NetworkConfig
    objects: ObjectTable
    source: TargetSource
    shapes: ObjectShapes
    device: torch.device

    def make_batch(self, records: np.ndarray, generator: torch.Generator, change: bool) -> CropBatch:
        """Records to a batch on the device, with (`change`) or without augmentation."""
        images = decode_records(records, self.device)
        if change:
            images = augment(images, self.recipe.augment, generator)
        index_by_id = {obj_id: index for index, obj_id in enumerate(self.objects.obj_ids)}
        diameter_m = torch.tensor(self.objects.diameter_m)
        return sample_batch(images, index_by_id, diameter_m, self.config.points, generator)


def training_loss(
    network: nn.Module,
    context: StepContext,
    records: np.ndarray,
    number: Int[np.ndarray, "batch"],
    generator: torch.Generator,
) -> WeakLoss:
    """The weak loss of a batch, with gradient. Sampled pixels are in random order: the subset is the first.

    Reference: paper Eq. (3)-(4).
    """
    batch = context.make_batch(records, generator, change=True)
    poses = min(context.recipe.poses, context.config.points)
    selected = torch.arange(poses, device=context.device).expand(len(number), poses)
    prediction = network(batch.inputs, selected)
    return compare(prediction, batch, number, context, generator)


def compare(
    prediction: PosePrediction,
    batch: CropBatch,
    number: Int[np.ndarray, "batch"],
    context: StepContext,
    generator: torch.Generator,
) -> WeakLoss:
    """Distance of the predicted poses to their targets, as the recipe weighs it."""
    targets = context.source.targets(batch, torch.from_numpy(number), prediction.T_crop_obj)
    points_m = _some_points(context.shapes.points_m, batch.object_index, generator)
    distance_m = pose_distance_m(prediction.T_crop_obj, targets.T_crop_obj, points_m)
    return weak_loss(distance_m, prediction.confidence_logit, context.recipe.regularisation_m, targets.weight)


def require_finite(
    values: Float[Tensor, "batch"], number: Int[np.ndarray, "batch"], store: CropStore, step: int
) -> None:
    """Stop before a loss or gradient that is not finite spoils the weights.

    Raises:
        DataError: names the instances whose value is not finite (for a gradient: all of the batch).
    """
    broken = ~torch.isfinite(values.detach()).cpu().numpy()
    if broken.any():
        names = [
            " ".join(f"{k} {v}" for k, v in store.key(int(n))._asdict().items()) for n in number[broken][:4]
        ]
        raise DataError(
            f"step {step}: the loss or its gradient is not finite for {'; '.join(names)}. "
            "Look at that frame with selfpose6d validate, or leave it out with --frames or --scenes."
        )


def _some_points(
    points_m: Float[Tensor, "objects points 3"],
    object_index: Int[Tensor, "batch"],
    generator: torch.Generator,
) -> Float[Tensor, "batch some 3"]:
    count = points_m.shape[1]
    chosen = torch.randperm(count, generator=generator, device=points_m.device)[:_LOSS_POINTS]
    return points_m[:, chosen][object_index]
