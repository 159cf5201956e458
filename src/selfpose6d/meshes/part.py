"""A piece of a mesh file as its format describes it, and the `Mesh` that this makes."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.errors import MeshError
from selfpose6d.meshes.bake import bake_faces
from selfpose6d.meshes.light import multiply, to_levels
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_texture
from selfpose6d.meshes.tiles import REPEAT, Wrap, unwrap_tiles

BAKED_TEXELS = 1_000_000
"""Of a texture that is multiplied by vertex colours, at least: 1000 x 1000."""
MAX_UNKNOWN_UV = 0.01
"""Ratio of corners whose texture coordinates may be no numbers: scanners leave a few, an unread texture all."""


@dataclass(frozen=True)
class Texture:
    """An image on a surface. `corner_uv`: v runs upwards, image row = (1 - v) * height; outside 0-1 as `wrap` says."""

    rgb: UInt8[np.ndarray, "rows columns 3"]
    corner_uv: Float[np.ndarray, "faces 3 2"]
    wrap: tuple[Wrap, Wrap] = REPEAT


@dataclass(frozen=True)
class Part:
    """Triangles in the file's unit, whose colour is the product of what there is of texture, vertex colours and factor.

    `vertex_rgb` and `factor` are 0-1, linear light where `is_linear`, else display levels. `lacks_texture`: it names
    colours that could not be read.
    """

    vertices: Float[np.ndarray, "vertices 3"]
    faces: Int[np.ndarray, "faces 3"]
    texture: Texture | None = None
    vertex_rgb: Float[np.ndarray, "vertices 3"] | None = None
    factor: Float[np.ndarray, "3"] | None = None
    is_linear: bool = False
    lacks_texture: bool = False

    @property
    def has_colour(self) -> bool:
        """Whether the file says its colour."""
        return self.texture is not None or self.vertex_rgb is not None or self.factor is not None

    def take(self, faces: np.ndarray) -> "Part":
        """Some of its faces, with the vertices that they use."""
        used, index = np.unique(self.faces[faces], return_inverse=True)
        texture = self.texture and replace(self.texture, corner_uv=self.texture.corner_uv[faces])
        vertex_rgb = None if self.vertex_rgb is None else self.vertex_rgb[used]
        own = {"vertices": self.vertices[used], "faces": index.reshape(-1, 3)}
        return replace(self, **own, texture=texture, vertex_rgb=vertex_rgb)

    def with_uniform_colour_as_factor(self) -> "Part":
        """The same colours; vertex colours beside a texture become a factor where they are all one."""
        if self.texture is None or self.vertex_rgb is None:
            return self
        used = np.clip(np.nan_to_num(self.vertex_rgb[np.unique(self.faces)]), 0, 1)
        if np.ptp(used, axis=0).max() > 0:
            return self
        factor = used[0] if self.factor is None else used[0] * np.clip(np.nan_to_num(self.factor), 0, 1)
        return replace(self, vertex_rgb=None, factor=factor)

    def to_mesh(self, metres_per_unit: float, source: str) -> Mesh:
        """In metres, its colours multiplied, without the vertices that no face uses.

        Raises:
            MeshError: faces of vertices that are not there, or vertices that are not finite.
        """
        faces = self.faces
        if faces.min() < 0 or faces.max() >= len(self.vertices):
            raise MeshError(
                f"{source}: a face names vertex {faces.max() if faces.min() >= 0 else faces.min()} of "
                f"{len(self.vertices)}. Export the mesh again."
            )
        is_used = np.zeros(len(self.vertices), bool)
        is_used[faces] = True
        if not is_used.all():  # they are not seen, and must not set the size
            return self.take(np.arange(len(faces))).to_mesh(metres_per_unit, source)
        with np.errstate(over="ignore"):
            vertices_m = (np.asarray(self.vertices, np.float64) * metres_per_unit).astype(np.float32)
        if not np.isfinite(vertices_m).all():
            raise MeshError(f"{source}: vertices that are not finite. Export the mesh again.")
        shape = Mesh(vertices_m, faces.astype(np.int32), source=source, lacks_texture=self.lacks_texture)
        return self._painted(shape)

    def _painted(self, shape: Mesh) -> Mesh:
        tint = np.ones(3) if self.factor is None else np.clip(np.nan_to_num(self.factor), 0, 1)
        vertex_rgb = None if self.vertex_rgb is None else np.clip(np.nan_to_num(self.vertex_rgb), 0, 1)
        if self.texture is None:
            if vertex_rgb is not None:
                return replace(shape, vertex_rgb=to_levels(vertex_rgb * tint, self.is_linear))
            if self.factor is None:
                return shape
            levels = np.tile(to_levels(tint, self.is_linear), (len(shape.vertices_m), 1))
            return replace(shape, vertex_rgb=levels)
        texture, corner_uv = unwrap_tiles(
            self.texture.rgb, np.nan_to_num(self.texture.corner_uv), self.texture.wrap
        )
        if (tint != 1).any():
            texture = multiply(texture, tint, self.is_linear)
        if vertex_rgb is None:
            return replace(shape, texture=texture, corner_uv=corner_uv)
        return self._times_vertex_rgb(replace(shape, texture=texture, corner_uv=corner_uv), vertex_rgb)

    def _times_vertex_rgb(self, textured: Mesh, vertex_rgb: Float[np.ndarray, "vertices 3"]) -> Mesh:
        """A texture times colours that vary over the vertices: in the vertices where the texture does not vary, else
        in a new texture.
        """
        texture, corner_uv = textured.texture, textured.corner_uv
        assert texture is not None
        assert corner_uv is not None
        if np.ptp(texture.reshape(-1, 3), axis=0).max() == 0:
            levels = multiply(np.broadcast_to(texture[0, 0], vertex_rgb.shape), vertex_rgb, self.is_linear)
            return replace(textured, vertex_rgb=levels, texture=None, corner_uv=None)
        corner_rgb = vertex_rgb[textured.faces]

        def colour_at(
            face: Int[np.ndarray, " texels"], barycentric: Float[np.ndarray, "texels 3"]
        ) -> UInt8[np.ndarray, "texels 3"]:
            inside = barycentric.clip(0, None) / barycentric.clip(0, None).sum(axis=1, keepdims=True)
            uv = np.einsum("tk,tkd->td", inside, corner_uv[face])
            print_rgb = np.rint(sample_texture(texture, uv)).astype(np.uint8)
            return multiply(print_rgb, np.einsum("tk,tkd->td", inside, corner_rgb[face]), self.is_linear)

        num_texels = max(BAKED_TEXELS, texture.shape[0] * texture.shape[1])
        baked, baked_uv = bake_faces(len(textured.faces), num_texels, colour_at)
        return replace(textured, texture=baked, corner_uv=baked_uv)


def are_known(corner_uv: Float[np.ndarray, "faces 3 2"]) -> bool:
    """Whether texture coordinates are numbers, but for a few corners."""
    return bool((~np.isfinite(corner_uv).all(axis=-1)).mean() <= MAX_UNKNOWN_UV) if corner_uv.size else False


def levels_to_unit(levels: np.ndarray) -> Float[np.ndarray, "*shape"]:
    """Colours 0-1 of what files hold: floats 0-1 or 0-255, 8 bits, 16 bits, or wider integers of either range.

    Floats 0-1 may be a little over 1 here.
    """
    if levels.dtype == np.uint8:
        return levels / 255
    highest = float(np.max(levels[np.isfinite(levels)], initial=0))
    if levels.dtype.kind == "f":  # of colours 0-1, interpolation and tone mapping leave some a little above
        scale = 1.0 if highest <= 2 else 255.0 if highest <= 255 else 65535.0
    else:
        scale = (
            255.0 if highest <= 255 else 65535.0 if highest <= 65535 else float(np.iinfo(levels.dtype).max)
        )
    return levels.astype(np.float64) / scale


def varies(rgb: Float[np.ndarray, "vertices 3"] | None) -> bool:
    """Whether colours are there and are more than one grey: what exporters fill in where they have none."""
    return (
        rgb is not None
        and rgb.size > 0
        and bool(max(np.ptp(rgb, axis=0).max(), np.ptp(rgb, axis=1).max()) > 0)
    )


def split_corners(
    vertices: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    face_rgb: Float[np.ndarray, "faces 3"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colours of faces as colours of vertices: vertices of each face's own, the faces of them, and their colours."""
    own = np.arange(3 * len(faces)).reshape(-1, 3)
    return vertices[faces].reshape(-1, 3), own, np.repeat(face_rgb, 3, axis=0)
