"""Several meshes with their own colours become one mesh with one texture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import corner_to_vertex_rgb

# bilinear lookup reaches half a texel beyond a border, each mip level twice as far
GUTTER_PX = 2
# limits the memory: 64 times the texture at most
MAX_TILES = 8
# of what has no colour: halfway, so that it is wrong by little either way
GREY = np.full(3, 128, np.uint8)


def merge_meshes(parts: Sequence[Mesh], source: str = "mesh") -> Mesh:
    """Join meshes of one frame. Textures are stacked; vertex colours stay unless another part is textured.

    Where textured parts meet parts with varying vertex colours, texture is baked into the vertices.
    """
    if len(parts) == 1:
        return replace(_normalised(parts[0]), source=source)
    offsets = np.cumsum([0, *(len(part.vertices_m) for part in parts[:-1])])
    vertices_m = np.concatenate([part.vertices_m for part in parts])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=True)])
    if not any(part.has_colour for part in parts):
        return Mesh(vertices_m, faces, source=source)
    if any(_is_textured(part) for part in parts) and all(_fits_atlas(part) for part in parts):
        texture, corner_uv = _stack_textures([_normalised(_with_patch(part)) for part in parts])
        return Mesh(vertices_m, faces, corner_uv=corner_uv, texture=texture, source=source)
    vertex_rgb = np.concatenate([vertex_colours(part) for part in parts])
    return Mesh(vertices_m, faces, vertex_rgb=vertex_rgb, source=source)


def weld(mesh: Mesh, tolerance_m: float = 1e-6) -> Mesh:
    """Vertices of equal position (to the tolerance) become one, so that seams close; collapsed faces go.

    Texture coordinates belong to corners and stay. Of vertex colours that meet, the first is kept.
    """
    rounded = np.round(mesh.vertices_m.astype(np.float64) / tolerance_m).astype(np.int64)
    _, first, index = np.unique(rounded, axis=0, return_index=True, return_inverse=True)
    faces = index.reshape(-1)[mesh.faces].astype(np.int32)
    a, b, c = faces.T
    kept = (a != b) & (b != c) & (c != a)
    return replace(
        mesh,
        vertices_m=mesh.vertices_m[first],
        faces=faces[kept],
        corner_uv=None if mesh.corner_uv is None else mesh.corner_uv[kept],
        vertex_rgb=None if mesh.vertex_rgb is None else mesh.vertex_rgb[first],
    )


def vertex_colours(mesh: Mesh) -> UInt8[np.ndarray, "vertices 3"]:
    """One colour per vertex from whatever the mesh has; grey where it has none."""
    if mesh.texture is not None and mesh.corner_uv is not None:
        return corner_to_vertex_rgb(mesh.texture, mesh.corner_uv, mesh.faces, len(mesh.vertices_m))
    return mesh.vertex_rgb if mesh.vertex_rgb is not None else np.tile(GREY, (len(mesh.vertices_m), 1))


def unwrap_tiles(
    texture: UInt8[np.ndarray, "rows columns 3"], corner_uv: Float[np.ndarray, "faces 3 2"]
) -> tuple[UInt8[np.ndarray, "rows2 columns2 3"], Float[np.ndarray, "faces 3 2"]]:
    """Repeat a wrapping texture as often as its faces need, so that every coordinate lies in 0-1.

    A face that spans more than `MAX_TILES` repetitions is clamped: no camera resolves such detail.
    """
    eps = 1e-4
    if corner_uv.size == 0 or (corner_uv.min() >= -eps and corner_uv.max() <= 1 + eps):
        return texture, np.clip(corner_uv, 0, 1).astype(np.float32)
    local_uv = corner_uv - np.floor(corner_uv.min(axis=1, keepdims=True) + eps)
    across, up = np.clip(np.ceil(local_uv.max(axis=(0, 1)) - eps), 1, MAX_TILES).astype(int)
    tiled_uv = np.clip(local_uv / np.array([across, up]), 0, 1)
    return np.tile(texture, (up, across, 1)), tiled_uv.astype(np.float32)


def _is_textured(mesh: Mesh) -> bool:
    return mesh.texture is not None and mesh.corner_uv is not None


def _fits_atlas(mesh: Mesh) -> bool:
    rgb = mesh.vertex_rgb
    return _is_textured(mesh) or rgb is None or bool((rgb == rgb[0]).all())


def _with_patch(mesh: Mesh) -> Mesh:
    """A uniformly coloured mesh gets a small texture of that colour."""
    if _is_textured(mesh):
        return mesh
    rgb = mesh.vertex_rgb[0] if mesh.vertex_rgb is not None else GREY
    centre_uv = np.full((len(mesh.faces), 3, 2), 0.5, np.float32)
    return replace(mesh, texture=np.tile(rgb, (4, 4, 1)), corner_uv=centre_uv, vertex_rgb=None)


def _normalised(mesh: Mesh) -> Mesh:
    if mesh.texture is None or mesh.corner_uv is None:
        return mesh
    texture, corner_uv = unwrap_tiles(mesh.texture, mesh.corner_uv)
    return replace(mesh, texture=texture, corner_uv=corner_uv)


def _stack_textures(
    parts: Sequence[Mesh],
) -> tuple[UInt8[np.ndarray, "rows columns 3"], Float[np.ndarray, "faces 3 2"]]:
    """Textures one below the other, borders repeated so that interpolation does not mix neighbours."""
    textures = [part.texture for part in parts if part.texture is not None]
    width = max(texture.shape[1] for texture in textures) + 2 * GUTTER_PX
    height = sum(texture.shape[0] + 2 * GUTTER_PX for texture in textures)
    blocks, corner_uv, top = [], [], 0
    for part, texture in zip(parts, textures, strict=True):
        rows, columns = texture.shape[:2]
        right = width - columns - GUTTER_PX
        blocks.append(np.pad(texture, ((GUTTER_PX, GUTTER_PX), (GUTTER_PX, right), (0, 0)), mode="edge"))
        assert part.corner_uv is not None
        u, v = part.corner_uv[..., 0], part.corner_uv[..., 1]
        x, y = GUTTER_PX + u * columns, top + GUTTER_PX + (1 - v) * rows
        corner_uv.append(np.stack([x / width, 1 - y / height], axis=-1).astype(np.float32))
        top += rows + 2 * GUTTER_PX
    return np.concatenate(blocks), np.concatenate(corner_uv)
