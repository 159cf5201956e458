"""Points spread evenly over a mesh's surface, with normals and colours, and colour lookup in its texture.

Texture coordinates follow OBJ and BOP: v runs upwards, image row = (1 - v) * height, texel centres at half integers.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.errors import MeshError
from selfpose6d.meshes.mesh import Mesh


@dataclass(frozen=True)
class SurfaceSamples:
    """Points on a surface, object frame. `rgb` is 0-1, None where the mesh has no colour."""

    points_m: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]
    rgb: Float[np.ndarray, "points 3"] | None


def sample_surface(mesh: Mesh, count: int, generator: np.random.Generator) -> SurfaceSamples:
    """Draw `count` points with a density that is the same everywhere on the surface.

    Raises:
        MeshError: the mesh has no area.
    """
    face, barycentric = surface_positions(mesh, count, generator)
    points_m = np.einsum("pk,pkd->pd", barycentric, mesh.triangles_m[face].astype(np.float64))
    rgb = surface_rgb(mesh, face, barycentric)
    return SurfaceSamples(points_m.astype(np.float32), mesh.face_normals[face], rgb)


def surface_positions(
    mesh: Mesh, count: int, generator: np.random.Generator
) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "points 3"]]:
    """Face and barycentric coordinates of points with a density that is the same everywhere on the surface.

    Raises:
        MeshError: the mesh has no area.
    """
    cumulative = np.cumsum(mesh.face_areas_m2)
    if cumulative[-1] <= 0:
        raise MeshError(f"{mesh.source}: the surface has no area. Export the mesh again.")
    # stratified along the face list: every face gets points by its area, less noise than independent draws
    position = (np.arange(count) + generator.random(count)) / count * cumulative[-1]
    face = np.minimum(np.searchsorted(cumulative, position, side="right"), len(cumulative) - 1)
    root, along = np.sqrt(generator.random(count)), generator.random(count)
    return face, np.stack([1 - root, root * (1 - along), root * along], axis=1)


def surface_rgb(
    mesh: Mesh, face: Int[np.ndarray, " points"], barycentric: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points 3"] | None:
    """Colour 0-1 at points on faces: texture (bilinear), else vertex colours, else None."""
    if mesh.texture is not None and mesh.corner_uv is not None:
        uv = np.einsum("pk,pkd->pd", barycentric, mesh.corner_uv[face])
        return sample_texture(mesh.texture, uv) / np.float32(255)
    if mesh.vertex_rgb is not None:
        corner_rgb = mesh.vertex_rgb[mesh.faces[face]].astype(np.float64)
        return (np.einsum("pk,pkd->pd", barycentric, corner_rgb) / 255).astype(np.float32)
    return None


def sample_texture(
    texture: UInt8[np.ndarray, "rows columns 3"], uv: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, "points 3"]:
    """Bilinear colour (0-255, float) at texture coordinates; coordinates outside 0-1 are clamped."""
    rows, columns = texture.shape[:2]
    x = np.clip(uv[:, 0] * columns - 0.5, 0, columns - 1)
    y = np.clip((1 - uv[:, 1]) * rows - 0.5, 0, rows - 1)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, bottom = np.minimum(left + 1, columns - 1), np.minimum(top + 1, rows - 1)
    fx, fy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = texture[top, left] * (1 - fx) + texture[top, right] * fx
    lower = texture[bottom, left] * (1 - fx) + texture[bottom, right] * fx
    return (upper * (1 - fy) + lower * fy).astype(np.float32)


def corner_to_vertex_rgb(
    texture: UInt8[np.ndarray, "rows columns 3"],
    corner_uv: Float[np.ndarray, "faces 3 2"],
    faces: Int[np.ndarray, "faces 3"],
    vertex_count: int,
) -> UInt8[np.ndarray, "vertices 3"]:
    """Mean texture colour over the face corners that meet in each vertex; grey for unused vertices."""
    rgb = sample_texture(texture, corner_uv.reshape(-1, 2))
    corner = faces.ravel()
    count = np.bincount(corner, minlength=vertex_count)
    total = np.stack([np.bincount(corner, rgb[:, c], minlength=vertex_count) for c in range(3)], axis=1)
    mean = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], 128)
    return np.round(mean).astype(np.uint8)
