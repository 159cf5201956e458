"""Several meshes in one set of arrays, so that one call renders any mixture of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.geometry.colour import rgb_to_lab
from selfpose6d.meshes.mesh import Mesh

MIP_LEVELS = 6
"""The last has a thirty-second of the texture's side: a 4,096 texture on an object 128 px large."""


@dataclass(frozen=True)
class PackedMeshes:
    """Vertices, faces and colours of M meshes laid end to end; mesh m owns faces `face_start[m]:face_start[m + 1]`.

    `faces` index the common vertex array. `texels` holds every mip level of every texture, row by row; level l of
    mesh m starts at `texture_start[m, l]` and is `texture_size[m, l]` = (rows, columns) large; meshes of one texture
    share it. A mesh without a texture has size 0 and takes `vertex_rgb`. `texels_per_m` picks the level.
    """

    vertices_m: Float[Tensor, "vertices 3"]
    faces: Int[Tensor, "faces 3"]
    vertex_start: Int[Tensor, " meshes_plus_1"]
    face_start: Int[Tensor, " meshes_plus_1"]
    vertex_rgb: Float[Tensor, "vertices 3"]
    corner_uv: Float[Tensor, "faces 3 2"]
    texels: Float[Tensor, "texels 3"]
    texture_start: Int[Tensor, "meshes levels"]
    texture_size: Int[Tensor, "meshes levels 2"]
    texels_per_m: Float[Tensor, " meshes"]
    has_colour: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.has_colour)

    def face_normals(self) -> Float[Tensor, "faces 3"]:
        """Unit normals by the winding order, object frame."""
        a, b, c = self.vertices_m[self.faces].unbind(1)
        return F.normalize(torch.linalg.cross(b - a, c - a), dim=-1, eps=1e-20)

    def to(self, device: torch.device | str) -> "PackedMeshes":
        """The same meshes on another device."""
        tensors = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **tensors)


def pack_meshes(meshes: Sequence[Mesh], device: torch.device | str = "cpu") -> PackedMeshes:
    """Lay meshes end to end; those without colour are rendered mid-grey.

    `has_colour` is False for them and for those of one white or grey, whose colours are not known.
    """
    vertex_start = np.cumsum([0] + [len(m.vertices_m) for m in meshes])
    face_start = np.cumsum([0] + [len(m.faces) for m in meshes])
    textured = {_texture_id(m): m for m in meshes}  # levels of detail often have one texture
    texture_of = [list(textured).index(_texture_id(m)) for m in meshes]
    levels = [level for m in textured.values() for level in _mip_pyramid(m)]
    sizes = torch.tensor([level.shape[:2] for level in levels]).reshape(len(textured), MIP_LEVELS, 2)
    starts = np.cumsum([0] + [level.shape[0] * level.shape[1] for level in levels])[:-1]
    packed = PackedMeshes(
        vertices_m=torch.from_numpy(np.concatenate([m.vertices_m for m in meshes]).astype(np.float32)),
        faces=torch.from_numpy(
            np.concatenate([m.faces + s for m, s in zip(meshes, vertex_start, strict=False)]).astype(np.int64)
        ),
        vertex_start=torch.from_numpy(vertex_start),
        face_start=torch.from_numpy(face_start),
        vertex_rgb=torch.from_numpy(np.concatenate([_vertex_rgb(m) for m in meshes])),
        corner_uv=torch.from_numpy(np.concatenate([_corner_uv(m) for m in meshes])),
        texels=torch.cat([level.reshape(-1, 3) for level in levels]),
        texture_start=torch.from_numpy(starts).reshape(len(textured), MIP_LEVELS)[texture_of],
        texture_size=sizes[texture_of],
        texels_per_m=torch.tensor([_texels_per_m(m) for m in meshes], dtype=torch.float32),
        has_colour=tuple(m.has_known_colour for m in meshes),
    )
    return packed.to(device)


def in_lab(packed: PackedMeshes) -> PackedMeshes:
    """The same meshes with LAB colours, so that renderings need no conversion."""
    return replace(packed, texels=rgb_to_lab(packed.texels), vertex_rgb=rgb_to_lab(packed.vertex_rgb))


def _texture_id(mesh: Mesh) -> int | None:
    return None if mesh.texture is None or mesh.corner_uv is None else id(mesh.texture)


def _mip_pyramid(mesh: Mesh) -> list[Float[Tensor, "rows columns 3"]]:
    if mesh.texture is None or mesh.corner_uv is None:
        return [torch.zeros(0, 0, 3)] * MIP_LEVELS
    level = torch.from_numpy(mesh.texture.astype(np.float32) / 255.0)
    pyramid = [level]
    for _ in range(MIP_LEVELS - 1):
        if min(level.shape[:2]) > 1:
            level = F.avg_pool2d(level.permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0).contiguous()
        pyramid.append(level)
    return pyramid


def _vertex_rgb(mesh: Mesh) -> Float[np.ndarray, "vertices 3"]:
    if mesh.vertex_rgb is None:
        return np.full((len(mesh.vertices_m), 3), 0.5, np.float32)
    return mesh.vertex_rgb.astype(np.float32) / 255.0


def _corner_uv(mesh: Mesh) -> Float[np.ndarray, "faces 3 2"]:
    if mesh.corner_uv is None:
        return np.zeros((len(mesh.faces), 3, 2), np.float32)
    return mesh.corner_uv.astype(np.float32)


def _texels_per_m(mesh: Mesh) -> float:
    if mesh.texture is None or mesh.corner_uv is None:
        return 0.0
    rows, columns = mesh.texture.shape[:2]
    a, b, c = np.moveaxis(mesh.corner_uv.astype(np.float64), 1, 0)
    edge1, edge2 = (b - a) * (columns, rows), (c - a) * (columns, rows)
    texels = 0.5 * np.abs(edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]).sum()
    return float(np.sqrt(texels / max(mesh.face_areas_m2.sum(), 1e-12)))
