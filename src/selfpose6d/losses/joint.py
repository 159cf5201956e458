"""The self-supervised joint loss: a rendering at the estimated pose against the photograph, no label."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from selfpose6d.errors import UsageError
from selfpose6d.geometry.nearest import NearestGrid
from selfpose6d.losses.colour import colour_loss
from selfpose6d.losses.geometric import geometry_loss
from selfpose6d.losses.iou import iou_loss
from selfpose6d.types import Direction, LossTerms, Rendering


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

    def __post_init__(self) -> None:
        if min(self.colour, self.iou, self.geometry) < 0 or self.window_px < 0:
            raise UsageError("weights and window of the joint loss must be 0 or more.")


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
    photograph: ObservedImages,
    rendering: Rendering,
    T_cam_obj: Float[Tensor, "batch 4 4"],
    grid: NearestGrid,
    model: Int[Tensor, "batch"],
    has_colour: Bool[Tensor, "batch"],
    options: JointLossOptions,
) -> LossTerms:
    """All terms of every instance, and their weighted sum; `rendering` holds LAB colours.

    The colour term of a mesh without colours (`has_colour` False) is 0.

    Reference: paper Eq. (11).
    """
    mask = photograph.mask.to(rendering.mask)
    known = None
    if options.occlusion_aware:
        known = known_pixels(photograph.mask, photograph.depth_m, rendering.surface_depth_m)
    colour = torch.zeros_like(mask[:, 0, 0])
    if options.colour > 0:
        found = colour_loss(photograph.ab, rendering.rgb[..., 1:], mask, options.window_px, known)
        colour = torch.where(has_colour, found, 0.0)
    iou = iou_loss(mask, rendering.mask, known)
    geometry = geometry_loss(T_cam_obj, photograph.points_cam_m, grid, model, options.direction)
    total = options.colour * colour + options.iou * iou + options.geometry * geometry
    return LossTerms(total, colour, iou, geometry)


def known_pixels(
    mask: Bool[Tensor, "batch height width"],
    depth_m: Float[Tensor, "batch height width"],
    rendered_depth_m: Float[Tensor, "batch height width"],
) -> Bool[Tensor, "batch height width"]:
    """Pixels where the photograph says whether the object is there: in its mask, or seen past where it would be.

    Beside the mask a nearer surface is an occluder, and depth 0 says nothing. Where nothing is rendered all is known.
    """
    seen_past = (depth_m > 0) & (depth_m >= rendered_depth_m)
    return mask | seen_past | (rendered_depth_m == 0)
