"""How good the network is on held-out frames of the training split, by the recipe's own targets."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from selfpose6d.data.crop_store import CropStore
from selfpose6d.losses.weak import WeakLoss
from selfpose6d.training.loader import Share, step_generator
from selfpose6d.training.step import StepContext, compare

_BATCH = 32


@dataclass(frozen=True)
class Validation:
    """Means over the held-out instances; lower is better.

    `distance_m` is the confidence-weighted distance of the poses to the recipe's own targets: for `paper`
    the weak distance to the network's resolved poses, for `verified` the distance to certified labels. No
    pose is read that the recipe does not train on.
    """

    distance_m: float
    confidence: float
    instances: int


def validate(
    network: nn.Module,
    context: StepContext,
    store: CropStore,
    numbers: Int[np.ndarray, "held_out"],
    seed: int,
    autocast: Callable[[], AbstractContextManager],
) -> Validation:
    """Compare every held-out instance, without augmentation, always with the same sampled pixels.

    The network alone runs under `autocast`; its poses are compared in single precision.
    """
    was_training = network.training
    network.eval()
    with torch.no_grad():
        losses = [
            _compare(network, context, store, numbers[first : first + _BATCH], seed, first, autocast)
            for first in range(0, len(numbers), _BATCH)
        ]
    network.train(was_training)
    distance_m = torch.cat([loss.distance_m for loss in losses])
    confidence = torch.cat([loss.confidence for loss in losses])
    return Validation(distance_m.mean().item(), confidence.mean().item(), len(distance_m))


def _compare(
    network: nn.Module,
    context: StepContext,
    store: CropStore,
    numbers: Int[np.ndarray, "batch"],
    seed: int,
    first: int,
    autocast: Callable[[], AbstractContextManager],
) -> WeakLoss:
    generator = step_generator(seed, first, Share(), context.device)
    batch = context.make_batch(store.read(numbers), generator, change=False)
    selected = torch.arange(min(context.recipe.poses, context.config.points), device=context.device)
    with autocast():
        prediction = network(batch.inputs, selected.expand(len(numbers), -1))
    return compare(prediction, batch, numbers, context, generator)
