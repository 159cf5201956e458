"""Mesh files to `Mesh` and back: PLY (BOP's textured form too), OBJ with MTL, GLB, glTF, STL, OFF and STEP, by trimesh.

Millimetres exist only here and at the other borders to files (`datasets/bop`, `runs/predictions`).
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8

from selfpose6d.arrays import describe
from selfpose6d.checks import require_plausible_object_size
from selfpose6d.errors import MeshError, UsageError
from selfpose6d.files import write_whole
from selfpose6d.meshes.gltf import require_readable_gltf
from selfpose6d.meshes.merge import merge_meshes
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.step import as_glb
from selfpose6d.meshes.units import (
    GLTF_SUFFIXES,
    METRES_PER_UNIT,
    STEP_SUFFIXES,
    UNITS,
    Unit,
    unit_of_file,
)

SUFFIXES = (".ply", ".obj", ".stl", ".off", *GLTF_SUFFIXES, *STEP_SUFFIXES)
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff", ".webp", ".ktx2")
_POSITION_AND_NORMAL = tuple((name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz"))
_TEXTURE_COORDINATES = (("texture_u", "<f4"), ("texture_v", "<f4"))
_COLOUR = (("red", "u1"), ("green", "u1"), ("blue", "u1"))
_LEVELS = np.arange(256) / 255
_LINEAR_TO_SRGB = np.rint(
    255 * np.where(_LEVELS <= 0.0031308, 12.92 * _LEVELS, 1.055 * _LEVELS ** (1 / 2.4) - 0.055)
).astype(np.uint8)
"""sRGB's level for each level of linear light (IEC 61966-2-1), as glTF has colours of vertices and materials."""
_PLY_NAME = {"<f4": "float", "u1": "uchar"}


def load_mesh(path: Path | str, unit: Unit | None = None) -> Mesh:
    """Read a mesh file, scene graph flattened, into metres.

    glTF needs no unit, it is in metres unless `unit` says otherwise; STEP files say theirs, and `unit` is not used.

    Colour comes from the texture image, else the vertex or face colours, else the material's colour, else there
    is none. A texture that is named but cannot be read is a warning, and the next of these is taken.

    Raises:
        MeshError: the file is missing, corrupt, compressed, has no faces, or its size is implausible in `unit`.
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
            read, names_texture = _read_parts(glb, path)
    else:
        read, names_texture = _read_parts(path, path)
    is_linear = path.suffix.lower() in (*GLTF_SUFFIXES, *STEP_SUFFIXES)
    parts = [_to_mesh(part, metres_per_unit, path, is_linear) for part in read]
    mesh = merge_meshes(parts, source=path.name)
    mesh = replace(mesh, lacks_texture=names_texture and mesh.texture is None)
    require_plausible_object_size(float(np.ptp(mesh.vertices_m, axis=0).max()), str(path))
    return mesh


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


class _AssetLog:
    """Serves trimesh the files beside the mesh and remembers those that it could not have."""

    def __init__(self, path: Path) -> None:
        from trimesh.resolvers import FilePathResolver

        self._files = FilePathResolver(str(path), allow_anywhere=True)
        self.file_name = path.name
        self.missing: list[str] = []
        self.names_texture = False

    def get(self, name: str) -> bytes:
        self.names_texture |= Path(name).suffix.lower() in _IMAGE_SUFFIXES
        try:
            return self._files.get(name)
        except OSError:
            self.missing.append(name)
            raise

    __getitem__ = get


def _read_parts(path: Path, source: Path) -> tuple[list[Any], bool]:
    """trimesh's meshes in the file, moved by their scene graph's transforms; whether it names a texture that is not
    read. Messages name `source`.
    """
    import trimesh
    from trimesh.constants import log as logger

    lacks_texture = path.suffix.lower() in GLTF_SUFFIXES and require_readable_gltf(path)
    assets = _AssetLog(path)
    was_disabled, logger.disabled = logger.disabled, True
    try:
        options = {"process": False, "resolver": assets}
        parts = [p for p in trimesh.load_scene(path, **options).dump() if isinstance(p, trimesh.Trimesh)]
    except Exception as error:
        missing = ", ".join(assets.missing)
        reason = f"missing {missing}" if missing else f"{type(error).__name__}: {error}"
        raise MeshError(f"{source}: unreadable mesh ({reason}). Export it again.") from error
    finally:
        logger.disabled = was_disabled
    if not any(len(part.faces) for part in parts):
        raise MeshError(f"{source}: no faces, expected a triangle mesh; a point cloud cannot be rendered.")
    for name in dict.fromkeys(assets.missing):
        warnings.warn(f"{path}: {name} is named but not there; using the colours without it", stacklevel=4)
    return [part for part in parts if len(part.faces)], assets.names_texture or lacks_texture


def _to_mesh(part: Any, metres_per_unit: float, path: Path, is_linear: bool) -> Mesh:
    """One part in metres. `is_linear`: its colours, but for textures, are linear and are brought to sRGB."""
    vertices_m = (np.asarray(part.vertices, np.float64) * metres_per_unit).astype(np.float32)
    faces = np.asarray(part.faces, np.int64)
    if faces.min() < 0 or faces.max() >= len(vertices_m):
        raise MeshError(
            f"{path}: a face names vertex {faces.max()} of {len(vertices_m)}. Export the mesh again."
        )
    if not np.isfinite(vertices_m).all():
        raise MeshError(f"{path}: vertices that are not finite. Export the mesh again.")
    faces = faces.astype(np.int32)
    if (texture := _texture(part, is_linear)) is not None:
        corner_uv = np.nan_to_num(np.asarray(part.visual.uv, np.float32)[:, :2])[faces]
        return Mesh(vertices_m, faces, corner_uv=corner_uv, texture=texture)
    if part.visual.kind == "face":
        face_rgb = np.asarray(part.visual.face_colors, np.uint8)[:, :3]
        separate = np.arange(3 * len(faces), dtype=np.int32).reshape(-1, 3)
        return Mesh(vertices_m[faces].reshape(-1, 3), separate, vertex_rgb=np.repeat(face_rgb, 3, axis=0))
    rgb = _vertex_rgb(part)
    return Mesh(vertices_m, faces, vertex_rgb=_LINEAR_TO_SRGB[rgb] if is_linear and rgb is not None else rgb)


def _texture(part: Any, is_linear: bool) -> UInt8[np.ndarray, "rows columns 3"] | None:
    """The material's image times its colour factor, or None. A grey factor is brightness: left out."""
    uv, material = getattr(part.visual, "uv", None), getattr(part.visual, "material", None)
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if image is None or uv is None or len(uv) != len(part.vertices):
        return None
    rgb = np.asarray(image.convert("RGB"), np.uint8)
    if _is_placeholder(rgb):
        return None
    factor = getattr(material, "baseColorFactor", None)
    if factor is None or np.ptp(np.asarray(factor)[:3]) == 0:
        return rgb
    levels = np.asarray(factor, np.uint8)[:3]
    return (rgb * ((_LINEAR_TO_SRGB[levels] if is_linear else levels) / np.float32(255))).astype(np.uint8)


def _vertex_rgb(part: Any) -> UInt8[np.ndarray, "vertices 3"] | None:
    """Vertex colours, also those of a PLY whose texture is missing, else the material's colour, else None."""
    if part.visual.kind == "vertex":
        return np.asarray(part.visual.vertex_colors, np.uint8)[:, :3]
    stored = getattr(part.visual, "vertex_attributes", {}).get("color")
    if stored is None:
        stored = _raw_ply_colours(part)
    if stored is not None and len(stored) == len(part.vertices):
        return _to_uint8(np.asarray(stored)[:, :3])
    material = getattr(part.visual, "material", None)
    # where the file has no colour, trimesh makes one up
    named = getattr(material, "baseColorFactor", None) is not None or "kd" in getattr(material, "kwargs", {})
    if material is None or not named:
        return None
    return np.tile(np.asarray(material.main_color, np.uint8)[:3], (len(part.vertices), 1))


def _is_placeholder(rgb: UInt8[np.ndarray, "rows columns 3"]) -> bool:
    """Whether trimesh made the image up because the file's own is not there."""
    from trimesh.visual.material import empty_material

    placeholder = empty_material().image
    return placeholder is not None and np.array_equal(rgb, np.asarray(placeholder.convert("RGB")))


def _to_uint8(colours: np.ndarray) -> UInt8[np.ndarray, "vertices 3"]:
    if colours.dtype == np.uint8:
        return colours
    scale = 255.0 if np.issubdtype(colours.dtype, np.floating) else 255.0 / np.iinfo(colours.dtype).max
    return np.clip(np.round(colours * scale), 0, 255).astype(np.uint8)


def _raw_ply_colours(part: Any) -> np.ndarray | None:
    """trimesh drops a PLY's vertex colours beside texture coordinates; they fit while no vertex was split."""
    raw = part.metadata.get("_ply_raw", {}).get("vertex", {})
    if raw.get("length") != len(part.vertices) or "red" not in raw.get("properties", {}):
        return None
    data = raw["data"]
    positions = np.column_stack([np.ravel(data[axis]) for axis in "xyz"])
    if not np.allclose(positions, part.vertices):
        return None
    return np.column_stack([np.ravel(data[channel]) for channel in ("red", "green", "blue")])
