"""What trimesh does not read of a glTF file, named before it reads the file without it."""

import json
import struct
import warnings
from pathlib import Path
from typing import Any

from selfpose6d.errors import MeshError

COMPRESSIONS = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}
"""Of the geometry, by extension: without it there is none."""
TEXTURE_FORMATS = {"KHR_texture_basisu": "KTX2"}
"""Of textures, by extension, that are not read; the other colours are."""
_JSON_CHUNK = 0x4E4F534A
_FLOAT = 5126


def require_readable_gltf(path: Path) -> bool:
    """Refuse a GLB or glTF file whose geometry is compressed; whether it has textures that are not read (a warning).

    A file that is no glTF passes: whoever reads it says so.

    Raises:
        MeshError: compressed geometry; the message names the compression.
    """
    content = _json_of(path)
    required = content.get("extensionsRequired", [])
    for extension, name in COMPRESSIONS.items():
        if extension in required:
            raise MeshError(
                f"{path}: its geometry is compressed with {name} ({extension}), which cannot be read. "
                "Export it without compression."
            )
    if _has_normalised_positions(content):
        raise MeshError(
            f"{path}: its positions are quantised (KHR_mesh_quantization), which cannot be read. "
            "Export it without compression."
        )
    used = {*required, *content.get("extensionsUsed", [])}
    unread = {extension: name for extension, name in TEXTURE_FORMATS.items() if extension in used}
    for extension, name in unread.items():
        warnings.warn(
            f"{path}: its texture is compressed as {name} ({extension}), which cannot be read; using the colours "
            "without it. Export it with PNG or JPEG textures",
            stacklevel=4,
        )
    return bool(unread)


def _has_normalised_positions(content: dict[str, Any]) -> bool:
    """Whether positions are integers that stand for fractions."""
    accessors = content.get("accessors", [])
    parts = [part for mesh in content.get("meshes", []) for part in mesh.get("primitives", [])]
    positions = [part.get("attributes", {}).get("POSITION", len(accessors)) for part in parts]
    return any(
        accessors[index].get("normalized") and accessors[index].get("componentType") != _FLOAT
        for index in positions
        if index < len(accessors)
    )


def _json_of(path: Path) -> dict[str, Any]:
    """The JSON of a GLB or glTF file; empty where there is none."""
    try:
        with path.open("rb") as file:
            head = file.read(20)
            if head[:4] == b"glTF":
                length, kind = struct.unpack("<II", head[12:20])
                text = file.read(length) if kind == _JSON_CHUNK else b""
            else:
                text = head + file.read()
        content = json.loads(text)
    except (OSError, ValueError, struct.error):
        return {}
    return content if isinstance(content, dict) else {}
