"""The bytes of a binary PLY file in BOP's textured form."""

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.meshes.mesh import Mesh

POSITION_AND_NORMAL = tuple((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz"))
TEXTURE_COORDINATES = (("texture_u", "<f4"), ("texture_v", "<f4"))
COLOUR = (("red", "u1"), ("green", "u1"), ("blue", "u1"))
PLY_NAME = {"<f4": "float", "u1": "uchar"}


def encode_ply(mesh: Mesh, units_per_metre: float, texture_name: str | None = None) -> bytes:
    """Binary little-endian PLY with normals; texture coordinates or vertex colours as the mesh has them."""
    position, uv, rgb, faces = split_at_seams(mesh)
    columns, filled = (
        [*POSITION_AND_NORMAL],
        [position * np.float32(units_per_metre), vertex_normals(position, faces)],
    )
    if uv is not None:
        columns, filled = [*columns, *TEXTURE_COORDINATES], [*filled, uv]
    if rgb is not None:
        columns, filled = [*columns, *COLOUR], [*filled, rgb]
    vertex_table = np.zeros(len(position), dtype=columns)
    for (name, _), values in zip(columns, np.concatenate([block.T for block in filled]), strict=True):
        vertex_table[name] = values
    face_table = np.zeros(len(faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    face_table["count"], face_table["index"] = 3, faces
    return (
        _header(columns, len(position), len(faces), texture_name)
        + vertex_table.tobytes()
        + face_table.tobytes()
    )


def _header(columns: list[tuple[str, str]], vertices: int, faces: int, texture_name: str | None) -> bytes:
    lines = ["ply", "format binary_little_endian 1.0"]
    lines += [f"comment TextureFile {texture_name}"] if texture_name else []
    lines += [f"element vertex {vertices}", *(f"property {PLY_NAME[kind]} {name}" for name, kind in columns)]
    lines += [f"element face {faces}", "property list uchar int vertex_indices", "end_header\n"]
    return "\n".join(lines).encode()


def split_at_seams(
    mesh: Mesh,
) -> tuple[
    Float[np.ndarray, "split 3"],
    Float[np.ndarray, "split 2"] | None,
    UInt8[np.ndarray, "split 3"] | None,
    Int[np.ndarray, "faces 3"],
]:
    """Positions, texture coordinates, colours and faces with one texture coordinate per vertex.

    A vertex whose corners differ in texture coordinates is repeated, since PLY stores them per vertex.
    """
    if mesh.corner_uv is None or mesh.texture is None:
        return mesh.vertices_m, None, mesh.vertex_rgb, mesh.faces
    corner = np.column_stack([mesh.faces.reshape(-1, 1), mesh.corner_uv.reshape(-1, 2).astype(np.float64)])
    unique, index = np.unique(corner, axis=0, return_inverse=True)
    vertex = unique[:, 0].astype(np.intp)
    rgb = None if mesh.vertex_rgb is None else mesh.vertex_rgb[vertex]
    return (
        mesh.vertices_m[vertex],
        unique[:, 1:].astype(np.float32),
        rgb,
        index.reshape(-1, 3).astype(np.int32),
    )


def vertex_normals(
    position: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Area-weighted mean of the adjacent faces' normals; zero for unused vertices."""
    a, b, c = (position[faces[:, k]].astype(np.float64) for k in range(3))
    weighted = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    total = np.stack([np.bincount(faces.ravel(), weighted[:, k], len(position)) for k in range(3)], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)
