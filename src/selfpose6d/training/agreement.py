"""How far a pose's silhouette agrees with the observed mask: the weight of a pseudo pose. No label is needed."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.crops.batch import CropBatch
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize


@dataclass(frozen=True)
class MaskAgreement:
    """Intersection over union with the observed mask, 0-1."""

    visible: Float[Tensor, " batch"]
    """Of the silhouette without what something nearer is seen to hide."""
    whole: Float[Tensor, " batch"]
    """Of the whole (amodal) silhouette: what is hidden cannot agree, so occluded instances say less."""

    def weight(self, least: float) -> Float[Tensor, " batch"]:
        """visible x whole; 0 where the visible parts overlap less than `least`."""
        return torch.where(self.visible >= least, self.visible * self.whole, 0.0)


def mask_agreement(
    mask: Bool[Tensor, "batch height width"],
    depth_m: Float[Tensor, "batch height width"],
    silhouette: Bool[Tensor, "batch height width"],
    rendered_depth_m: Float[Tensor, "batch height width"],
) -> MaskAgreement:
    """Compare silhouettes with observed (visible) masks.

    Beside the mask, only a *measured* surface nearer than the rendering excuses a silhouette's pixel; depth 0 does not:
    missing evidence is no agreement. An empty silhouette agrees with nothing.
    """
    hidden = ~mask & (depth_m > 0) & (depth_m < rendered_depth_m)
    both = (mask & silhouette).flatten(1).sum(1)
    whole = (mask | silhouette).flatten(1).sum(1).clamp_min(1)
    visible = (mask | (silhouette & ~hidden)).flatten(1).sum(1).clamp_min(1)
    return MaskAgreement(both / visible, both / whole)


@torch.no_grad()
def silhouette_agreement(
    objects: RenderedObjects, batch: CropBatch, T_cam_obj: Float[Tensor, "batch 4 4"]
) -> MaskAgreement:
    """Render each instance's silhouette at its pose (camera frame), in its crop, and compare it with the crop's mask.

    What lies outside of the crop is not compared. A pose that is not finite agrees with nothing.
    """
    images = batch.images
    size = images.rgb.shape[-1]
    finite = torch.isfinite(T_cam_obj).all(-1).all(-1)
    T_cam_obj = torch.where(finite[:, None, None], T_cam_obj, torch.eye(4).to(T_cam_obj))
    found = rasterize(PosedMeshes(objects.meshes, batch.object_index, T_cam_obj, images.K_crop, size, size))
    silhouette = (found.face_id >= 0) & finite[:, None, None]
    return mask_agreement(images.mask, images.depth_m, silhouette, found.depth_m)
