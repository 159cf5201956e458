"""What the comparison network learns: how far off a pose is, and to come nearer, by one factor from far and near."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

MAX_ERROR = 0.5
"""Diameters; worse poses count as this bad."""
RIGHT_ERROR = 0.1
"""Diameters of mean error below which a pose is right: the usual measure (ADD-0.1d)."""
FLOOR = 0.02
"""Diameters; below about what a camera measures, no correction is asked to gain by a factor. A choice, not measured."""
RATING_SHARE = 0.2
"""Of the rating's loss beside the corrections': it is about five times as large."""


def rating_loss(
    error: Float[Tensor, "*poses"], sharpness: Float[Tensor, "*poses"], right_logit: Float[Tensor, "*poses"]
) -> Float[Tensor, "*poses"]:
    """Error x sharpness - log(sharpness), and the cross entropy of being right; errors are in diameters.

    Reference: paper Eq. (4), of whole poses.
    """
    error = error.detach()
    right = (error < RIGHT_ERROR).to(error)
    likelihood = error.clamp_max(MAX_ERROR) * sharpness.exp() - sharpness
    return RATING_SHARE * (
        likelihood + functional.binary_cross_entropy_with_logits(right_logit, right, reduction="none")
    )


def correction_loss(
    before: Float[Tensor, "*poses"], after: Float[Tensor, "*poses"], within_reach: Bool[Tensor, "*poses"]
) -> Float[Tensor, "*poses"]:
    """What a correction leaves of the error, as a ratio: an error of 3 degrees teaches as much as one of 60.

    Starts that are not `within_reach` teach nothing: which way leads from the wrong side to the right one is arbitrary.
    """
    return torch.where(within_reach, after / (before.detach() + FLOOR), 0.0)
