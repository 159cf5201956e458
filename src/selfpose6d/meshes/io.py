"""Mesh files to `Mesh` and back: PLY (BOP's textured form too), OBJ with MTL, GLB, glTF, STL, OFF and STEP.

Each format has its own reader, which follows the format's rules on colour and names what it does not read.

Millimetres exist only here and at the other borders to files (`datasets/bop`, `runs/predictions`).
"""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.arrays import describe
from selfpose6d.checks import require_plausible_object_size
from selfpose6d.errors import MeshError, SelfPose6DError, UsageError
from selfpose6d.files import read_whole, write_whole
from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.gltf import read_gltf
from selfpose6d.meshes.merge import merge_meshes
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.obj import read_obj
from selfpose6d.meshes.off import read_off
from selfpose6d.meshes.part import Part
from selfpose6d.meshes.ply import read_ply
from selfpose6d.meshes.step import as_glb
from selfpose6d.meshes.stl import read_stl
from selfpose6d.meshes.texture_groups import group_by_texture
from selfpose6d.meshes.units import (
    GLTF_SUFFIXES,
    METRES_PER_UNIT,
    STEP_SUFFIXES,
    UNITS,
    Unit,
    unit_of_file,
)

SUFFIXES = (".ply", ".obj", ".stl", ".off", *GLTF_SUFFIXES, *STEP_SUFFIXES)
_READERS: dict[str, Callable[[bytes, Assets], list[Part]]] = {
    ".ply": read_ply,
    ".obj": read_obj,
    ".stl": read_stl,
    ".off": read_off,
    **dict.fromkeys(GLTF_SUFFIXES, read_gltf),
}
MAX_AREA_WITHOUT_COLOUR = 0.02
"""Ratio of a mesh's surface whose colours could not be read while those of the rest count: a label on the bottom."""
MAX_BLUR = 1e-3
"""Of an object's extent: the step from one coordinate to the next in single precision."""
_POSITION_AND_NORMAL = tuple((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz"))
_TEXTURE_COORDINATES = (("texture_u", "<f4"), ("texture_v", "<f4"))
_COLOUR = (("red", "u1"), ("green", "u1"), ("blue", "u1"))
_PLY_NAME = {"<f4": "float", "u1": "uchar"}


def load_mesh(path: Path | str, unit: Unit | None = None) -> Mesh:
    """Read a mesh file, scene graph flattened, into metres.

    glTF needs no unit, it is in metres unless `unit` says otherwise; STEP files say theirs, and `unit` is not used.

    Colour is what the file's format says (`meshes/gltf.py`, `obj.py`, `ply.py`, `stl.py`, `off.py`). What is named
    but cannot be read is a warning, and the mesh has no colour then: never a material's plain one in its place.

    Raises:
        MeshError: the file is missing, corrupt, compressed, has no faces, lies too far from its origin, or its size is
            implausible in `unit`.
        UsageError: no path, no unit where the format needs one, an unknown unit, or STEP without `cascadio` installed.
    """
    if not isinstance(path, str | Path):
        raise UsageError(f"path must be the path of a mesh file, got {describe(path)}. Write it to a file.")
    path = Path(path)
    if not path.is_file():
        raise MeshError(f"mesh file {path} does not exist. Correct the path, or pass --models DIR.")
    if path.suffix.lower() not in SUFFIXES:
        raise MeshError(
            f"{path}: cannot read {path.suffix or 'files without a suffix'}, expected {', '.join(SUFFIXES)}."
        )
    metres_per_unit = _metres_per_unit(path, unit)
    if path.suffix.lower() in STEP_SUFFIXES:
        with as_glb(path) as glb:
            assets = Assets(path)
            parts = _read_parts(glb.read_bytes(), read_gltf, assets)
    else:
        assets = Assets(path)
        parts = _read_parts(_read_bytes(path), _READERS[path.suffix.lower()], assets)
    mesh = _joined(parts, metres_per_unit, assets)
    for note in assets.notes:
        warnings.warn(f"{path}: {note}", stacklevel=2)
    _require_near_origin(mesh, path)
    require_plausible_object_size(float(np.ptp(mesh.vertices_m, axis=0).max()), str(path))
    return mesh


def _read_bytes(path: Path) -> bytes:
    try:
        return read_whole(path)
    except OSError as error:
        raise MeshError(f"{path}: cannot be read ({error.strerror}). Correct its permissions.") from error


def _read_parts(content: bytes, read: Callable[[bytes, Assets], list[Part]], assets: Assets) -> list[Part]:
    """The parts of a mesh file that have faces; whatever a reader stumbles on is one clear error."""
    try:
        with np.errstate(all="ignore"):
            parts = [part for part in read(content, assets) if len(part.faces)]
    except SelfPose6DError:
        raise
    except Exception as error:  # a damaged file may be wrong in any way
        text = " ".join(str(error).split())[:200]
        reason = text if type(error) is ValueError else f"{type(error).__name__}: {text}"
        raise MeshError(f"{assets.path}: unreadable mesh ({reason}). Export it again.") from error
    if not parts:
        raise MeshError(
            f"{assets.path}: no faces, expected a triangle mesh; a point cloud cannot be rendered."
        )
    return parts


def _joined(parts: list[Part], metres_per_unit: float, assets: Assets) -> Mesh:
    """All parts as one mesh in metres; without colours where those of a part that is seen could not be read."""
    if any(part.has_colour for part in parts):  # beside others, glTF's material that says nothing is white
        parts = [_with_default(part) for part in parts]
    parts = group_by_texture(parts, assets)
    meshes = [part.to_mesh(metres_per_unit, str(assets.path)) for part in parts]
    lacking_m2 = sum(float(mesh.face_areas_m2.sum()) for mesh in meshes if not mesh.has_colour)
    total_m2 = sum(float(mesh.face_areas_m2.sum()) for mesh in meshes)
    lacks_texture = any(mesh.lacks_texture for mesh in meshes)
    if any(mesh.has_colour for mesh in meshes) and lacking_m2 > MAX_AREA_WITHOUT_COLOUR * total_m2:
        assets.note("a part of it has no colours that could be read; none of its colours are used")
        meshes = [replace(mesh, texture=None, corner_uv=None, vertex_rgb=None) for mesh in meshes]
    mesh = merge_meshes(meshes, source=assets.path.name)
    return replace(mesh, lacks_texture=lacks_texture and mesh.texture is None)


def _require_near_origin(mesh: Mesh, path: Path) -> None:
    """Refuse coordinates so far out that single precision blurs the shape: surveys keep a grid's origin."""
    farthest_m = np.abs(mesh.vertices_m).max()
    extent_m = float(np.ptp(mesh.vertices_m, axis=0).max())
    if farthest_m > 0 and float(np.spacing(farthest_m)) > MAX_BLUR * extent_m:
        raise MeshError(
            f"{path}: an object of {extent_m:.3g} m with coordinates up to {farthest_m:.7g} m, where single precision "
            f"steps by {float(np.spacing(farthest_m)):.2g} m. Move the model to its origin."
        )


def _with_default(part: Part) -> Part:
    if part.has_colour or part.lacks_texture or not part.is_linear:
        return part
    return replace(part, factor=np.ones(3))


def _metres_per_unit(path: Path, unit: Unit | None) -> float:
    if unit is not None and unit not in METRES_PER_UNIT:
        raise UsageError(f"unit must be one of {UNITS}, got {unit!r}.")
    if (known := unit_of_file(path, unit)) is None:
        raise UsageError(
            f'{path}: {path.suffix} files do not say their unit. Pass it, as in unit="mm" ({UNITS}).'
        )
    return METRES_PER_UNIT[known]


def save_mesh_ply(mesh: Mesh, path: Path | str, unit: Unit = "mm") -> None:
    """Write BOP's model format: binary PLY in millimetres (or another unit) with normals, the texture as a PNG beside
    it.
    """
    from selfpose6d.image_files import write_png

    path, texture_name = Path(path), None
    if mesh.texture is not None and mesh.corner_uv is not None:
        texture_name = f"{path.stem}.png"
        write_png(path.with_name(texture_name), mesh.texture)
    write_whole(path, _encode_ply(mesh, texture_name, METRES_PER_UNIT[unit]))


def _encode_ply(mesh: Mesh, texture_name: str | None, metres_per_unit: float) -> bytes:
    """Binary PLY with normals; texture coordinates or vertex colours as the mesh has them."""
    position, uv, rgb, faces = _split_at_seams(mesh)
    columns = [*_POSITION_AND_NORMAL]
    filled = [position * np.float32(1 / metres_per_unit), _vertex_normals(position, faces)]
    if uv is not None:
        columns, filled = [*columns, *_TEXTURE_COORDINATES], [*filled, uv]
    if rgb is not None:
        columns, filled = [*columns, *_COLOUR], [*filled, rgb]
    vertex_table = np.zeros(len(position), dtype=columns)
    for (name, _), values in zip(columns, np.concatenate([block.T for block in filled]), strict=True):
        vertex_table[name] = values
    face_table = np.zeros(len(faces), dtype=[("count", "u1"), ("index", "<i4", (3,))])
    face_table["count"], face_table["index"] = 3, faces
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment TextureFile {texture_name}"] if texture_name else []
    header += [f"element vertex {len(position)}"]
    header += [f"property {_PLY_NAME[kind]} {name}" for name, kind in columns]
    header += [f"element face {len(faces)}", "property list uchar int vertex_indices", "end_header\n"]
    return "\n".join(header).encode() + vertex_table.tobytes() + face_table.tobytes()


def _split_at_seams(
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
    vertex, faces = unique[:, 0].astype(np.intp), index.reshape(-1, 3).astype(np.int32)
    rgb = None if mesh.vertex_rgb is None else mesh.vertex_rgb[vertex]
    return mesh.vertices_m[vertex], unique[:, 1:].astype(np.float32), rgb, faces


def _vertex_normals(
    position: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "vertices 3"]:
    """Area-weighted mean of the adjacent faces' normals; zero for unused vertices."""
    a, b, c = (position[faces[:, k]].astype(np.float64) for k in range(3))
    weighted = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    total = np.stack([np.bincount(faces.ravel(), weighted[:, k], len(position)) for k in range(3)], axis=1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.divide(total, length, out=np.zeros_like(total), where=length > 0).astype(np.float32)
