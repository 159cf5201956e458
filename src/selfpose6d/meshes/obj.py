"""OBJ: polygons with texture coordinates and materials, and colours behind the positions as scanners write them.

Colour comes from the material's image times its `Kd`, else from the vertices, else from `Kd`. Faces without a material
have no colour.
"""

import re
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.mtl import Map, Material, decode_text, lines_of, read_mtl
from selfpose6d.meshes.part import Part, Texture, fan_triangles, levels_to_unit, varies


@dataclass
class _Statements:
    """What the lines of a file say; indices in faces count from 0, -1 is none."""

    positions: list[list[str]] = field(default_factory=list)
    coordinates: list[list[str]] = field(default_factory=list)
    painted: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=lambda: [""])
    counts: list[int] = field(default_factory=list)
    material: list[int] = field(default_factory=list)
    vertex: list[int] = field(default_factory=list)
    coordinate: list[int] = field(default_factory=list)


def read_obj(content: bytes, assets: Assets) -> list[Part]:
    """The surface of an OBJ file, one part for each of its materials.

    Raises:
        ValueError: numbers that are none, or faces of what is not there.
    """
    said = _read_statements(decode_text(content))
    vertices, vertex_rgb = _positions(said)
    if not said.counts:
        return []
    polygon, corners = fan_triangles(np.array(said.counts, np.int64))
    faces = np.array(said.vertex, np.int64)[corners]
    if faces.size and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(f"a face names vertex {faces.max() + 1} of {len(vertices)}")
    uv_index = np.array(said.coordinate, np.int64)[corners]
    uv = _coordinates(said)
    if uv_index.size and uv_index.max() >= len(uv):
        raise ValueError(f"a face names texture coordinate {uv_index.max() + 1} of {len(uv)}")
    shape = Part(vertices, faces, vertex_rgb=vertex_rgb)
    has_uv = (uv_index >= 0).all(axis=1)
    corner_uv = np.concatenate([uv, np.zeros((1, 2))])[uv_index]
    number = np.array(said.material, np.int64)[polygon]
    materials = _materials(said, assets)
    parts = []
    for index in np.unique(number):
        material = materials[index]
        is_textured = isinstance(material, Material) and material.colour_map is not None
        for chosen, with_uv in ((number == index, True), ((number == index) & ~has_uv, False)):
            if with_uv and is_textured:
                chosen = chosen & has_uv
            elif not is_textured and not with_uv:
                continue
            if chosen.any():
                part = shape if chosen.all() else shape.take(chosen)
                parts.append(_painted(part, material, corner_uv[chosen] if with_uv else None, assets))
    return parts


def _read_statements(text: str) -> _Statements:
    said = _Statements()
    for line in lines_of(text):
        words = line.split()
        if not words:
            continue
        key = words[0]
        if key == "v":
            said.positions.append(words[1:])
        elif key == "vt":
            said.coordinates.append(words[1:3])
        elif key in ("f", "fo"):
            _add_face(said, words[1:])
        elif key == "usemtl":
            said.used.append(line.split(None, 1)[1].strip() if len(words) > 1 else "")
        elif key == "mtllib" and len(words) > 1:
            said.libraries.append(line.split(None, 1)[1].strip())
        elif key == "#MRGB" and len(words) > 1:
            said.painted.append(words[1])
    return said


def _add_face(said: _Statements, words: list[str]) -> None:
    if any(word.startswith("#") for word in words):
        words = words[: next(i for i, word in enumerate(words) if word.startswith("#"))]
    if len(words) < 3:
        return
    for word in words:
        index, _, rest = word.partition("/")
        coordinate = rest.partition("/")[0]
        said.vertex.append(_from_zero(index, len(said.positions)))
        said.coordinate.append(_from_zero(coordinate, len(said.coordinates)) if coordinate else -1)
    said.counts.append(len(words))
    said.material.append(len(said.used) - 1)


def _from_zero(text: str, count: int) -> int:
    """An index that counts from 1, or from the end where it is negative."""
    index = int(text)
    if index == 0 or index < -count:
        raise ValueError(f"a face has the index {index} where {count} are there")
    return index - 1 if index > 0 else count + index


def _positions(
    said: _Statements,
) -> tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "vertices 3"] | None]:
    """Positions, and the colours behind them: `v x y z r g b`, NaN where only some have them; or ZBrush's `#MRGB`."""
    rows = [[float(word) for word in _before_comment(row)] for row in said.positions]
    vertices = np.array([row[:3] for row in rows], np.float64).reshape(-1, 3)
    coloured = [len(row) >= 6 for row in rows]
    if any(coloured):
        rgb = np.array([row[3:6] if has else [np.nan] * 3 for row, has in zip(rows, coloured, strict=True)])
        return vertices, levels_to_unit(rgb)
    hexadecimal = "".join(said.painted)
    if len(hexadecimal) == 8 * len(rows) and re.fullmatch(r"[0-9a-fA-F]+", hexadecimal):
        packed = np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).reshape(-1, 4)
        return vertices, packed[:, 1:] / 255
    return vertices, None


def _before_comment(words: list[str]) -> list[str]:
    return words[: next((i for i, word in enumerate(words) if word.startswith("#")), len(words))]


def _coordinates(said: _Statements) -> Float[np.ndarray, "coordinates 2"]:
    rows = [[*map(float, _before_comment(row)), 0.0, 0.0][:2] for row in said.coordinates]
    return np.array(rows, np.float64).reshape(-1, 2)


def _materials(said: _Statements, assets: Assets) -> list[Material | str | None]:
    """For each `usemtl`, and first for faces before any: its material, the name of one that is not there, or None."""
    library: dict[str, Material] = {}
    for statement in said.libraries:
        library |= _read_library(statement, assets)
    folded = {name.casefold(): material for name, material in reversed(library.items())}
    used = [library.get(name) or folded.get(name.casefold()) or name or None for name in said.used]
    if len(said.used) == 1 and len(library) == 1 and said.coordinates:
        name, used[0] = next(iter(library.items()))
        assets.note(f"no face names a material (usemtl); taking {name}, the only one there is")
    return used


def _read_library(statement: str, assets: Assets) -> dict[str, Material]:
    """The materials of a `mtllib` line: one name that may hold blanks, else several names."""
    whole = Assets(assets.path)
    paths = [whole.find(statement)]
    if paths == [None] and len(names := statement.split()) > 1:
        paths = [assets.find(name) for name in names]
    elif paths == [None]:
        assets.find(statement)
    library: dict[str, Material] = {}
    for path in paths:
        if path is not None:
            library |= read_mtl(path.read_bytes(), path.parent)
    return library


def _painted(
    part: Part,
    material: Material | str | None,
    corner_uv: Float[np.ndarray, "faces 3 2"] | None,
    assets: Assets,
) -> Part:
    vertex_rgb = part.vertex_rgb
    if vertex_rgb is not None and not np.isfinite(vertex_rgb[np.unique(part.faces)]).all():
        vertex_rgb = None
    plain = Part(part.vertices, part.faces, vertex_rgb=vertex_rgb)
    if material is None:
        return plain
    if isinstance(material, str):
        assets.note(f"material {material} is used but not there; its colour counts as unknown")
        return Part(part.vertices, part.faces, vertex_rgb=vertex_rgb, lacks_texture=True)
    if (image_map := material.colour_map) is not None:
        texture = _texture(image_map, corner_uv, assets)
        if texture is None:
            return Part(part.vertices, part.faces, vertex_rgb=vertex_rgb, lacks_texture=True)
        return Part(part.vertices, part.faces, texture=texture, factor=material.factor)
    if material.diffuse is not None and not varies(vertex_rgb):
        return Part(part.vertices, part.faces, factor=material.diffuse)
    return plain


def _texture(
    image_map: Map, corner_uv: Float[np.ndarray, "faces 3 2"] | None, assets: Assets
) -> Texture | None:
    if corner_uv is None:
        assets.note(
            f"faces with {image_map.name} have no texture coordinates; their colours count as unknown"
        )
        return None
    for option in image_map.not_read:
        assets.note(
            f"{image_map.name} has the option {option}, which is not read; its colours count as unknown"
        )
        return None
    if (image := assets.image(image_map.name, image_map.folder)) is None:
        return None
    if (image_map.base, image_map.gain) != (0.0, 1.0):
        image = np.rint(np.clip(255 * image_map.base + image_map.gain * image, 0, 255)).astype(np.uint8)
    moved = corner_uv * image_map.scale + image_map.offset
    return Texture(image, moved, image_map.wrap)
