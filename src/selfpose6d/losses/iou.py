"""How well the rendered mask covers the photograph's."""

from jaxtyping import Bool, Float
from torch import Tensor


def iou_loss(
    camera_mask: Float[Tensor, "batch height width"],
    rendered_mask: Float[Tensor, "batch height width"],
    known: Bool[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, "batch"]:
    """1 - intersection over union of two soft masks; 1 where both are empty. `known` marks the pixels that count.

    Reference: paper Eq. (8).
    """
    both = camera_mask * rendered_mask
    either = camera_mask + rendered_mask - both
    if known is not None:
        both, either = both * known, either * known
    return 1 - both.sum((1, 2)) / either.sum((1, 2)).clamp_min(1e-6)
