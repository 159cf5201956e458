"""From crop records to what the network takes: a few array operations for the whole batch, no loop over instances."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.crops.batch_numba import choose_pixels, lift_pixels, map_surface
from selfpose6d.geometry.camera import crop_intrinsics
from selfpose6d.geometry.se3 import inverse, make_transform, transform_points
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.interface import CropView, NetworkInput

# pixels near the median depth; with fewer (a choice), the rest of the mask is sampled too
MIN_NEAR = 16


@dataclass(frozen=True)
class CropImages:
    """A batch of crops as images. `middle_m` is the median depth of each mask."""

    rgb: Float[Tensor, "batch 3 crop crop"]
    depth_m: Float[Tensor, "batch crop crop"]
    mask: Bool[Tensor, "batch crop crop"]
    middle_m: Float[Tensor, " batch"]
    K: Float[Tensor, "batch 3 3"]
    """Camera matrix of the whole frame."""
    box_px: Float[Tensor, "batch 3"]
    """Left, top and side of each crop's square in its frame."""
    obj_id: Int[Tensor, " batch"]

    @property
    def K_crop(self) -> Float[Tensor, "batch 3 3"]:
        """Camera matrix of each crop."""
        return crop_intrinsics(self.K, self.box_px, self.rgb.shape[-1])


@dataclass(frozen=True)
class CropBatch:
    """A batch of instances with their sampled pixels.

    The crop frame has its origin at the middle of the instance's points and its z axis along the line of
    sight, so that a crop is the same wherever in the image it was taken.
    """

    images: CropImages
    object_index: Int[Tensor, " batch"]
    pixel: Int[Tensor, "batch points"]
    points_crop_m: Float[Tensor, "batch points 3"]
    T_cam_crop: Float[Tensor, "batch 4 4"]
    unchanged: "CropBatch | None" = None
    """The same instances before their crops were augmented, with pixels and a crop frame of their own; only where a
    target source asks for them."""

    def rows(self, index: Int[Tensor, "rows"]) -> "CropBatch":
        """Some of the instances, in this order."""
        unchanged = None if self.unchanged is None else self.unchanged.rows(index)
        images = replace(self.images, **{name: value[index] for name, value in vars(self.images).items()})
        return CropBatch(
            images,
            self.object_index[index],
            self.pixel[index],
            self.points_crop_m[index],
            self.T_cam_crop[index],
            unchanged,
        )

    def inputs(self, config: NetworkConfig) -> NetworkInput:
        """What a network of that structure takes."""
        images, view = self.images, None
        if config.needs_view:
            surface = surface_map(images, self.T_cam_crop)
            view = CropView(surface, images.depth_m, images.mask, images.K_crop, self.T_cam_crop)
        return NetworkInput(images.rgb, self.points_crop_m, self.pixel, self.object_index, view)


def decode_records(records: np.ndarray, device: torch.device | str = "cpu") -> CropImages:
    """Records (a structured array) to tensors on `device`."""
    names = records.dtype.names or ()
    part = {name: torch.from_numpy(np.ascontiguousarray(records[name])).to(device) for name in names}
    bits = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.uint8, device=device)
    return CropImages(
        rgb=part["rgb"].permute(0, 3, 1, 2).float().div_(255.0),
        depth_m=part["depth"].float() * part["depth_step_m"][:, None, None],
        mask=((part["mask"][..., None] & bits) != 0).flatten(2),
        middle_m=part["middle_m"],
        K=part["K"].float(),
        box_px=part["box_px"],
        obj_id=part["key"][:, 2].long(),
    )


def resized(images: CropImages, crop_px: int) -> CropImages:
    """The same squares of the same frames with other pixels: colours smoothed, depth and mask of the nearest one."""
    size, device = images.rgb.shape[-1], images.rgb.device
    if crop_px == size:
        return images
    nearest = ((torch.arange(crop_px, device=device) + 0.5) * (size / crop_px)).long()
    rgb = functional.interpolate(images.rgb, (crop_px, crop_px), mode="bilinear", antialias=True)
    depth_m, mask = (values[:, nearest][:, :, nearest] for values in (images.depth_m, images.mask))
    return replace(images, rgb=rgb, depth_m=depth_m, mask=mask)


def sample_batch(
    images: CropImages,
    object_index_by_id: Mapping[int, int],
    diameter_m: Float[Tensor, " objects"],
    num_points: int,
    generator: torch.Generator,
    backend: Backend = "auto",
) -> CropBatch:
    """Draw `num_points` pixels of each instance and lift them into the crop frame.

    Pixels farther in depth from the mask's median than the object's diameter belong to something else and
    are left out, unless next to nothing would be left.
    """
    ids = images.obj_id.tolist()
    object_index = torch.tensor([object_index_by_id[i] for i in ids], device=images.obj_id.device)
    reach_m = diameter_m.to(images.depth_m)[object_index]
    if runs_numba(backend, images.depth_m.device):
        return _sample_numba(images, object_index, reach_m, num_points, generator)
    known = images.mask & (images.depth_m > 0)
    near = known & ((images.depth_m - images.middle_m[:, None, None]).abs() <= reach_m[:, None, None])
    enough = near.flatten(1).sum(1) >= MIN_NEAR
    pixel = draw_pixels(torch.where(enough[:, None, None], near, known), num_points, generator)
    points_cam_m = back_project_pixels(images, pixel)
    T_cam_crop = look_at(points_cam_m.median(dim=1).values)
    points_crop_m = transform_points(inverse(T_cam_crop), points_cam_m)
    return CropBatch(images, object_index, pixel, points_crop_m, T_cam_crop)


def _sample_numba(
    images: CropImages,
    object_index: Int[Tensor, " batch"],
    reach_m: Float[Tensor, " batch"],
    num_points: int,
    generator: torch.Generator,
) -> CropBatch:
    """The same with the same random numbers."""
    shape = (len(object_index), num_points)
    within, order = torch.rand(shape, generator=generator), torch.rand(shape, generator=generator).argsort(1)
    pixel, points_crop_m, T_cam_crop = (
        torch.empty_like(order),
        torch.empty(*shape, 3),
        torch.empty(shape[0], 4, 4),
    )
    mask, depth_m, middle_m, K, box_px = map(
        kernel_array, (images.mask, images.depth_m, images.middle_m, images.K, images.box_px)
    )
    drawn = (kernel_array(reach_m), MIN_NEAR, within.numpy(), order.numpy())
    choose_pixels(*[mask, depth_m, middle_m, *drawn, pixel.numpy()])
    lift_pixels(pixel.numpy(), depth_m, box_px, K, points_crop_m.numpy(), T_cam_crop.numpy())
    return CropBatch(images, object_index, pixel, points_crop_m, T_cam_crop)


def draw_pixels(
    allowed: Bool[Tensor, "batch crop crop"], count: int, generator: torch.Generator
) -> Int[Tensor, "batch {count}"]:
    """`count` random raster indices among each image's allowed pixels, in random order.

    Stratified in raster order: none twice where there are enough, each about equally often where there are
    fewer. An image with no allowed pixel gets its centre.
    """
    batch, device = len(allowed), allowed.device
    flat = allowed.flatten(1)
    available = flat.sum(1)
    start = available.cumsum(0) - available
    stratum = torch.arange(count, device=device)
    within = torch.rand(batch, count, generator=generator, device=device)
    rank = (
        ((stratum + within) / count * available[:, None])
        .long()
        .minimum((available - 1).clamp_min(0)[:, None])
    )
    centre = torch.tensor([flat.shape[1] // 2 + allowed.shape[-1] // 2], device=device)
    listed = torch.cat([flat.nonzero()[:, 1], centre])
    position = torch.where(available[:, None] > 0, start[:, None] + rank, len(listed) - 1)
    order = torch.rand(batch, count, generator=generator, device=device).argsort(1)
    return listed[position].gather(1, order)


def back_project_pixels(
    images: CropImages, pixel: Int[Tensor, "batch points"]
) -> Float[Tensor, "batch points 3"]:
    """Camera points of crop pixels, through the frame pixel that each was taken from."""
    size = images.depth_m.shape[-1]
    row, column = pixel // size, pixel % size
    step = images.box_px[:, 2:] / size
    u_px = torch.floor(images.box_px[:, :1] + (column + 0.5) * step)
    v_px = torch.floor(images.box_px[:, 1:2] + (row + 0.5) * step)
    z = images.depth_m.flatten(1).gather(1, pixel)
    K = images.K[:, None]
    x = (u_px - K[..., 0, 2]) / K[..., 0, 0] * z
    y = (v_px - K[..., 1, 2]) / K[..., 1, 1] * z
    return torch.stack([x.to(z), y.to(z), z], -1)


def surface_map(
    images: CropImages, T_cam_crop: Float[Tensor, "batch 4 4"], backend: Backend = "auto"
) -> Float[Tensor, "batch 5 crop crop"]:
    """Every pixel of the mask in the crop frame, metres; then where its depth is known, and the mask."""
    batch, size = len(images.rgb), images.rgb.shape[-1]
    if runs_numba(backend, images.depth_m.device):
        found = torch.zeros(batch, 5, size, size)
        given = (images.mask, images.depth_m, images.box_px, images.K, T_cam_crop)
        map_surface(*[*map(kernel_array, given), found.numpy()])
        return found
    pixel = torch.arange(size * size, device=images.rgb.device).expand(batch, -1)
    points_crop_m = transform_points(inverse(T_cam_crop), back_project_pixels(images, pixel))
    known = (images.mask & (images.depth_m > 0)).flatten(1)[:, None].to(points_crop_m)
    mask = images.mask.flatten(1)[:, None].to(points_crop_m)
    return torch.cat([points_crop_m.mT * known, known, mask], 1).unflatten(2, (size, size))


def look_at(centre_cam_m: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 4 4"]:
    """`T_cam_crop`: origin at the centre, z along the line of sight, by the least rotation that does it.

    Ill-posed for a centre behind the camera on its axis; depth sees to it that there is none.
    """
    x, y, z = functional.normalize(centre_cam_m, dim=-1).unbind(-1)
    a = 1.0 / (1.0 + z).clamp_min(1e-6)
    rows = ((1 - x * x * a, -x * y * a, x), (-x * y * a, 1 - y * y * a, y), (-x, -y, z))
    R = torch.stack([torch.stack(row, -1) for row in rows], -2)
    return make_transform(R, centre_cam_m)
