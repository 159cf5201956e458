"""What goes into an estimator of either architecture and what comes out."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.geometry.nearest import NearestGrid


@dataclass(frozen=True)
class ObjectTable:
    """The objects that a network knows, in the order of its output channels."""

    obj_ids: tuple[int, ...]
    diameter_m: tuple[float, ...]
    centre_m: tuple[tuple[float, float, float], ...]
    """Centre of each object's bounding box, object frame: predicted first, the origin follows from it."""


class Surfaces(NamedTuple):
    """What a network is told of its objects' meshes, in the order of its output channels.

    `grid` holds samples of each surface and finds the nearest; `rgb` is their colour 0-1, which means something where
    the object is `coloured`. `centre_m` is that of the bounding box.
    """

    grid: NearestGrid
    rgb: Float[Tensor, "objects samples 3"]
    coloured: Bool[Tensor, " objects"]
    diameter_m: Float[Tensor, " objects"]
    centre_m: Float[Tensor, "objects 3"]

    def to(self, device: torch.device | str) -> "Surfaces":
        """The same surfaces on another device."""
        return Surfaces(self.grid.to(device), *(value.to(device) for value in self[1:]))


class CropView(NamedTuple):
    """The whole crop, for the architecture that looks at more than the sampled pixels.

    `surface` is x, y, z of each pixel of the mask in the crop frame (metres, 0 where unknown), whether that is known,
    and the mask. `depth_m` is that of all pixels, 0 where unknown.
    """

    surface: Float[Tensor, "batch 5 crop crop"]
    depth_m: Float[Tensor, "batch crop crop"]
    mask: Bool[Tensor, "batch crop crop"]
    K_crop: Float[Tensor, "batch 3 3"]
    T_cam_crop: Float[Tensor, "batch 4 4"]


class NetworkInput(NamedTuple):
    """A batch of instances as the network takes them.

    `rgb` is 0-1; `pixel` is the raster index (row * crop + column) of each sampled pixel in the crop;
    `points_crop_m` are the same pixels in the crop frame (origin at the points' middle, z along the line of
    sight).
    """

    rgb: Float[Tensor, "batch 3 crop crop"]
    points_crop_m: Float[Tensor, "batch points 3"]
    pixel: Int[Tensor, "batch points"]
    object_index: Int[Tensor, " batch"]
    view: CropView | None = None


class Fragments(NamedTuple):
    """On which fragment of its object's surface each sampled pixel may lie, and where, if on it.

    The last `logit` is that of not being on the object. `offset` is from the fragment's `centre`, which is about the
    object's, in diameters.
    """

    logit: Float[Tensor, "batch points classes"]
    offset: Float[Tensor, "batch points fragments 3"]
    centre: Float[Tensor, "batch fragments 3"]


class PosePrediction(NamedTuple):
    """The estimator's poses of each instance.

    Of dense fusion one for each of the selected pixels, each with its confidence, and the `colour` embedding of all
    sampled pixels. Of coordinates several that differ, the best supported first, with the `fragments` that support
    them.
    """

    T_crop_obj: Float[Tensor, "batch poses 4 4"]
    confidence_logit: Float[Tensor, "batch poses"] | None = None
    colour: Float[Tensor, "batch points channels"] | None = None
    fragments: Fragments | None = None

    @property
    def confidence(self) -> Float[Tensor, "batch poses"]:
        """Confidence between 0 and 1, of dense fusion."""
        assert self.confidence_logit is not None, "coordinates are rated by the comparison network"
        return torch.sigmoid(self.confidence_logit)


class Rating(NamedTuple):
    """How good poses are, as far as the network can tell.

    `sharpness` is the logarithm of one over the expected error in diameters, `right_logit` the logit of being right, to
    within a tenth of the diameter.
    """

    sharpness: Float[Tensor, "batch starts poses"]
    right_logit: Float[Tensor, "batch starts poses"]


class RatedPoses(NamedTuple):
    """One pose for each start, what it is ranked by, and the logit of its being right.

    `change` is the correction that each calls for, where it was asked for: a quaternion's difference from the identity
    (w, x, y, z), then a shift in diameters.
    """

    T: Float[Tensor, "batch starts 4 4"]
    score: Float[Tensor, "batch starts"]
    right_logit: Float[Tensor, "batch starts"]
    change: Float[Tensor, "batch starts 7"] | None = None

    @property
    def T_best(self) -> Float[Tensor, "batch 4 4"]:
        """Of each instance the pose that is ranked first."""
        return self.T[torch.arange(len(self.T), device=self.T.device), self.score.argmax(1)]

    def rows(self, index: Tensor) -> "RatedPoses":
        """Some of the instances, in this order."""
        change = None if self.change is None else self.change[index]
        return RatedPoses(self.T[index], self.score[index], self.right_logit[index], change)

    def starts(self, index: Int[Tensor, "batch some"]) -> "RatedPoses":
        """Of each instance some of the poses, in this order."""
        row = torch.arange(len(index), device=index.device)[:, None]
        change = None if self.change is None else self.change[row, index]
        return RatedPoses(self.T[row, index], self.score[row, index], self.right_logit[row, index], change)


class Refinement(NamedTuple):
    """Poses after 0, 1, ... corrections of each of an instance's starts.

    They are rated by the comparison network; the paper's refinement network has one start and rates nothing.
    """

    T_crop_obj: Float[Tensor, "batch starts poses 4 4"]
    rating: Rating | None = None

    @property
    def T_best(self) -> Float[Tensor, "batch 4 4"]:
        """The pose that is rated best, or without ratings the last: a correction that makes it worse is not taken."""
        if self.rating is None:
            return self.T_crop_obj[:, 0, -1]
        best = self.rating.sharpness.flatten(1).argmax(1)
        return self.T_crop_obj.flatten(1, 2)[torch.arange(len(best), device=best.device), best]

    @property
    def T_steps(self) -> Float[Tensor, "batch steps 4 4"]:
        """The poses after each correction of the start that is rated best."""
        if self.rating is None:
            return self.T_crop_obj[:, 0, 1:]
        best = self.rating.sharpness[..., 0].argmax(1)
        return self.T_crop_obj[torch.arange(len(best), device=best.device), best, 1:]
