"""Mesh + pose -> colour, mask and depth images, with gradients to the pose."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.pose_gradient import ImageGradient, RenderedPixels, pose_gradient_torch
from selfpose6d.renderer.pose_gradient_numba import pose_gradient_numba
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
    """Unlit colour, coverage 0-1 and camera z (metres), all 0 off the object; colours as the meshes hold them.

    With `supersample` s every pixel is the mean of s x s samples; its depth is the mean of the covered ones.

    Gradients reach `T_cam_obj` from all three images, across silhouettes too: a step of the mask (and of depth and
    colour against their zeros off the object) counts as if pixels were small areas. They do not reach `K` or the meshes.
    """
    s = supersample
    K_fine = K.clone()
    K_fine[:, :2] = K[:, :2] * s
    K_fine[:, :2, 2] = K_fine[:, :2, 2] + (s - 1) / 2
    rgb, mask, depth_m = _RenderPixels.apply(T_cam_obj, meshes, mesh_index, K_fine, height * s, width * s, backend)
    if s == 1:
        return Rendering(rgb, mask, depth_m)
    coverage = _pool(mask[..., None], s)
    depth_m = _pool(depth_m[..., None], s) / coverage.clamp_min(1e-6)
    return Rendering(_pool(rgb, s), coverage[..., 0], depth_m[..., 0])


class _RenderPixels(torch.autograd.Function):
    """One sample a pixel. The backward pass looks at the finished images only; nothing is recorded on the way."""

    @staticmethod
    def forward(ctx, T_cam_obj, meshes, mesh_index, K, height, width, backend):  # noqa: ANN001, ANN205
        T = T_cam_obj.detach()
        raster = rasterize(meshes, mesh_index, T, K, height, width, backend)
        level = mip_levels(meshes, mesh_index, T, K)
        rgb = shade(meshes, mesh_index, raster, level, backend)
        ctx.meshes, ctx.backend = meshes, backend
        ctx.pixels = RenderedPixels(mesh_index, T, K.detach(), level, raster.face_id, rgb, raster.depth_m)
        return rgb, (raster.face_id >= 0).to(rgb), raster.depth_m

    @staticmethod
    def backward(ctx, *gradients):  # noqa: ANN001, ANN205
        on_cpu = ctx.meshes.vertices_m.device.type == "cpu"
        find = pose_gradient_numba if on_cpu and ctx.backend != "torch" else pose_gradient_torch
        return find(ctx.meshes, ctx.pixels, ImageGradient(*gradients)), *[None] * 6


def _pool(images: Float[Tensor, "n h w c"], size: int) -> Float[Tensor, "n h2 w2 c"]:
    return F.avg_pool2d(images.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
