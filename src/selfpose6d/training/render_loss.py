"""The joint loss of refined poses: render each at its crop, compare with the crop."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.geometry.nearest import NearestGrid
from selfpose6d.geometry.se3 import transform_points
from selfpose6d.losses.joint import JointLossOptions, ObservedImages, joint_loss
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.types import LossTerms


@dataclass(frozen=True)
class RenderedLoss:
    """Terms of every instance (means over its refinement steps), and the mean norm of each term's gradient."""

    terms: LossTerms
    gradient_norms: dict[str, float]


def rendered_joint_loss(
    objects: RenderedObjects,
    batch: CropBatch,
    T_refined: Float[Tensor, "batch steps 4 4"],
    grid: NearestGrid,
    options: JointLossOptions,
    norms: bool = False,
) -> RenderedLoss:
    """Joint loss of each refinement step's pose (crop frame), with gradient, the mean over the steps.

    Reference: paper Eq. (11).
    """
    count, steps = T_refined.shape[:2]
    index = torch.arange(count, device=T_refined.device).repeat_interleave(steps)
    T_cam_obj = (batch.T_cam_crop[:, None] @ T_refined).flatten(0, 1)
    terms_at = partial(_terms, objects, batch, index, grid, options)
    gradient_norms = _gradient_norms(terms_at, T_cam_obj.detach(), options) if norms else {}
    terms = vars(terms_at(T_cam_obj))
    means = {name: term.unflatten(0, (count, steps)).mean(1) for name, term in terms.items()}
    return RenderedLoss(LossTerms(**means), gradient_norms)


def _terms(
    objects: RenderedObjects,
    batch: CropBatch,
    index: Int[Tensor, " poses"],
    grid: NearestGrid,
    options: JointLossOptions,
    T_cam_obj: Float[Tensor, "poses 4 4"],
) -> LossTerms:
    """Pose p is compared with instance `index[p]` of the batch."""
    images, model = batch.images, batch.object_index[index]
    size = images.rgb.shape[-1]
    observed = ObservedImages(
        ab=rgb_to_lab(images.rgb.permute(0, 2, 3, 1))[..., 1:][index],
        mask=images.mask[index],
        depth_m=images.depth_m[index],
        points_cam_m=transform_points(batch.T_cam_crop, batch.points_crop_m)[index],
    )
    posed = PosedMeshes(objects.meshes, model, T_cam_obj, images.K_crop[index], size, size)
    rendering = render(posed, options.samples)
    return joint_loss(observed, rendering, T_cam_obj, grid, model, objects.has_colour[model], options)


def _gradient_norms(
    terms_at: Callable[[Tensor], LossTerms], T_cam_obj: Float[Tensor, "poses 4 4"], options: JointLossOptions
) -> dict[str, float]:
    T_cam_obj.requires_grad_()
    terms = terms_at(T_cam_obj)
    norms = {}
    for name in ("colour", "iou", "geometry"):
        weight = getattr(options, name)
        if weight == 0:
            continue
        weighted = weight * getattr(terms, name).sum()
        found = torch.autograd.grad(weighted, T_cam_obj, retain_graph=True, allow_unused=True)[0]
        norms[name] = 0.0 if found is None else found.flatten(1).norm(dim=1).mean().item()
    return norms
