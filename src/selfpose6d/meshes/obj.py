"""OBJ: polygons with texture coordinates and materials, and colours behind the positions as scanners write them.

Colour comes from the material's image times its `Kd`, else from the vertices, else from `Kd`. Faces without a material
have no colour.
"""

import re
import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.files import read_whole
from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.mtl import Map, Material, read_mtl
from selfpose6d.meshes.part import Part, Texture, levels_to_unit, varies
from selfpose6d.meshes.polygons import polygon_triangles
from selfpose6d.meshes.text import decode_text, lines_of


@dataclass
class _Statements:
    """What the lines of a file say.

    `before` has for each face how many positions and how many texture coordinates stood before it, one after the other.
    """

    positions: list[str] = field(default_factory=list)
    coordinates: list[str] = field(default_factory=list)
    faces: list[str] = field(default_factory=list)
    material: array = field(default_factory=lambda: array("q"))
    before: array = field(default_factory=lambda: array("q"))
    painted: list[str] = field(default_factory=list)
    libraries: list[str] = field(default_factory=list)
    used: list[str] = field(default_factory=lambda: [""])


def read_obj(content: bytes, assets: Assets) -> list[Part]:
    """The surface of an OBJ file, one part for each of its materials.

    Raises:
        ValueError: numbers that are none, or faces of what is not there.
    """
    said = _read_statements(decode_text(content))
    vertices, vertex_rgb = _positions(said)
    counts, vertex, coordinate = _face_indices(said)
    if vertex.size and vertex.max() >= len(vertices):
        raise ValueError(f"a face names vertex {vertex.max() + 1} of {len(vertices)}")
    polygon, corners = polygon_triangles(vertices, counts, vertex)
    if not len(corners):
        return []
    faces = vertex[corners]
    uv_index = coordinate[corners]
    uv = _coordinates(said)
    if uv_index.size and uv_index.max() >= len(uv):
        raise ValueError(f"a face names texture coordinate {uv_index.max() + 1} of {len(uv)}")
    shape = Part(vertices, faces, vertex_rgb=vertex_rgb)
    has_uv = (uv_index >= 0).all(axis=1)
    corner_uv = np.concatenate([uv, np.zeros((1, 2))])[uv_index]
    materials = _materials(said, assets)
    first_use = {name: index for index, name in reversed([*enumerate(said.used)])}
    number = np.array([first_use[name] for name in said.used])[np.array(said.material, np.int64)][polygon]
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
        words = line.split(None, 1)
        if len(words) < 2:
            if words == ["usemtl"]:
                said.used.append("")
            continue
        key, rest = words
        if key == "v":
            said.positions.append(_before_comment(rest))
        elif key == "vt":
            said.coordinates.append(_before_comment(rest))
        elif key in ("f", "fo"):
            said.faces.append(_before_comment(rest))
            said.material.append(len(said.used) - 1)
            said.before.extend((len(said.positions), len(said.coordinates)))
        elif key == "usemtl":
            said.used.append(rest.strip())
        elif key == "mtllib":
            said.libraries.append(rest.strip())
        elif key == "#MRGB":
            said.painted.append(rest.strip())
    return said


def _before_comment(text: str) -> str:
    return text.split("#", 1)[0] if "#" in text else text


def _numbers(lines: Sequence[str], dtype: type) -> np.ndarray:
    """All numbers of some lines.

    Raises:
        ValueError: one of the words is none.
    """
    text = " ".join(lines)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, dtype, sep=" ")
        except (DeprecationWarning, ValueError):  # by the version of numpy
            return np.array(text.split(), dtype)  # says which word is no number


def _face_indices(
    said: _Statements,
) -> tuple[Int[np.ndarray, " polygons"], Int[np.ndarray, " corners"], Int[np.ndarray, " corners"]]:
    """How many corners each polygon has, and of all corners the vertex and the texture coordinate, from 0; -1: none."""
    # what is left out between slashes is 0
    lines = re.sub(r"/(?=[/ \t\n]|$)", "/0", "\n".join(said.faces)).split("\n") if said.faces else []
    counts = np.array([len(line.split()) for line in lines], np.int64)
    slashes = np.array([line.count("/") for line in lines], np.int64)
    if (slashes % np.maximum(counts, 1) != 0).any():
        raise ValueError("a face has texture coordinates at some of its corners only")
    start, per_corner = np.cumsum(counts) - counts, slashes // np.maximum(counts, 1)
    index = np.zeros((int(counts.sum()), 2), np.int64)
    for width in np.unique(per_corner):
        chosen = np.flatnonzero(per_corner == width)
        numbers = _numbers([lines[i].replace("/", " ") for i in chosen], np.int64).reshape(-1, 1 + width)
        corner = np.repeat(start[chosen], counts[chosen]) + _positions_within(counts[chosen])
        index[corner, : min(width, 1) + 1] = numbers[:, :2]
    before = np.repeat(np.array(said.before, np.int64).reshape(-1, 2), counts, axis=0)
    is_wrong = (index[:, 0] == 0) | (index < -before).any(axis=1)
    if is_wrong.any():
        worst = int(index[is_wrong][0].min())
        raise ValueError(f"a face has the index {worst} where {before[is_wrong][0, 0]} are there")
    vertex, coordinate = np.where(index > 0, index - 1, before + index).T
    return counts, vertex, np.where(index[:, 1] == 0, -1, coordinate)


def _positions_within(counts: Int[np.ndarray, " polygons"]) -> Int[np.ndarray, " corners"]:
    """0, 1, 2 ... for the corners of each polygon."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _positions(
    said: _Statements,
) -> tuple[Float[np.ndarray, "vertices 3"], Float[np.ndarray, "vertices 3"] | None]:
    """Positions, and the colours behind them: `v x y z r g b`, NaN where only some have them; or ZBrush's `#MRGB`."""
    widths = np.array([len(line.split()) for line in said.positions], np.int64)
    numbers = _numbers(said.positions, np.float64)
    if widths.size and widths.min() < 3:
        raise ValueError("a position has fewer than three numbers")
    first = np.cumsum(widths) - widths
    vertices = numbers[first[:, None] + np.arange(3)].reshape(-1, 3)
    if (coloured := widths >= 6).any():
        rgb = np.full(vertices.shape, np.nan)
        rgb[coloured] = numbers[first[coloured, None] + np.arange(3, 6)]
        return vertices, levels_to_unit(rgb)
    hexadecimal = "".join(said.painted)
    if len(hexadecimal) == 8 * len(vertices) and re.fullmatch(r"[0-9a-fA-F]+", hexadecimal):
        packed = np.frombuffer(bytes.fromhex(hexadecimal), np.uint8).reshape(-1, 4)
        return vertices, packed[:, 1:] / 255
    return vertices, None


def _coordinates(said: _Statements) -> Float[np.ndarray, "coordinates 2"]:
    """u and v; v is 0 where a line has u alone."""
    widths = np.array([len(line.split()) for line in said.coordinates], np.int64)
    numbers = np.append(_numbers(said.coordinates, np.float64), 0.0)
    first = np.cumsum(widths) - widths
    v = np.where(widths > 1, first + 1, len(numbers) - 1)
    return numbers[np.stack([first, v], axis=1)].reshape(-1, 2)


def _materials(said: _Statements, assets: Assets) -> list[Material | str | None]:
    """For each `usemtl`, and first for faces before any: its material, the name of one that is not there, or None."""
    library: dict[str, Material] = {}
    for statement in said.libraries:
        _add_missing(library, _read_library(statement, assets))
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
            _add_missing(library, read_mtl(read_whole(path), path.parent))
    return library


def _add_missing(library: dict[str, Material], later: dict[str, Material]) -> None:
    """Add the materials whose names are not there yet: the library that is listed first is searched first."""
    for name, material in later.items():
        library.setdefault(name, material)


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
    if material.transparency is not None:
        assets.note(f"a material is transparent ({material.transparency}); the surface is taken as opaque")
    if (image_map := material.colour_map) is not None:
        texture = _texture(image_map, corner_uv, assets)
        if texture is None:
            return Part(part.vertices, part.faces, vertex_rgb=vertex_rgb, lacks_texture=True)
        return Part(part.vertices, part.faces, texture=texture, factor=material.factor)
    if material.factor is not None and not varies(vertex_rgb):
        return Part(part.vertices, part.faces, factor=material.factor)
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
