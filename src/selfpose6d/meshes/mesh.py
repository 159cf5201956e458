"""A triangle mesh in metres, and what is constant about it."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.arrays import describe
from selfpose6d.errors import MeshError, UsageError

_ARRAYS: dict[str, tuple[type, int, int]] = {
    "vertices_m": (np.float32, 2, 3),
    "faces": (np.int32, 2, 3),
    "corner_uv": (np.float32, 3, 2),
    "texture": (np.uint8, 3, 3),
    "vertex_rgb": (np.uint8, 2, 3),
}
"""Of each array of a mesh: its numbers, how many axes it has, and the length of the last."""
COLOUR_SAMPLES = 4000
"""Points inside faces whose texture is looked at, at least: a print of a thousandth of a box has four of them."""
SAME_LEVEL = 3
"""Difference of two levels, 0-255, that a JPEG leaves in an even white."""


@dataclass(frozen=True)
class Mesh:
    """One object's surface, in its own frame, metres.

    Colour comes from `texture` at `corner_uv` (OBJ convention: v upwards, image row = (1 - v) * height), else
    from `vertex_rgb`, else there is none. `source` names the file in messages. `lacks_texture`: the file names
    colours that could not be read, so that one plain colour, where there is any, proves nothing. The arrays are
    read-only: `replace` makes another mesh.

    Raises:
        MeshError: an array of another kind, or that does not fit the others.
    """

    vertices_m: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    corner_uv: Float[np.ndarray, "faces 3 2"] | None = None
    texture: UInt8[np.ndarray, "rows columns 3"] | None = None
    vertex_rgb: UInt8[np.ndarray, "vertices 3"] | None = None
    source: str = "mesh"
    lacks_texture: bool = False

    def __post_init__(self) -> None:
        for name, kind in _ARRAYS.items():
            if (array := getattr(self, name)) is not None:
                object.__setattr__(self, name, _read_only(array, *kind, f"{self.source}: {name}"))
        num_vertices, num_faces = len(self.vertices_m), len(self.faces)
        if num_faces and not 0 <= self.faces.min() <= self.faces.max() < num_vertices:
            raise MeshError(
                f"{self.source}: faces must be indices of vertices, from 0 to {num_vertices - 1}, "
                f"got {self.faces.min()} to {self.faces.max()}. Export the mesh again."
            )
        for name, expected in (("corner_uv", num_faces), ("vertex_rgb", num_vertices)):
            if (array := getattr(self, name)) is not None and len(array) != expected:
                raise MeshError(f"{self.source}: {name} must have {expected} entries, got {len(array)}.")

    @property
    def has_colour(self) -> bool:
        """Whether colour can be rendered at all."""
        return self.vertex_rgb is not None or (self.texture is not None and self.corner_uv is not None)

    @cached_property
    def has_known_colour(self) -> bool:
        """Whether its colour may prove that two poses are the same.

        It may not where there is none, where a plain colour stands in for an unreadable texture, and where the whole
        mesh is one grey or white: exporters' defaults look so. A plain red brick has a known colour.
        """
        if not self.has_colour or not len(self.faces):
            return False
        rgb = self._looked_at_rgb()
        if np.ptp(rgb, axis=0).max() > SAME_LEVEL:
            return True
        return not self.lacks_texture and bool(np.ptp(rgb, axis=1).max() > SAME_LEVEL)

    def _looked_at_rgb(self) -> UInt8[np.ndarray, "points 3"]:
        """Colours of all corners, and of points inside every face where a texture tells more than the corners."""
        if self.texture is None or self.corner_uv is None:
            assert self.vertex_rgb is not None
            return self.vertex_rgb[np.unique(self.faces)]
        inside = np.random.default_rng(0).dirichlet(np.ones(3), 1 + COLOUR_SAMPLES // len(self.faces))
        weights = np.concatenate([np.eye(3), inside])
        uv = np.einsum("pk,fkd->fpd", weights, self.corner_uv).reshape(-1, 2)
        rows, columns = self.texture.shape[:2]
        row, column = ((1 - uv[:, 1]) * rows).astype(int), (uv[:, 0] * columns).astype(int)
        return self.texture[row.clip(0, rows - 1), column.clip(0, columns - 1)]

    @cached_property
    def triangles_m(self) -> Float[np.ndarray, "faces 3 3"]:
        """Corner positions per face."""
        return self.vertices_m[self.faces]

    @cached_property
    def face_normals(self) -> Float[np.ndarray, "faces 3"]:
        """Unit normals by the winding order; zero for degenerate faces."""
        a, b, c = np.moveaxis(self.triangles_m.astype(np.float64), 1, 0)
        normal = np.cross(b - a, c - a)
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        return np.divide(normal, length, out=np.zeros_like(normal), where=length > 0).astype(np.float32)

    @cached_property
    def face_areas_m2(self) -> Float[np.ndarray, " faces"]:
        """Area of each face."""
        a, b, c = np.moveaxis(self.triangles_m.astype(np.float64), 1, 0)
        return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)

    @cached_property
    def centre_m(self) -> Float[np.ndarray, "3"]:
        """Centre of the bounding box."""
        return 0.5 * (self.vertices_m.min(axis=0) + self.vertices_m.max(axis=0))

    @cached_property
    def radius_m(self) -> float:
        """Radius of the sphere about `centre_m` that holds every vertex."""
        return float(np.linalg.norm(self.vertices_m - self.centre_m, axis=1).max())

    @cached_property
    def diameter_m(self) -> float:
        """Largest distance between two vertices (BOP's definition), through the convex hull."""
        return convex_diameter_m(self.vertices_m)

    @cached_property
    def content_hash(self) -> str:
        """Names the mesh by its shape and colours."""
        digest = hashlib.sha256()
        for array in (self.vertices_m, self.faces, self.corner_uv, self.texture, self.vertex_rgb):
            digest.update(b"-" if array is None else f"{array.shape}".encode())
            digest.update(b"" if array is None else np.ascontiguousarray(array).data)
        digest.update(b"lacks texture" if self.lacks_texture else b"")
        return digest.hexdigest()


def require_mesh(mesh: object, name: str) -> Mesh:
    """Return a mesh, or say that it is something else: a path, or another library's, which has no unit.

    Raises:
        UsageError: it is no `Mesh`; `name` says which.
    """
    if not isinstance(mesh, Mesh):
        raise UsageError(
            f"{name} must be a Mesh in metres, got {describe(mesh)}, which does not say its unit. "
            'Read its file with load_mesh(path, unit="mm").'
        )
    return mesh


def _read_only(array: np.ndarray, dtype: type, ndim: int, last: int, name: str) -> np.ndarray:
    """The array of these numbers, not to be written: what is known of a mesh is computed once.

    Raises:
        MeshError: another shape, or colours that are no levels.
    """
    if not isinstance(array, np.ndarray) or array.ndim != ndim or array.shape[-1] != last:
        raise MeshError(f"{name} must be an array of {ndim} axes, the last of {last}, got {describe(array)}.")
    if dtype is np.uint8 and array.dtype != np.uint8:
        raise MeshError(f"{name} must be levels 0-255 of 8 bits, got {describe(array)}. Scale and round it.")
    if array.dtype == dtype and not array.flags.writeable:
        return array
    own = array.astype(dtype)  # a copy: the caller may go on writing into theirs
    own.flags.writeable = False
    return own


def convex_diameter_m(points_m: Float[np.ndarray, "points 3"]) -> float:
    """Largest distance between two points; exact on the hull's corners, flat sets included."""
    from scipy.spatial import ConvexHull, QhullError
    from scipy.spatial.distance import pdist

    try:
        corners = points_m[ConvexHull(points_m).vertices]
    except (QhullError, ValueError):
        corners = np.unique(points_m, axis=0)
    if len(corners) > 2000:  # the pairs' distances take 16 MB then
        corners = corners[:: len(corners) // 2000 + 1]
    return float(pdist(corners.astype(np.float64)).max()) if len(corners) > 1 else 0.0
