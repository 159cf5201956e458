"""Surface colour of covered pixels: texture map (mip level by footprint, bilinear) or vertex colours.

One function, two back ends as in `rasterize`. The colours are whatever the packed meshes hold: RGB, or LAB for
scoring.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.checks import require_equal_lengths, require_indices
from selfpose6d.renderer.packed import MIP_LEVELS, PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.shade_numba import shade_images
from selfpose6d.types import Rasterization


def mip_levels(posed: PosedMeshes) -> Int[Tensor, " images"]:
    """The mip level at which one texel is about one pixel, from each object's distance."""
    metres_per_px = posed.T_cam_obj[:, 2, 3].clamp_min(1e-3) / posed.K[:, 0, 0]
    texels_per_px = (posed.meshes.texels_per_m[posed.mesh_index] * metres_per_px).clamp_min(1.0)
    return texels_per_px.log2().round().long().clamp(0, MIP_LEVELS - 1)


def shade(
    posed: PosedMeshes,
    raster: Rasterization,
    backend: Backend = "auto",
    level: Int[Tensor, " images"] | None = None,
) -> Float[Tensor, "images height width 3"]:
    """Unlit colour of every pixel of what was rasterised, 0 off the object. The numba back end carries no gradient.

    `level` overrules the mip level that the object's distance gives.

    Raises:
        UsageError: the lengths differ, or there is no such level.
    """
    if level is None:
        level = mip_levels(posed)
    else:
        require_indices(level, MIP_LEVELS, "level")
    require_equal_lengths(raster=raster.face_id, posed=posed, level=level)
    run = _shade_numba if runs_numba(backend, posed.meshes.vertices_m.device) else _shade_torch
    return run(posed.meshes, posed.mesh_index, raster, level)


def _shade_numba(
    meshes: PackedMeshes,
    mesh_index: Int[Tensor, " images"],
    raster: Rasterization,
    level: Int[Tensor, " images"],
) -> Float[Tensor, "images height width 3"]:
    colour = np.zeros((*raster.face_id.shape, 3), np.float32)
    shade_images(
        meshes.faces.numpy(),
        meshes.vertex_rgb.numpy(),
        meshes.corner_uv.numpy(),
        meshes.texels.numpy(),
        meshes.texture_start[mesh_index, level].numpy(),
        meshes.texture_size[mesh_index, level].numpy(),
        raster.face_id.numpy(),
        raster.barycentric.detach().numpy(),
        colour,
    )
    return torch.from_numpy(colour)


def _shade_torch(
    meshes: PackedMeshes,
    mesh_index: Int[Tensor, " images"],
    raster: Rasterization,
    level: Int[Tensor, " images"],
) -> Float[Tensor, "images height width 3"]:
    """Reference for any device; shades covered pixels only."""
    covered = raster.face_id >= 0
    image = covered.nonzero()[:, 0]
    face, weights = raster.face_id[covered].long(), raster.barycentric[covered]
    mesh = mesh_index[image]
    rows_columns = meshes.texture_size[mesh, level[image]]
    start = meshes.texture_start[mesh, level[image]]
    textured = rows_columns[:, 0] > 0
    plain = ~textured
    colour = torch.empty_like(weights)
    colour[plain] = (meshes.vertex_rgb[meshes.faces[face[plain]]] * weights[plain, :, None]).sum(1)
    uv = (meshes.corner_uv[face[textured]] * weights[textured, :, None]).sum(1)
    colour[textured] = sample_bilinear(meshes.texels, start[textured], rows_columns[textured], uv)
    image_colour = raster.barycentric.new_zeros(*raster.face_id.shape, 3)
    image_colour[covered] = colour
    return image_colour


def sample_bilinear(
    texels: Float[Tensor, "texels 3"],
    start: Int[Tensor, " n"],
    rows_columns: Int[Tensor, "n 2"],
    uv: Float[Tensor, "n 2"],
) -> Float[Tensor, "n 3"]:
    """Bilinear texture lookup, wrapping; v points up (image row = (1 - v) * rows)."""
    rows, columns = rows_columns.unbind(-1)
    x, y = uv[:, 0] * columns - 0.5, (1.0 - uv[:, 1]) * rows - 0.5
    x0, y0 = x.floor(), y.floor()
    fx, fy = (x - x0)[:, None], (y - y0)[:, None]
    left, right = x0.long() % columns, (x0.long() + 1) % columns
    top, bottom = y0.long() % rows, (y0.long() + 1) % rows
    above = texels[start + top * columns + left] * (1 - fx) + texels[start + top * columns + right] * fx
    below = texels[start + bottom * columns + left] * (1 - fx) + texels[start + bottom * columns + right] * fx
    return above * (1 - fy) + below * fy
