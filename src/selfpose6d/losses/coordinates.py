"""The weak loss of single pixels: how far each lies from its place on the object, weighed by the pixel's own trust."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

OUTSIDE_ERROR = 0.5
"""Diameters; what a pixel that is not on the object counts as being off by, wherever it was placed: only the trust in
it is to fall. Half a diameter is a typical error of a place that says nothing."""
OTHER_MODES = 0.05
"""Share of the modes that are not the best: enough that none is left behind for good, too little to pull them together.

Reference: Rupprecht et al., Learning in an uncertain world, 2017, who take 0.05 as well.
"""
_SMALLEST = 1e-4
"""Added to distances (diameters), so that their gradient is finite at 0."""


def coordinate_loss(
    coordinates: Float[Tensor, "batch modes points 3"],
    log_weight: Float[Tensor, "batch modes points"],
    target: Float[Tensor, "batch modes points 3"],
    on_object: Bool[Tensor, "batch modes points"],
) -> Float[Tensor, "batch modes"]:
    """Mean over the pixels of distance x weight - log(weight), distances in diameters.

    The best weight of a pixel is one over its distance: the likelihood of an error that falls off exponentially.

    Reference: paper Eq. (4), of pixels instead of poses.
    """
    distance = (coordinates - target).square().sum(-1).add(_SMALLEST**2).sqrt()
    distance = torch.where(on_object, distance, OUTSIDE_ERROR)
    return (distance * log_weight.exp() - log_weight).mean(-1)


def best_mode_share(loss: Float[Tensor, "batch modes"]) -> Float[Tensor, "batch modes"]:
    """How much each mode of an instance learns: nearly all of it the best one, so that modes stay different answers."""
    best = torch.nn.functional.one_hot(loss.argmin(1), loss.shape[1]).to(loss)
    return (1 - OTHER_MODES) * best + OTHER_MODES / loss.shape[1]
