"""What a segmentation network is trained by, and what says how well it does."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from selfpose6d.network.segmentation import VOTE_UNIT_PX, Segmentation
from selfpose6d.training.segmentation.batch import SegmentationBatch
from selfpose6d.training.segmentation.frames import IGNORED

OBJECT_WEIGHT = 2.0
"""Of a place that shows an object against one that shows none: objects take a tenth of an image."""
VOTES_WEIGHT = 0.5
"""Of the votes' errors, in units of `VOTE_UNIT_PX`, beside the classes'."""
LEAST_TO_SMOOTH = 1.0
"""Places added to an object's overlap and sizes, so that one without a place has no part in the mean."""


class SegmentationLoss(NamedTuple):
    """The sum, and its parts."""

    total: Float[Tensor, ""]
    classes: Float[Tensor, ""]
    overlap: Float[Tensor, ""]
    votes: Float[Tensor, ""]


def segmentation_loss(answer: Segmentation, batch: SegmentationBatch) -> SegmentationLoss:
    """Cross entropy of the classes, 1 - Dice of each object (Milletari et al., V-Net, 2016), distance of the votes."""
    teaches = batch.label != IGNORED
    label = torch.where(teaches, batch.label, 0)
    entropy = functional.cross_entropy(answer.logits, label, reduction="none")
    weight = torch.where(label > 0, OBJECT_WEIGHT, 1.0) * teaches
    classes = (entropy * weight).sum() / weight.sum().clamp_min(1)
    overlap = 1 - _dice(answer.logits, label, teaches)
    on_object = (label > 0) & teaches
    off = functional.smooth_l1_loss(
        answer.votes_px / VOTE_UNIT_PX, batch.votes_px / VOTE_UNIT_PX, beta=0.1, reduction="none"
    ).sum(1)
    votes = (off * on_object).sum() / on_object.sum().clamp_min(1)
    return SegmentationLoss(classes + overlap + VOTES_WEIGHT * votes, classes, overlap, votes)


def confusion(answer: Segmentation, batch: SegmentationBatch) -> Float[Tensor, "classes classes"]:
    """How many places of each class (row) are taken for each (column); those that teach nothing do not count."""
    classes = answer.logits.shape[1]
    teaches = batch.label != IGNORED
    pair = batch.label[teaches] * classes + answer.logits.argmax(1)[teaches]
    return torch.bincount(pair, minlength=classes**2).view(classes, classes).double()


def mean_iou(counts: Float[Tensor, "classes classes"]) -> float:
    """Intersection over union, the mean over the objects that are there or are said to be; NaN where none is."""
    both = counts.diagonal()[1:]
    either = counts.sum(0)[1:] + counts.sum(1)[1:] - both
    seen = either > 0
    return float((both[seen] / either[seen]).mean()) if seen.any() else float("nan")


def _dice(logits: Tensor, label: Tensor, teaches: Tensor) -> Tensor:
    probability = logits.softmax(1)[:, 1:] * teaches[:, None]
    wanted = functional.one_hot(label, logits.shape[1]).permute(0, 3, 1, 2)[:, 1:] * teaches[:, None]
    common = (probability * wanted).sum((0, 2, 3))
    sizes = probability.sum((0, 2, 3)) + wanted.sum((0, 2, 3))
    return ((2 * common + LEAST_TO_SMOOTH) / (sizes + LEAST_TO_SMOOTH)).mean()
