"""Points spread evenly over a mesh's surface, with normals and colours."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.errors import MeshError
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.texture import sample_texture


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
    cumulative = np.cumsum(mesh.face_areas_m2)
    if cumulative[-1] <= 0:
        raise MeshError(f"{mesh.source}: the surface has no area. Export the mesh again.")
    # stratified along the face list: an even share for every face, less noise than independent draws
    position = (np.arange(count) + generator.random(count)) / count * cumulative[-1]
    face = np.minimum(np.searchsorted(cumulative, position, side="right"), len(cumulative) - 1)
    barycentric = random_barycentric(count, generator)
    points_m = np.einsum("pk,pkd->pd", barycentric, mesh.triangles_m[face].astype(np.float64))
    return SurfaceSamples(
        points_m.astype(np.float32), mesh.face_normals[face], surface_rgb(mesh, face, barycentric)
    )


def random_barycentric(count: int, generator: np.random.Generator) -> Float[np.ndarray, "{count} 3"]:
    """Barycentric coordinates of points spread evenly over a triangle."""
    root, along = np.sqrt(generator.random(count)), generator.random(count)
    return np.stack([1 - root, root * (1 - along), root * along], axis=1)


def surface_rgb(
    mesh: Mesh, face: Int[np.ndarray, "points"], barycentric: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "points 3"] | None:
    """Colour 0-1 at points on faces: texture (bilinear), else vertex colours, else None."""
    if mesh.texture is not None and mesh.corner_uv is not None:
        uv = np.einsum("pk,pkd->pd", barycentric, mesh.corner_uv[face])
        return sample_texture(mesh.texture, uv) / np.float32(255)
    if mesh.vertex_rgb is not None:
        corner_rgb = mesh.vertex_rgb[mesh.faces[face]].astype(np.float64)
        return (np.einsum("pk,pkd->pd", barycentric, corner_rgb) / 255).astype(np.float32)
    return None
