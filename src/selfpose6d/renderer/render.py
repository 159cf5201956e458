"""Mesh + pose -> colour, mask and depth images, with gradients to the pose."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.pose_gradient import ImageGradient, RenderedPixels, pose_gradient_torch
from selfpose6d.renderer.pose_gradient_numba import pose_gradient_numba
from selfpose6d.renderer.rasterize import rasterize
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

    With `supersample` s every pixel is the mean of s x s samples, those off the object being 0.

    Gradients reach `T_cam_obj` from all three images, across silhouettes too, as if pixels were small areas. They do
    not reach `K` or the meshes.
    """
    return Rendering(
        *_RenderImages.apply(T_cam_obj, meshes, mesh_index, K.detach(), height, width, supersample, backend)
    )


class _RenderImages(torch.autograd.Function):
    """Forward rasterises and shades; backward looks at the finished images only, nothing is recorded on the way."""

    @staticmethod
    def forward(ctx, T_cam_obj, meshes, mesh_index, K, height, width, supersample, backend):
        s, T = supersample, T_cam_obj.detach()
        K = _finer(K, s)
        raster = rasterize(meshes, mesh_index, T, K, height * s, width * s, backend)
        level = mip_levels(meshes, mesh_index, T, K)
        rgb = shade(meshes, mesh_index, raster, level, backend)
        ctx.meshes, ctx.backend, ctx.supersample = meshes, backend, s
        ctx.samples = RenderedPixels(mesh_index, T, K, raster.face_id, rgb, raster.depth_m)
        images = torch.cat([rgb, (raster.face_id >= 0).to(rgb)[..., None], raster.depth_m[..., None]], -1)
        images = images if s == 1 else _pool(images, s)
        return images[..., :3].contiguous(), images[..., 3].contiguous(), images[..., 4].contiguous()

    @staticmethod
    def backward(ctx, *grad_outputs):
        rgb, mask, depth_m = grad_outputs
        compiled = runs_numba(ctx.backend, ctx.meshes.vertices_m.device)
        find = pose_gradient_numba if compiled else pose_gradient_torch
        s = ctx.supersample
        gradient = ImageGradient(*(_spread(image / s**2, s) for image in (rgb, mask, depth_m)))
        return find(ctx.meshes, ctx.samples, gradient), *[None] * 7


def _finer(K: Float[Tensor, "images 3 3"], s: int) -> Float[Tensor, "images 3 3"]:
    """The camera matrix of s x s samples a pixel."""
    K = K.clone()
    K[:, :2] *= s
    K[:, :2, 2] += (s - 1) / 2
    return K


def _pool(images: Float[Tensor, "n h w c"], size: int) -> Float[Tensor, "n h2 w2 c"]:
    return F.avg_pool2d(images.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)


def _spread(image: Tensor, s: int) -> Tensor:
    return image if s == 1 else image.repeat_interleave(s, 1).repeat_interleave(s, 2)
