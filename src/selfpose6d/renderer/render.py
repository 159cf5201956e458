"""Mesh + pose -> colour, mask and depth images, with gradients to the pose."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from selfpose6d.backend import Backend
from selfpose6d.renderer.pose_gradient import ImageGradient, RenderedPixels, pose_gradient
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.renderer.shade import shade
from selfpose6d.types import Rendering


def render(posed: PosedMeshes, supersample: int = 1, backend: Backend = "auto") -> Rendering:
    """Unlit colour, coverage 0-1 and camera z (metres), all 0 off the object; colours as the meshes hold them.

    With `supersample` s every pixel is the mean of s x s samples, those off the object being 0.
    Gradients reach `T_cam_obj` from all three images, across silhouettes too, as if pixels were small areas. They do
    not reach `K` or the meshes.
    """
    return Rendering(*_RenderImages.apply(posed.T_cam_obj, posed, supersample, backend))


class _RenderImages(torch.autograd.Function):
    """Forward rasterises and shades; backward needs the finished images only, nothing is recorded on the way."""

    @staticmethod
    def forward(ctx, T_cam_obj, posed, s, backend):
        posed = posed.samples(s)
        raster = rasterize(posed, backend)
        rgb = shade(posed, raster, backend)
        ctx.backend = backend
        ctx.samples = RenderedPixels(posed, raster.face_id, rgb, raster.depth_m, s)
        images = torch.cat([rgb, (raster.face_id >= 0).to(rgb)[..., None], raster.depth_m[..., None]], -1)
        images = images if s == 1 else _pool(images, s)
        return images[..., :3].contiguous(), images[..., 3].contiguous(), images[..., 4].contiguous()

    @staticmethod
    def backward(ctx, *grad_outputs):
        return pose_gradient(ctx.samples, ImageGradient(*grad_outputs), ctx.backend), None, None, None


def _pool(images: Float[Tensor, "n h w c"], size: int) -> Float[Tensor, "n h2 w2 c"]:
    return F.avg_pool2d(images.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)
