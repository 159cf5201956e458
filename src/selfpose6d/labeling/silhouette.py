"""How much of a predicted silhouette the image and the mask can show."""

import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.labeling.observation import Observation
from selfpose6d.objects.object_model import COARSE_MESH, ObjectModel
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize

SIZE_PX = 64
"""Of the rendered square: fractions of a silhouette to about a hundredth, as the coarse crop's."""


def silhouette_fractions(
    observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"]
) -> tuple[Float[Tensor, " poses"], Float[Tensor, " poses"]]:
    """(outside the image, mask area over silhouette area) of each pose, whole objects rendered."""
    model, device, num_poses = observation.model, T_cam_obj.device, len(T_cam_obj)
    boxes = [whole_object_box(observation.K, T, model) for T in T_cam_obj]
    K_crop = torch.stack([crop_intrinsics(observation.K, box, SIZE_PX) for box in boxes])
    index = torch.full((num_poses,), COARSE_MESH, device=device)
    posed = PosedMeshes(model.packed, index, T_cam_obj, K_crop, SIZE_PX, SIZE_PX)
    covered = rasterize(posed).face_id >= 0
    height, width = observation.image_shape
    left, top, step = (
        torch.tensor([getattr(box, name) for box in boxes], device=device)[:, None]
        for name in ("left_px", "top_px", "side_px")
    )
    step = step / SIZE_PX
    offset = torch.arange(SIZE_PX, device=device)[None] * step + 0.5 * step - 0.5
    u, v = left + offset, top + offset
    inside = ((v > -0.5) & (v < height - 0.5))[:, :, None] & ((u > -0.5) & (u < width - 0.5))[:, None, :]
    pixels = covered.sum((1, 2)).clamp_min(1)
    outside = (covered & ~inside).sum((1, 2)) / pixels
    area_px = pixels * step[:, 0] ** 2
    return outside, (observation.mask_area_px / area_px).clamp_max(1.0)


def whole_object_box(K: Float[Tensor, "3 3"], T: Float[Tensor, "4 4"], model: ObjectModel) -> CropBox:
    """The square of the image that holds the object's silhouette at a pose, with a margin of 5 %."""
    centre = model.centre_at(T[None])[0]
    u, v = ((K @ centre) / centre[2])[:2].tolist()
    # 5 % of margin; 5 cm keep the box finite where the object reaches the camera
    half_px = float(1.05 * K[0, 0] * model.mesh.radius_m / (centre[2] - model.mesh.radius_m).clamp_min(0.05))
    return CropBox(u - half_px, v - half_px, 2 * half_px)
