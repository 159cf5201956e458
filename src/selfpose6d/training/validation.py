"""How good the network is on held-out frames of the training split, by the measure of the stage; no test data."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from selfpose6d.crops.joined import Crops
from selfpose6d.network.confidence import Confidence
from selfpose6d.network.pose_network import NetworkOutput
from selfpose6d.training.confidence import measure_confidence
from selfpose6d.training.loader import ProcessPart, Samples, step_generator
from selfpose6d.training.recipe import Stage
from selfpose6d.training.step import StepContext, StepLoss, step_loss

_BATCH = 32
"""Held-out samples at once; without gradients they take less memory than a training step's 16."""


@dataclass(frozen=True)
class Validation:
    """Means over the held-out instances; lower is better.

    `monitored` names the measure that counts: the confidence-weighted distance of the poses to the recipe's own
    targets (for `paper` the weak distance to the network's resolved poses, for `verified` the distance to certified
    labels; the data set's own frames of `mixed` and `teacher-student` as for `paper`), that of the refined poses, or
    the joint loss. No pose is read that the recipe does not train on.
    """

    measures: dict[str, float]
    monitored: str
    instances: int
    confidence: Confidence
    """What the network's rating is worth, of one that rates."""

    @property
    def value(self) -> float:
        """The measure that counts."""
        return self.measures[self.monitored]


def validate(
    network: nn.Module,
    context: StepContext,
    stage: Stage,
    store: Crops,
    held_out: Int[np.ndarray, " held_out"],
    seed: int,
    autocast: Callable[[], AbstractContextManager],
) -> Validation:
    """Compare every held-out sample, without augmentation, always with the same sampled pixels."""

    def predict(*arguments: object) -> NetworkOutput:
        with autocast():  # the network alone; its poses are compared in single precision
            return network(*arguments)

    def loss_from(first: int) -> StepLoss:
        index = held_out[first : first + _BATCH]
        generator = step_generator(seed, first, ProcessPart(), context.device)
        samples = Samples(index, store.read(index))
        return step_loss(predict, context, stage, samples, generator, training=False)

    was_training = network.training
    network.eval()
    with torch.no_grad():
        losses = [loss_from(first) for first in range(0, len(held_out), _BATCH)]
    network.train(was_training)
    measures = {name: torch.cat([loss.measures[name] for loss in losses]) for name in losses[0].measures}
    means = {name: values.mean().item() for name, values in measures.items()}
    rated = {name: measures[name].cpu().numpy() for name in ("right_logit", "right") if name in measures}
    confidence = measure_confidence(rated["right_logit"], rated["right"] > 0) if rated else Confidence()
    return Validation(means, losses[0].monitored, len(held_out), confidence)
