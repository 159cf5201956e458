"""STL: binary or text, with the colours that Magics and VisCAM put where the format has none."""

import re
import struct

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.part import Part, split_corners
from selfpose6d.meshes.polygons import polygon_triangles

_HEADER_BYTES = 80
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_VERTEX = re.compile(rb"(?:^|\r)[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)", re.IGNORECASE | re.MULTILINE)
_WORD = re.compile(rb"(?:^|\r)[ \t]*(vertex|endloop|endsolid|end[ \t]+solid)\b", re.IGNORECASE | re.MULTILINE)
_MAGICS_COLOUR = b"COLOR="
_HAS_COLOUR = 0x8000


def read_stl(content: bytes, assets: Assets) -> list[Part]:
    """The surface of an STL file.

    Raises:
        ValueError: it ends early, or its numbers are none.
    """
    if (facets := _binary_facets(content)) is None:
        triangles = _text_triangles(content)
        return _part(triangles, None) if len(triangles) else []
    if (left := (len(content) - _HEADER_BYTES - 4) // _FACET.itemsize - len(facets)) > 0:
        assets.note(f"it announces {len(facets)} facets and has bytes for {left} more, which are not read")
    return _part(facets["corners"].astype(np.float64), _face_rgb(content, facets["attribute"], assets))


def _text_triangles(text: bytes) -> Float[np.ndarray, "triangles 3 3"]:
    """Corners of the triangles of a text file, whose loops may have more than three.

    Raises:
        ValueError: it ends before its `endsolid`, a loop has too few corners or does not end, or a number is none.
    """
    vertices = np.array(_VERTEX.findall(text)).reshape(-1, 3).astype(np.float64)
    words = np.array([word.lower() for word in _WORD.findall(text)])
    if not words.size or not words[-1].endswith(b"solid"):
        raise ValueError("it ends early: it has no endsolid behind its last facet")
    words = words[(words == b"vertex") | (words == b"endloop")]
    ends = np.flatnonzero(words == b"endloop")
    counts = np.diff(ends, prepend=-1) - 1
    if counts.sum() != len(vertices) or (words.size and words[-1] == b"vertex") or (counts < 3).any():
        raise ValueError(
            "a facet's loop does not end, or has fewer than three vertices of three numbers each"
        )
    return vertices[polygon_triangles(vertices, counts, np.arange(len(vertices)))[1]]


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
    a colour for the whole: red lowest, where it is not set. MeshLab: red lowest under Magics' header, set everywhere.
    """
    bits = np.stack([attribute >> shift & 31 for shift in (0, 5, 10)], axis=1) / 31
    stated = content[:_HEADER_BYTES].find(_MAGICS_COLOUR)
    is_set = (attribute & _HAS_COLOUR) > 0
    if 0 <= stated <= _HEADER_BYTES - len(_MAGICS_COLOUR) - 4:
        start = stated + len(_MAGICS_COLOUR)
        # MeshLab sets the bit beside each facet's own colour
        if is_set.all() and len(np.unique(attribute)) > 1:
            return bits
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
