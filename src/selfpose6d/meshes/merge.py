"""Several meshes with their own colours become one mesh with one texture."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.meshes.bake import bake_faces
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import corner_to_vertex_rgb
from selfpose6d.meshes.tiles import MAX_TEXELS, reduce_texture, unwrap_tiles

# bilinear lookup reaches half a texel beyond a border, each mip level twice as far
GUTTER_PX = 2
# of the cells that hold a part's vertex colours
BAKED_TEXELS = 1_000_000
# of what has no colour: halfway, so that it is wrong by little either way
GREY = np.full(3, 128, np.uint8)


def merge_meshes(parts: Sequence[Mesh], source: str = "mesh") -> Mesh:
    """Join meshes of one frame. Textures are stacked; vertex colours stay unless another part is textured: then they
    become texture, too.
    """
    if len(parts) == 1:
        return replace(_normalised(parts[0]), source=source)
    offsets = np.cumsum([0, *(len(part.vertices_m) for part in parts[:-1])])
    vertices_m = np.concatenate([part.vertices_m for part in parts])
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=True)])
    if not any(part.has_colour for part in parts):
        return Mesh(vertices_m, faces, source=source)
    if any(_is_textured(part) for part in parts):
        texture, corner_uv = _stack_textures([_normalised(_as_textured(part)) for part in parts])
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


def _is_textured(mesh: Mesh) -> bool:
    return mesh.texture is not None and mesh.corner_uv is not None


def _as_textured(mesh: Mesh) -> Mesh:
    """A mesh of one colour gets a small texture of it, one of many a texture with a cell for each face."""
    if _is_textured(mesh):
        return mesh
    rgb = mesh.vertex_rgb
    if rgb is None or (rgb == rgb[0]).all():
        centre_uv = np.full((len(mesh.faces), 3, 2), 0.5, np.float32)
        patch = np.tile(GREY if rgb is None else rgb[0], (4, 4, 1))
        return replace(mesh, texture=patch, corner_uv=centre_uv, vertex_rgb=None)

    def colour_at(
        face: Int[np.ndarray, " texels"], barycentric: Float[np.ndarray, "texels 3"]
    ) -> UInt8[np.ndarray, "texels 3"]:
        mixed = np.einsum("tk,tkd->td", barycentric, rgb[mesh.faces[face]].astype(np.float64))
        return np.rint(mixed.clip(0, 255)).astype(np.uint8)

    texture, corner_uv = bake_faces(len(mesh.faces), BAKED_TEXELS, colour_at, max_cell_px=32)
    return replace(mesh, texture=texture, corner_uv=corner_uv, vertex_rgb=None)


def _normalised(mesh: Mesh) -> Mesh:
    if mesh.texture is None or mesh.corner_uv is None:
        return mesh
    texture, corner_uv = unwrap_tiles(mesh.texture, mesh.corner_uv)
    return replace(mesh, texture=texture, corner_uv=corner_uv)


def _stack_textures(
    parts: Sequence[Mesh],
) -> tuple[UInt8[np.ndarray, "rows columns 3"], Float[np.ndarray, "faces 3 2"]]:
    """Each texture once, one below the other, borders repeated so that interpolation does not mix neighbours."""
    distinct = {id(part.texture): part.texture for part in parts if part.texture is not None}
    textures = [*distinct.values()]
    most = max(texture.shape[0] * texture.shape[1] for texture in textures)
    total = sum(texture.shape[0] for texture in textures) * max(texture.shape[1] for texture in textures)
    if total > MAX_TEXELS:
        textures = [reduce_texture(texture, most * MAX_TEXELS // total) for texture in textures]
    width = max(texture.shape[1] for texture in textures) + 2 * GUTTER_PX
    height = sum(texture.shape[0] + 2 * GUTTER_PX for texture in textures)
    blocks, places, top = [], {}, 0
    for key, texture in zip(distinct, textures, strict=True):
        rows, columns = texture.shape[:2]
        right = width - columns - GUTTER_PX
        blocks.append(np.pad(texture, ((GUTTER_PX, GUTTER_PX), (GUTTER_PX, right), (0, 0)), mode="edge"))
        places[key] = (rows, columns, top)
        top += rows + 2 * GUTTER_PX
    corner_uv = []
    for part in parts:
        assert part.corner_uv is not None
        rows, columns, top = places[id(part.texture)]
        u, v = part.corner_uv[..., 0], part.corner_uv[..., 1]
        x, y = GUTTER_PX + u * columns, top + GUTTER_PX + (1 - v) * rows
        corner_uv.append(np.stack([x / width, 1 - y / height], axis=-1).astype(np.float32))
    return np.concatenate(blocks), np.concatenate(corner_uv)
