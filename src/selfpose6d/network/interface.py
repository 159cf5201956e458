"""What goes into an estimator of either architecture and what comes out."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class ObjectTable:
    """The objects that a network knows, in the order of its output channels."""

    obj_ids: tuple[int, ...]
    diameter_m: tuple[float, ...]
    centre_m: tuple[tuple[float, float, float], ...]
    """Centre of each object's bounding box, object frame: predicted first, the origin follows from it."""


class NetworkInput(NamedTuple):
    """A batch of instances as the network takes them.

    `rgb` is 0-1; `pixel` is the raster index (row * crop + column) of each sampled pixel in the crop;
    `points_crop_m` are the same pixels in the crop frame (origin at the points' middle, z along the line of
    sight). `surface` is for the architecture that looks at all pixels: x, y, z of each in the crop frame (metres, 0
    where unknown), whether that is known, and the mask.
    """

    rgb: Float[Tensor, "batch 3 crop crop"]
    points_crop_m: Float[Tensor, "batch points 3"]
    pixel: Int[Tensor, "batch points"]
    object_index: Int[Tensor, "batch"]
    surface: Float[Tensor, "batch 5 crop crop"] | None = None


class Correspondences(NamedTuple):
    """Where each sampled pixel lies on its object, several times over: each mode is one reading of the whole crop.

    `coordinates` are about the object's centre, in diameters. `log_weight` is the logarithm of how much each counts
    in the rigid fit: one over the error that the network expects of it, diameters.
    """

    coordinates: Float[Tensor, "batch modes points 3"]
    log_weight: Float[Tensor, "batch modes points"]


class PosePrediction(NamedTuple):
    """Poses of each instance and how sure the network is of each; `colour` is the embedding of every sampled pixel.

    Of dense fusion one for each of the selected pixels; of coordinates one for each mode, with the `correspondences`
    that it was fitted to.
    """

    T_crop_obj: Float[Tensor, "batch poses 4 4"]
    confidence_logit: Float[Tensor, "batch poses"]
    colour: Float[Tensor, "batch points channels"]
    correspondences: Correspondences | None = None

    @property
    def confidence(self) -> Float[Tensor, "batch poses"]:
        """Confidence between 0 and 1."""
        return torch.sigmoid(self.confidence_logit)
