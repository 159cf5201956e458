"""The self-supervised joint loss: a rendering at the estimated pose against the observed image, no label."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import NearestGrid, nearest_index
from selfpose6d.geometry.se3 import inverse, transform_points
from selfpose6d.losses.colour import colour_loss
from selfpose6d.types import Direction, LossTerms, Rendering

MODEL_POINTS = 500
"""About this many are in the geometry term from model to observed, where each is compared with every observed one."""


@dataclass(frozen=True)
class JointLossOptions:
    """Weights and forms of the joint loss; the defaults are the paper's weights."""

    colour: float = 0.0002
    """Weight of the colour term (LAB units), lambda 1; 0 leaves it out."""
    iou: float = 0.1
    """Weight of the IoU term, lambda 2."""
    geometry: float = 1.0
    """Weight of the geometry term (square metres), lambda 3: nearly inert at the paper's 1."""
    window_px: int = 2
    """Half side M of the window in which the nearest colour is looked for."""
    occlusion_aware: bool = True
    """Leave out pixels beside the mask that something nearer than the rendering hides; False is the paper's form."""
    direction: Direction = "observed-to-model"
    """Matching direction of the geometry term."""
    samples: int = 3
    """Along each side of a pixel of the rendering: with one, the colour term's gradient is half as long as it should be
    and points elsewhere (docs/results.md)."""

    def __post_init__(self) -> None:
        if min(self.colour, self.iou, self.geometry) < 0 or self.window_px < 0 or self.samples < 1:
            raise UsageError("weights and window of the joint loss must be 0 or more, its samples 1 or more.")


BALANCED = JointLossOptions(colour=0.005, iou=0.5, geometry=2000.0)
"""Terms of like strength: 5 mm of geometry, a tenth of the overlap and 10 units of colour cost 0.05 each."""


@dataclass(frozen=True)
class ObservedImages:
    """The observed side of the joint loss: crops, camera frame, and the visible points."""

    ab: Float[Tensor, "batch height width 2"]
    """LAB without L."""
    mask: Bool[Tensor, "batch height width"]
    depth_m: Float[Tensor, "batch height width"]
    """0 is unknown."""
    points_cam_m: Float[Tensor, "batch points 3"]


def joint_loss(
    observed: ObservedImages,
    rendering: Rendering,
    T_cam_obj: Float[Tensor, "batch 4 4"],
    grid: NearestGrid,
    model: Int[Tensor, " batch"],
    has_colour: Bool[Tensor, " batch"],
    options: JointLossOptions,
) -> LossTerms:
    """All terms of every instance, and their weighted sum; `rendering` holds LAB colours.

    The colour term of a mesh without colours (`has_colour` False) is 0.

    Reference: paper Eq. (11).
    """
    mask = observed.mask.to(rendering.mask)
    known = None
    if options.occlusion_aware:
        known = known_pixels(observed.mask, observed.depth_m, rendering.surface_depth_m)
    colour = torch.zeros_like(mask[:, 0, 0])
    if options.colour > 0:
        found = colour_loss(observed.ab, rendering.rgb[..., 1:], mask, options.window_px, known)
        colour = torch.where(has_colour, found, 0.0)
    iou = iou_loss(mask, rendering.mask, known)
    geometry = geometry_loss(T_cam_obj, observed.points_cam_m, grid, model, options.direction)
    total = options.colour * colour + options.iou * iou + options.geometry * geometry
    return LossTerms(total, colour, iou, geometry)


def known_pixels(
    mask: Bool[Tensor, "batch height width"],
    depth_m: Float[Tensor, "batch height width"],
    rendered_depth_m: Float[Tensor, "batch height width"],
) -> Bool[Tensor, "batch height width"]:
    """Pixels where the observed image says whether the object is there: in its mask, or seen past where it would be.

    Beside the mask a nearer surface is an occluder, and depth 0 says nothing. Where nothing is rendered all is known.
    """
    seen_past = (depth_m > 0) & (depth_m >= rendered_depth_m)
    return mask | seen_past | (rendered_depth_m == 0)


def iou_loss(
    observed_mask: Float[Tensor, "batch height width"],
    rendered_mask: Float[Tensor, "batch height width"],
    known: Bool[Tensor, "batch height width"] | None = None,
) -> Float[Tensor, " batch"]:
    """1 - intersection over union of two soft masks; 1 where both are empty. `known` marks the pixels that count.

    Reference: paper Eq. (8).
    """
    both = observed_mask * rendered_mask
    either = observed_mask + rendered_mask - both
    if known is not None:
        both, either = both * known, either * known
    return 1 - both.sum((1, 2)) / either.sum((1, 2)).clamp_min(1e-6)


def geometry_loss(
    T_cam_obj: Float[Tensor, "batch 4 4"],
    observed_cam_m: Float[Tensor, "batch points 3"],
    grid: NearestGrid,
    model: Int[Tensor, " batch"],
    direction: Direction = "observed-to-model",
) -> Float[Tensor, " batch"]:
    """Mean squared distance to the nearest counterpart, square metres; instance b is of model `model[b]` of `grid`.

    `observed-to-model` is what the paper's text says, `model-to-observed` what its formula says: that one also brings
    the hidden back of the object nearer to the visible front (it takes about `MODEL_POINTS` of the model's points).

    Reference: paper Eq. (10).
    """
    if direction == "observed-to-model":
        observed_obj_m = transform_points(inverse(T_cam_obj), observed_cam_m)
        index = nearest_index(grid, model, observed_obj_m.detach())
        return (observed_obj_m - grid.points_m[model[:, None], index]).square().sum(-1).mean(-1)
    samples = grid.points_m[model].to(T_cam_obj)[:, :: max(1, grid.points_m.shape[1] // MODEL_POINTS)]
    placed = transform_points(T_cam_obj, samples)
    with torch.no_grad():
        # cdist squares coordinates: near 0 they keep their digits
        centre = observed_cam_m.mean(1, keepdim=True)
        index = torch.cdist(placed - centre, observed_cam_m - centre).argmin(-1)
    nearest = torch.take_along_dim(observed_cam_m, index[..., None], 1)
    return (placed - nearest).square().sum(-1).mean(-1)
