"""OFF as text, with colours of vertices (COFF) or faces."""

import re

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.part import Part, levels_to_unit, split_corners
from selfpose6d.meshes.polygons import polygon_triangles
from selfpose6d.meshes.text import decode_text, lines_of


def read_off(content: bytes, assets: Assets) -> list[Part]:
    """The surface of an OFF file.

    Raises:
        ValueError: it is no OFF file, ends early, or is of a kind that is not read (binary, four dimensions).
    """
    rows = [words for line in lines_of(decode_text(content)) if (words := line.split("#")[0].split())]
    if rows and (
        head := re.fullmatch(r"(\w*OFF)(\d+)", rows[0][0], re.IGNORECASE)
    ):  # ModelNet40: no blank between
        rows[0] = [*head.groups(), *rows[0][1:]]
    if not rows or not rows[0][0].upper().endswith("OFF"):
        raise ValueError("it does not begin with OFF")
    kind = rows[0][0].upper().removesuffix("OFF")
    if "BINARY" in (word.upper() for word in rows[0]) or set(kind) - set("STCN"):
        raise ValueError(f"{' '.join(rows[0][:2])} is not read, expected OFF or COFF as text")
    rows = [rows[0][1:], *rows[1:]] if len(rows[0]) > 1 else rows[1:]
    num_vertices, num_faces = int(rows[0][0]), int(rows[0][1])
    if min(num_vertices, num_faces) < 0 or len(rows) < 1 + num_vertices + num_faces:
        raise ValueError(f"it ends early: {num_vertices} vertices and {num_faces} faces are announced")
    table = [[float(word) for word in row] for row in rows[1 : 1 + num_vertices]]
    vertices = np.array([row[:3] for row in table], np.float64).reshape(-1, 3)
    colour_start = 6 if "N" in kind else 3
    faces = rows[1 + num_vertices : 1 + num_vertices + num_faces]
    counts = np.array([int(row[0]) for row in faces], np.int64)
    flat = np.array(
        [int(word) for row, n in zip(faces, counts, strict=True) for word in row[1 : 1 + n]], np.int64
    )
    if counts.size and counts.sum() != len(flat):
        raise ValueError("a face has fewer vertices than it announces")
    polygon, corners = polygon_triangles(vertices, counts, flat)
    if not len(corners):
        return []
    triangles = flat[corners]
    if "C" in kind:
        rgb = levels_to_unit(_numbers([row[colour_start : colour_start + 3] for row in table]))
        return [Part(vertices, triangles, vertex_rgb=rgb)]
    face_rgb = _face_rgb([row[1 + n :] for row, n in zip(faces, counts, strict=True)])
    if face_rgb is None:
        return [Part(vertices, triangles)]
    vertices, triangles, rgb = split_corners(vertices, triangles, face_rgb[polygon])
    return [Part(vertices, triangles, vertex_rgb=rgb)]


def _face_rgb(rows: list[list[str]]) -> Float[np.ndarray, "faces 3"] | None:
    """Colours behind the faces, 0-255 where they are whole numbers and 0-1 where they are not; None unless all have
    some. A single number is an index into a colour map that no file holds.
    """
    if not rows or any(len(row) < 3 for row in rows):
        return None
    rgb = _numbers([[float(word) for word in row[:3]] for row in rows])
    is_whole = not any("." in word for row in rows for word in row[:3])
    return rgb / 255 if is_whole else levels_to_unit(rgb)


def _numbers(rows: list[list[float]]) -> Float[np.ndarray, "rows 3"]:
    return np.array(rows, np.float64).reshape(-1, 3)
