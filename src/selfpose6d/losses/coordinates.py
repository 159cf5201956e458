"""The loss of single pixels: on which fragment of the object each lies, and where on it."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

PLACE_GAIN = 20.0
"""Of distances in diameters beside the cross entropy: a 20th, half of the error below which a pose counts as right,
is as bad as a fragment that is e times too unlikely."""
_SMALLEST = 1e-4
"""Added to distances (diameters), so that their gradient is finite at 0."""


def fragment_loss(
    logit: Float[Tensor, "batch points classes"],
    offset: Float[Tensor, "batch points fragments 3"],
    centre: Float[Tensor, "batch fragments 3"],
    target: Float[Tensor, "batch points 3"],
    on_object: Bool[Tensor, "batch points"],
) -> Float[Tensor, " batch"]:
    """Cross entropy of the fragment whose centre is nearest to the target, and how far off the place on it is.

    What is not on the object is to be the last class and has no place; means over the pixels.

    Reference: Hodan et al., EPOS, 2020 (of single fragments and places on them).
    """
    # |target - centre|^2 without what is the same for all fragments
    nearest = (centre.square().sum(-1)[:, None] - 2 * target @ centre.mT).argmin(-1)
    wanted = torch.where(on_object, nearest, centre.shape[1])
    entropy = functional.cross_entropy(logit.flatten(0, 1), wanted.flatten(), reduction="none")
    own = nearest[..., None]
    place = centre.take_along_dim(own, 1) + offset.take_along_dim(own[..., None], 2).squeeze(2)
    distance = (place - target).square().sum(-1).add(_SMALLEST**2).sqrt()
    return (entropy.view_as(distance) + PLACE_GAIN * distance * on_object).mean(-1)
