"""The exact nearest point of a mesh's surface: distance, face and colour there."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import surface_positions, surface_rgb

INDEX_SAMPLES = 20_000
"""Points that lead to the faces nearby: 2.3 mm apart on a cracker box."""
FACES_A_QUERY = 6
"""Nearest samples whose faces are tried: at a corner three faces meet, and a sample may lie across an edge."""


@dataclass(frozen=True)
class ClosestPoints:
    """For each query: its distance from the surface, and where on the surface that is."""

    distance_m: Float[np.ndarray, " points"]
    face: Int[np.ndarray, " points"]
    barycentric: Float[np.ndarray, "points 3"]


class Surface:
    """A mesh, indexed for nearest-point queries that are exact where the surface is flat within its sample spacing."""

    def __init__(self, mesh: Mesh, samples: int = INDEX_SAMPLES) -> None:
        """Index the mesh.

        Raises:
            MeshError: it has no area.
        """
        from scipy.spatial import KDTree

        self.mesh = mesh
        face, barycentric = surface_positions(mesh, samples, np.random.default_rng(1))
        # faces that are smaller than the spacing and got no sample are found by their middle
        missed = np.setdiff1d(np.arange(len(mesh.faces)), face)
        self._face = np.concatenate([face, missed])
        barycentric = np.concatenate([barycentric, np.full((len(missed), 3), 1 / 3)])
        self._triangles_m = mesh.triangles_m.astype(np.float64)
        self._tree = KDTree(np.einsum("pk,pkd->pd", barycentric, self._triangles_m[self._face]))

    def closest(self, points_m: Float[np.ndarray, "points 3"]) -> ClosestPoints:
        """The nearest surface point to each point, object frame."""
        _, sample = self._tree.query(points_m, k=FACES_A_QUERY)
        face = self._face[sample]
        barycentric = closest_barycentric(points_m[:, None], self._triangles_m[face])
        on_surface = np.einsum("pfk,pfkd->pfd", barycentric, self._triangles_m[face])
        distance_m = np.linalg.norm(on_surface - points_m[:, None], axis=-1)
        best = (np.arange(len(points_m)), distance_m.argmin(axis=1))
        return ClosestPoints(distance_m[best], face[best], barycentric[best])

    def points_of(self, closest: ClosestPoints) -> Float[np.ndarray, "points 3"]:
        """Where on the surface they are, object frame, metres."""
        return np.einsum("pk,pkd->pd", closest.barycentric, self._triangles_m[closest.face])

    def rgb_at(self, closest: ClosestPoints) -> Float[np.ndarray, "points 3"] | None:
        """Colour (0-1) of the mesh there; None where it has none."""
        return surface_rgb(self.mesh, closest.face, closest.barycentric)


def closest_barycentric(
    points_m: Float[np.ndarray, "*#batch 3"], triangles_m: Float[np.ndarray, "*batch 3 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """Barycentric coordinates of the point of each triangle that is nearest to each point; degenerate ones too.

    The foot of the perpendicular where it lies inside, else the nearest point of the three edges.
    """
    a, b, c = np.moveaxis(triangles_m, -2, 0)
    ab, ac, ap = b - a, c - a, points_m - a
    d00, d01, d11 = (np.einsum("...d,...d->...", *pair) for pair in ((ab, ab), (ab, ac), (ac, ac)))
    d20, d21 = (np.einsum("...d,...d->...", ap, edge) for edge in (ab, ac))
    area = d00 * d11 - d01 * d01
    flat = area <= 1e-12 * d00 * d11
    area = np.where(flat, 1.0, area)
    v, w = (d11 * d20 - d01 * d21) / area, (d00 * d21 - d01 * d20) / area
    inside = np.stack([1 - v - w, v, w], axis=-1)
    on_edge = _nearest_edge_point(points_m, triangles_m)
    is_inside = ~flat & (inside >= 0).all(axis=-1)
    return np.where(is_inside[..., None], inside, on_edge)


def _nearest_edge_point(
    points_m: Float[np.ndarray, "*#batch 3"], triangles_m: Float[np.ndarray, "*batch 3 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """Barycentric coordinates of the nearest point of a triangle's border."""
    start, end = triangles_m, np.roll(triangles_m, -1, axis=-2)
    edge, offset = end - start, points_m[..., None, :] - start
    squared = np.einsum("...d,...d->...", edge, edge)
    along = np.einsum("...d,...d->...", offset, edge) / np.where(squared > 0, squared, 1.0)
    along = along.clip(0, 1)
    gap = np.linalg.norm(offset - along[..., None] * edge, axis=-1)
    nearest = gap.argmin(axis=-1)[..., None]
    along = np.take_along_axis(along, nearest, -1)
    corners = np.eye(3)
    return (1 - along) * corners[nearest[..., 0]] + along * corners[(nearest[..., 0] + 1) % 3]
