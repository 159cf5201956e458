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
LOSS_GAIN = 10.0
"""About one over the distances of a network that has learnt something: the loss stays of the size of a likelihood."""
_SMALLEST = 1e-4
"""Added to distances (diameters), so that their gradient is finite at 0."""


def coordinate_loss(
    coordinates: Float[Tensor, "batch modes points 3"],
    log_weight: Float[Tensor, "batch modes points"],
    target: Float[Tensor, "batch modes points 3"],
    on_object: Bool[Tensor, "batch modes points"],
) -> tuple[Float[Tensor, "batch modes"], Float[Tensor, "batch modes"]]:
    """The loss, and the misfit by which the best mode is chosen, both means over the pixels.

    A pixel's misfit is distance x weight - log(weight), distances in diameters: the likelihood of an error that falls
    off exponentially. The best weight is one over the distance. The loss is the misfit over the weight, which is taken
    as given: so all distances are pulled at alike, where the misfit alone would leave those that are still large.

    Reference: paper Eq. (4), of pixels instead of poses; Seitzer et al., On the pitfalls of heteroscedastic uncertainty
    estimation, 2022 (beta = 1).
    """
    distance = (coordinates - target).square().sum(-1).add(_SMALLEST**2).sqrt()
    distance = torch.where(on_object, distance, OUTSIDE_ERROR)
    misfit = distance * log_weight.exp() - log_weight
    loss = LOSS_GAIN * misfit * (-log_weight.detach()).exp()
    return loss.mean(-1), misfit.mean(-1)


def best_mode_share(misfit: Float[Tensor, "batch modes"]) -> Float[Tensor, "batch modes"]:
    """How much each mode of an instance learns: nearly all of it the best one, so that modes stay different answers."""
    best = torch.nn.functional.one_hot(misfit.argmin(1), misfit.shape[1]).to(misfit)
    return (1 - OTHER_MODES) * best + OTHER_MODES / misfit.shape[1]
