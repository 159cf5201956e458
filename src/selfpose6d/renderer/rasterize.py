"""Which face covers each pixel: one function, two back ends that agree pixel by pixel.

A pixel belongs to the nearest face whose projection holds its centre (edges included; equal depths go to the face
with the lower index). Faces seen from behind are drawn too, since scanned meshes are often open. Faces with a
corner nearer than `NEAR_M` are dropped.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.rasterize_numba import rasterize_numba
from selfpose6d.renderer.rasterize_torch import rasterize_torch
from selfpose6d.types import Rasterization


def rasterize(
    meshes: PackedMeshes,
    mesh_index: Int[Tensor, "images"],
    T_cam_obj: Float[Tensor, "images 4 4"],
    K: Float[Tensor, "images 3 3"],
    height: int,
    width: int,
    backend: Backend = "auto",
) -> Rasterization:
    """Nearest face, perspective-correct barycentric weights and camera z (metres) of every pixel.

    `face_id` counts through the packed meshes (-1: background). No gradient flows; shading adds it.
    """
    run = rasterize_numba if runs_numba(backend, meshes.vertices_m.device) else rasterize_torch
    with torch.no_grad():
        return run(meshes, mesh_index, T_cam_obj.detach(), K.detach(), height, width)
