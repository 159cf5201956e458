"""Mesh + pose -> colour, mask and depth images."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.rasterize import Backend, rasterize
from selfpose6d.renderer.shade import mip_levels, shade
from selfpose6d.types import Rendering


def render(
    meshes: PackedMeshes,
    mesh_index: Int[Tensor, "images"],
    T_cam_obj: Float[Tensor, "images 4 4"],
    K: Float[Tensor, "images 3 3"],
    height: int,
    width: int,
    supersample: int = 1,
    backend: Backend = "auto",
) -> Rendering:
    """Unlit colour 0-1, coverage 0-1 and camera z (metres), all 0 off the object.

    With `supersample` s every pixel is the mean of s x s samples; its depth is the mean of the covered ones.
    """
    s = supersample
    K_fine = K.clone()
    K_fine[:, :2] = K[:, :2] * s
    K_fine[:, :2, 2] = K_fine[:, :2, 2] + (s - 1) / 2
    raster = rasterize(meshes, mesh_index, T_cam_obj, K_fine, height * s, width * s, backend)
    rgb = shade(meshes, mesh_index, raster, mip_levels(meshes, mesh_index, T_cam_obj, K_fine))
    mask = (raster.face_id >= 0).to(rgb)
    if s == 1:
        return Rendering(rgb, mask, raster.depth_m)
    coverage = _pool(mask[..., None], s)
    depth_m = _pool(raster.depth_m[..., None], s) / coverage.clamp_min(1e-6)
    return Rendering(_pool(rgb, s), coverage[..., 0], depth_m[..., 0])


def _pool(images: Float[Tensor, "n h w c"], size: int) -> Float[Tensor, "n h2 w2 c"]:
    return F.avg_pool2d(images.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
