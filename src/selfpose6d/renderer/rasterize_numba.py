"""CPU rasteriser: one z-buffer loop per image, images in parallel."""

import math

import numba
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.checks import require_equal_lengths, require_indices
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.rasterize_torch import NEAR_M
from selfpose6d.types import Rasterization


def rasterize_numba(
    meshes: PackedMeshes,
    mesh_index: Int[Tensor, "images"],
    T_cam_obj: Float[Tensor, "images 4 4"],
    K: Float[Tensor, "images 3 3"],
    height: int,
    width: int,
) -> Rasterization:
    """See `rasterize`; arrays live on the CPU.

    Raises:
        UsageError: lengths differ, or there is no such mesh.
    """
    require_equal_lengths(mesh_index=mesh_index, T_cam_obj=T_cam_obj, K=K)
    require_indices(mesh_index.numpy(), len(meshes), "mesh_index")
    images = len(mesh_index)
    face_id = np.full((images, height, width), -1, np.int32)
    barycentric = np.zeros((images, height, width, 3), np.float32)
    depth_m = np.zeros((images, height, width), np.float32)
    _rasterize_images(
        meshes.vertices_m.numpy(),
        meshes.faces.numpy(),
        meshes.vertex_start.numpy(),
        meshes.face_start.numpy(),
        mesh_index.numpy(),
        T_cam_obj.double().numpy(),
        K.double().numpy(),
        face_id,
        barycentric,
        depth_m,
    )
    return Rasterization(torch.from_numpy(face_id), torch.from_numpy(barycentric), torch.from_numpy(depth_m))


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _rasterize_images(
    vertices, faces, vertex_start, face_start, mesh_index, T_cam_obj, K, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    for image in numba.prange(len(mesh_index)):
        mesh = mesh_index[image]
        first = vertex_start[mesh]
        projected = _project_vertices(vertices, first, vertex_start[mesh + 1], T_cam_obj[image], K[image])
        _draw_faces(
            projected,
            faces,
            first,
            face_start[mesh],
            face_start[mesh + 1],
            face_id[image],
            barycentric[image],
            depth_m[image],
        )


@numba.njit(cache=True, error_model="numpy")
def _project_vertices(vertices, first, last, T, K):  # pragma: no cover - compiled
    """Columns u px, v px, z m, in float64."""
    out = np.empty((last - first, 3))
    for i in range(last - first):
        x, y, z = vertices[first + i, 0], vertices[first + i, 1], vertices[first + i, 2]
        cx = T[0, 0] * x + T[0, 1] * y + T[0, 2] * z + T[0, 3]
        cy = T[1, 0] * x + T[1, 1] * y + T[1, 2] * z + T[1, 3]
        cz = T[2, 0] * x + T[2, 1] * y + T[2, 2] * z + T[2, 3]
        out[i, 0] = (K[0, 0] * cx + K[0, 1] * cy) / cz + K[0, 2] if cz != 0 else 0.0
        out[i, 1] = K[1, 1] * cy / cz + K[1, 2] if cz != 0 else 0.0
        out[i, 2] = cz
    return out


@numba.njit(cache=True, error_model="numpy")
def _draw_faces(
    projected, faces, first, begin, end, face_id, barycentric, depth_m
):  # pragma: no cover - compiled
    height, width = face_id.shape
    nearest = np.full((height, width), np.inf)
    for face in range(begin, end):
        a, b, c = faces[face, 0] - first, faces[face, 1] - first, faces[face, 2] - first
        za, zb, zc = projected[a, 2], projected[b, 2], projected[c, 2]
        if not (za > NEAR_M and zb > NEAR_M and zc > NEAR_M):
            continue
        ua, ub, uc = projected[a, 0], projected[b, 0], projected[c, 0]
        u_min, u_max = max(0.0, math.ceil(min(ua, ub, uc))), min(width - 1.0, math.floor(max(ua, ub, uc)))
        if u_min > u_max:
            continue
        va, vb, vc = projected[a, 1], projected[b, 1], projected[c, 1]
        v_min, v_max = max(0.0, math.ceil(min(va, vb, vc))), min(height - 1.0, math.floor(max(va, vb, vc)))
        if v_min > v_max:
            continue
        area = (ub - ua) * (vc - va) - (vb - va) * (uc - ua)
        if area == 0.0:
            continue
        for row in range(int(v_min), int(v_max) + 1):
            for column in range(int(u_min), int(u_max) + 1):
                ea = (ub - column) * (vc - row) - (vb - row) * (uc - column)
                eb = (uc - column) * (va - row) - (vc - row) * (ua - column)
                ec = (ua - column) * (vb - row) - (va - row) * (ub - column)
                if min(ea, eb, ec) < 0.0 < max(ea, eb, ec):
                    continue
                wa, wb, wc = ea / za, eb / zb, ec / zc
                total = wa + wb + wc  # weights add up to 1 for slivers too, where rounding spoils the area
                z = (ea + eb + ec) / total
                if z < nearest[row, column]:
                    nearest[row, column] = z
                    depth_m[row, column] = z
                    face_id[row, column] = face
                    barycentric[row, column, 0] = wa / total
                    barycentric[row, column, 1] = wb / total
                    barycentric[row, column, 2] = wc / total
