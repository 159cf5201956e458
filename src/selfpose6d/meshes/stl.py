"""STL: binary or text, with the colours that Magics and VisCAM put where the format has none."""

import re
import struct

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.part import Part, split_corners

_HEADER_BYTES = 80
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"^[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", re.IGNORECASE | re.MULTILINE)
_MAGICS_COLOUR = b"COLOR="
_HAS_COLOUR = 0x8000


def read_stl(content: bytes, assets: Assets) -> list[Part]:
    """The surface of an STL file.

    Raises:
        ValueError: it ends early, or its numbers are none.
    """
    if (facets := _binary_facets(content)) is None:
        numbers = np.array(_VERTEX.findall(content)).reshape(-1)
        triangles = numbers[: len(numbers) // 9 * 9].astype(np.float64).reshape(-1, 3, 3)
        return _part(triangles, None) if len(triangles) else []
    return _part(facets["corners"].astype(np.float64), _face_rgb(content, facets["attribute"], assets))


def _binary_facets(content: bytes) -> np.ndarray | None:
    """The facets of a binary file, which may begin with "solid" as text does; None where it is text."""
    if len(content) < _HEADER_BYTES + 4:
        return None
    count = struct.unpack_from("<I", content, _HEADER_BYTES)[0]
    needed = _HEADER_BYTES + 4 + count * _FACET.itemsize
    if needed > len(content):
        if _VERTEX.search(content):
            return None
        raise ValueError(f"it ends early: {count} facets need {needed} bytes, it has {len(content)}")
    is_text = content[:5].lower() == b"solid" and needed != len(content) and _VERTEX.search(content)
    return None if is_text else np.frombuffer(content, _FACET, count, _HEADER_BYTES + 4)


def _face_rgb(content: bytes, attribute: np.ndarray, assets: Assets) -> Float[np.ndarray, "facets 3"] | None:
    """Five bits a channel. VisCAM and SolidView: blue lowest, where the highest bit is set. Magics, whose header holds
    a colour for the whole: red lowest, where it is not set.
    """
    bits = np.stack([attribute >> shift & 31 for shift in (0, 5, 10)], axis=1) / 31
    stated = content[:_HEADER_BYTES].find(_MAGICS_COLOUR)
    is_set = (attribute & _HAS_COLOUR) > 0
    if 0 <= stated <= _HEADER_BYTES - len(_MAGICS_COLOUR) - 4:
        start = stated + len(_MAGICS_COLOUR)
        whole = np.frombuffer(content, np.uint8, 3, start) / 255
        return np.where(is_set[:, None], whole, bits)
    if is_set.any() and not is_set.all():
        assets.note(f"{is_set.sum()} of {len(is_set)} facets have a colour; the colours count as unknown")
    return bits[:, ::-1] if is_set.all() and len(is_set) else None


def _part(triangles: np.ndarray, face_rgb: Float[np.ndarray, "facets 3"] | None) -> list[Part]:
    vertices, faces = triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3)
    if not len(faces):
        return []
    if face_rgb is None:
        return [Part(vertices, faces)]
    vertices, faces, rgb = split_corners(vertices, faces, face_rgb)
    return [Part(vertices, faces, vertex_rgb=rgb)]
