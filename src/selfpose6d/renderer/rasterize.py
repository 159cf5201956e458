"""Which face covers each pixel: one function, two back ends that agree pixel by pixel.

A pixel belongs to the nearest face whose projection holds its centre (edges included; equal depths go to the face
with the lower index). Faces seen from behind are rasterized too, since scanned meshes are often open. Faces with a
corner nearer than `NEAR_M` are dropped.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.backend import Backend, runs_numba
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize_numba import NEAR_M, rasterize_images
from selfpose6d.types import Rasterization

MAX_FRAGMENTS = 8_000_000
"""Rows of the torch back end's flat list at a time: about 1 GB of float64."""


def rasterize(posed: PosedMeshes, backend: Backend = "auto") -> Rasterization:
    """Nearest face, perspective-correct barycentric weights and camera z (metres) of every pixel.

    `face_id` counts through the packed meshes (-1: background). No gradient flows; shading adds it.
    """
    run = _rasterize_numba if runs_numba(backend, posed.meshes.vertices_m.device) else _rasterize_torch
    with torch.no_grad():
        return run(posed)


def _rasterize_numba(posed: PosedMeshes) -> Rasterization:
    shape, meshes = (len(posed), posed.height, posed.width), posed.meshes
    face_id, barycentric = np.full(shape, -1, np.int32), np.zeros((*shape, 3), np.float32)
    depth_m = np.zeros(shape, np.float32)
    rasterize_images(
        meshes.vertices_m.numpy(),
        meshes.faces.numpy(),
        meshes.vertex_start.numpy(),
        meshes.face_start.numpy(),
        posed.mesh_index.numpy(),
        posed.T_cam_obj.detach().double().numpy(),
        posed.K.detach().double().numpy(),
        face_id,
        barycentric,
        depth_m,
    )
    return Rasterization(torch.from_numpy(face_id), torch.from_numpy(barycentric), torch.from_numpy(depth_m))


def _rasterize_torch(posed: PosedMeshes) -> Rasterization:
    """Reference for any device: every (face, pixel of its bounding box) pair is one row of a flat list, in float64."""
    meshes, mesh_index, height, width = posed.meshes, posed.mesh_index, posed.height, posed.width
    images, device = len(posed), meshes.vertices_m.device
    face_count = (meshes.face_start[1:] - meshes.face_start[:-1])[mesh_index]
    image_of = torch.repeat_interleave(torch.arange(images, device=device), face_count)
    first = torch.cumsum(face_count, 0) - face_count
    face_of = torch.arange(len(image_of), device=device) - first[image_of]
    face_of = face_of + meshes.face_start[mesh_index][image_of]
    corners = _project_corners(meshes, image_of, face_of, posed.T_cam_obj.double(), posed.K.double())
    low, size = _pixel_boxes(corners, height, width)
    kept = torch.nonzero(size.prod(-1)).squeeze(-1)
    buffers = (
        torch.full((images * height * width,), torch.inf, dtype=torch.float64, device=device),
        torch.full((images * height * width,), -1, dtype=torch.int64, device=device),
        torch.zeros(images * height * width, 3, dtype=torch.float64, device=device),
    )
    for part in _chunks(kept, size[kept].prod(-1)):
        fragments = _fragments(corners[part], low[part], size[part])
        row, pixel, weights, z = fragments
        flat = (image_of[part][row] * height + pixel[:, 1]) * width + pixel[:, 0]
        _keep_nearest(buffers, flat, z, face_of[part][row], weights)
    nearest, face_id, weights = buffers
    depth = torch.where(face_id >= 0, nearest, 0.0)
    return Rasterization(
        face_id.reshape(images, height, width).int(),
        weights.reshape(images, height, width, 3).float(),
        depth.reshape(images, height, width).float(),
    )


def _project_corners(
    meshes: PackedMeshes,
    image_of: Int[Tensor, " n"],
    face_of: Int[Tensor, " n"],
    T: Float[Tensor, "images 4 4"],
    K: Float[Tensor, "images 3 3"],
) -> Float[Tensor, "n 3 3"]:
    """(u px, v px, 1 / z) of each face's corners."""
    p = meshes.vertices_m.double()[meshes.faces[face_of]]
    T, K = T[image_of][:, None], K[image_of][:, None]
    x, y, z = p.unbind(-1)
    camera = [T[..., i, 0] * x + T[..., i, 1] * y + T[..., i, 2] * z + T[..., i, 3] for i in range(3)]
    inverse_z = 1.0 / camera[2]
    u = (K[..., 0, 0] * camera[0] + K[..., 0, 1] * camera[1]) * inverse_z + K[..., 0, 2]
    v = K[..., 1, 1] * camera[1] * inverse_z + K[..., 1, 2]
    projected = ((camera[2] > NEAR_M) & u.isfinite() & v.isfinite()).all(1, keepdim=True)
    return torch.stack([u, v, torch.where(projected, inverse_z, torch.nan)], -1)


def _pixel_boxes(
    corners: Float[Tensor, "n 3 3"], height: int, width: int
) -> tuple[Int[Tensor, "n 2"], Int[Tensor, "n 2"]]:
    """First pixel (u, v) and number of pixels (columns, rows) that each face can touch."""
    limit = corners.new_tensor([width - 1.0, height - 1.0])
    uv = torch.nan_to_num(corners[..., :2], nan=-1e9, posinf=1e9, neginf=-1e9)
    low = torch.minimum(uv.amin(1).ceil().clamp_min(0), limit + 1)
    high = torch.maximum(torch.minimum(uv.amax(1).floor(), limit), torch.full_like(limit, -1.0))
    visible = corners[..., 2].isfinite().all(1, keepdim=True)
    size = (high - low + 1).clamp_min(0) * visible
    return low.long(), size.long()


def _chunks(kept: Int[Tensor, " n"], fragments: Int[Tensor, " n"]) -> list[Int[Tensor, " part"]]:
    """Split the faces so that no part makes more than `MAX_FRAGMENTS` rows (one face alone may)."""
    if not len(kept):
        return []
    part = torch.cumsum(fragments, 0) // MAX_FRAGMENTS
    return list(torch.split(kept, torch.bincount(part)[torch.bincount(part) > 0].tolist()))


def _fragments(
    corners: Float[Tensor, "n 3 3"], low: Int[Tensor, "n 2"], size: Int[Tensor, "n 2"]
) -> tuple[Int[Tensor, " m"], Int[Tensor, "m 2"], Float[Tensor, "m 3"], Float[Tensor, " m"]]:
    """Covered (face, pixel) pairs: face row, pixel (u, v), perspective-correct weights, z."""
    count = size.prod(-1)
    row = torch.repeat_interleave(torch.arange(len(count), device=count.device), count)
    offset = torch.arange(len(row), device=row.device) - (torch.cumsum(count, 0) - count)[row]
    columns = size[row, 0]
    pixel = low[row] + torch.stack([offset % columns, offset // columns], -1)
    (ua, va, iza), (ub, vb, izb), (uc, vc, izc) = (corners[row, i].unbind(-1) for i in range(3))
    u, v = pixel.double().unbind(-1)
    area = (ub - ua) * (vc - va) - (vb - va) * (uc - ua)
    ea = (ub - u) * (vc - v) - (vb - v) * (uc - u)
    eb = (uc - u) * (va - v) - (vc - v) * (ua - u)
    ec = (ua - u) * (vb - v) - (va - v) * (ub - u)
    edges = torch.stack([ea, eb, ec], -1)
    inside = (area != 0) & (ea + eb + ec != 0) & ((edges >= 0).all(-1) | (edges <= 0).all(-1))
    # the edges' own sum, not the area, so that weights of slivers add up to 1 in spite of rounding
    ea, eb, ec, iza, izb, izc = (x[inside] for x in (ea, eb, ec, iza, izb, izc))
    wa, wb, wc = ea * iza, eb * izb, ec * izc
    total = wa + wb + wc
    weights = torch.stack([wa / total, wb / total, wc / total], -1)
    return row[inside], pixel[inside], weights, (ea + eb + ec) / total


def _keep_nearest(
    buffers: tuple[Tensor, Tensor, Tensor],
    flat: Int[Tensor, " m"],
    z: Float[Tensor, " m"],
    face: Int[Tensor, " m"],
    weights: Float[Tensor, "m 3"],
) -> None:
    """Depth test in place: nearest fragment per pixel, the lower face index where depths are equal."""
    nearest, face_id, kept_weights = buffers
    before = nearest.clone()
    nearest.scatter_reduce_(0, flat, z, "amin")
    winner = (z == nearest[flat]) & (z < before[flat])
    flat, face, weights = flat[winner], face[winner], weights[winner]
    lowest = torch.full_like(face_id, torch.iinfo(torch.int64).max).scatter_reduce_(0, flat, face, "amin")
    first = face == lowest[flat]
    face_id[flat[first]] = face[first]
    kept_weights[flat[first]] = weights[first]
