"""PLY: vertices, polygons or strips, and the carriers of colour that scanners and editors write.

Colour comes from the texture (coordinates of corners before those of vertices), else from the vertices, else from the
faces. Beside a texture, vertex colours are its copy, not a factor: BOP's models have both.
"""

import numpy as np
from jaxtyping import Float, Int

from selfpose6d.meshes.assets import Assets
from selfpose6d.meshes.part import (
    Part,
    Texture,
    are_known,
    levels_to_unit,
    split_corners,
    varies,
)
from selfpose6d.meshes.ply_file import Element, Lists, PlyFile, read_ply_file
from selfpose6d.meshes.polygons import polygon_triangles, strip_triangles

_COLOURS = (
    ("red", "green", "blue"),
    ("diffuse_red", "diffuse_green", "diffuse_blue"),
    ("r", "g", "b"),
)
_COORDINATES = (("texture_u", "texture_v"), ("u", "v"), ("s", "t"), ("texture_s", "texture_t"), ("tu", "tv"))
_INDICES = ("vertex_indices", "vertex_index", "vertex_indexes", "vert_indices")
_CORNER_COORDINATES = ("texcoord", "texcoords", "tex_coords", "texture_coordinates")
_TEXTURE_NUMBERS = ("texnumber", "texture_number", "texture_index", "tex_index")
_NOT_READ = {
    "multi_texture_vertex": "a table of texture coordinates",
    "multi_texture_face": "a table of texture coordinates",
    "material": "a table of materials",
}
"""Elements that carry colour and are not read, and what they are."""


def read_ply(content: bytes, assets: Assets) -> list[Part]:
    """The surface of a PLY file, one part for each of its textures.

    Raises:
        ValueError: it is no PLY file, or its numbers do not fit each other.
    """
    file = read_ply_file(content)
    vertex = file.elements.get("vertex", Element("vertex", 0))
    vertices = np.stack([vertex.columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
    polygons = _polygons(file)
    indices = polygons.values.astype(np.int64)
    triangle_of, corners = polygon_triangles(vertices, polygons.counts, indices)
    if not len(corners):
        return []
    vertex_rgb, face_rgb = _rgb(vertex), _rgb(file.elements.get("face"))
    shape = Part(vertices, indices[corners], vertex_rgb=vertex_rgb)
    if face_rgb is not None and (vertex_rgb is None or (varies(face_rgb) and not varies(vertex_rgb))):
        own_vertices, own_faces, own_rgb = split_corners(vertices, shape.faces, face_rgb[triangle_of])
        shape = Part(own_vertices, own_faces, vertex_rgb=own_rgb)
    for name in _NOT_READ.keys() & file.elements.keys():
        assets.note(f"its colours are in {name}, {_NOT_READ[name]}, which is not read: they count as unknown")
        shape = Part(shape.vertices, shape.faces, vertex_rgb=shape.vertex_rgb, lacks_texture=True)
    corner_uv = _corner_uv(file, polygons, corners)
    return _textured(shape, file, corner_uv, triangle_of, assets)


def _polygons(file: PlyFile) -> Lists:
    """Vertex indices of all polygons; strips of triangles are taken apart."""
    empty = Lists(np.zeros(0, np.int64), np.zeros(0, np.int64))
    if (face := file.elements.get("face")) is not None and face.rows:
        names = [name for name in (*_INDICES, *face.lists) if name in face.lists]
        if not names:
            raise ValueError("its faces have no list of vertex indices")
        return face.lists[names[0]]
    strips = file.elements.get("tristrips")
    return _strips_to_triangles(next(iter(strips.lists.values()))) if strips and strips.lists else empty


def _strips_to_triangles(strips: Lists) -> Lists:
    """Triangles of strips that end at -1."""
    values = strips.values.astype(np.int64)
    ends = np.flatnonzero(values < 0)
    borders = np.unique(np.concatenate([ends, np.cumsum(strips.counts)]))
    flat = np.concatenate([strip_triangles(strip[strip >= 0]) for strip in np.split(values, borders)])
    return Lists(np.full(len(flat), 3), flat.reshape(-1))


def _rgb(element: Element | None) -> Float[np.ndarray, "rows 3"] | None:
    """Colours 0-1 of an element's rows, None where it has none."""
    for names in _COLOURS:
        if element is not None and all(name in element.columns for name in names):
            return levels_to_unit(np.stack([element.columns[name] for name in names], axis=1))
    return None


def _corner_uv(
    file: PlyFile, polygons: Lists, corners: Int[np.ndarray, "triangles 3"]
) -> Float[np.ndarray, "triangles 3 2"] | None:
    """Texture coordinates of every triangle's corners, NaN where a polygon has none; None where the file has none."""
    face = file.elements.get("face")
    if face is not None and (lists := _texture_lists(face)) is not None:
        has_uv = lists.counts == 2 * polygons.counts
        flat = np.full((len(polygons.values), 2), np.nan)
        flat[np.repeat(has_uv, polygons.counts)] = lists.values[np.repeat(has_uv, lists.counts)].reshape(
            -1, 2
        )
        return flat[corners]
    vertex = file.elements["vertex"]
    for u, v in _COORDINATES:
        if u in vertex.columns and v in vertex.columns:
            uv = np.stack([vertex.columns[u], vertex.columns[v]], axis=1).astype(np.float64)
            return uv[polygons.values.astype(np.int64)[corners]]
    return None


def _texture_lists(face: Element) -> Lists | None:
    return next((face.lists[name] for name in _CORNER_COORDINATES if name in face.lists), None)


def _textured(
    shape: Part,
    file: PlyFile,
    corner_uv: Float[np.ndarray, "triangles 3 2"] | None,
    triangle_of: Int[np.ndarray, " triangles"],
    assets: Assets,
) -> list[Part]:
    """The shape with its images; where one cannot be had, the other colours stay and the part lacks its texture."""
    names = file.textures
    if not names:
        if corner_uv is not None and not shape.has_colour:
            assets.note(
                "it has texture coordinates but names no image (a line `comment TextureFile NAME` in its header)"
            )
        return [shape]
    if corner_uv is None:
        assets.note(f"it names {names[0]} but has no texture coordinates; its colours count as unknown")
        return [_without_texture(shape)]
    number = _texture_numbers(file, triangle_of)
    if number is None:
        if len(dict.fromkeys(names)) > 1:
            assets.note(
                f"it names {len(names)} textures, and no texture number says which face has which; "
                "its colours count as unknown"
            )
            return [_without_texture(shape)]
        number = np.zeros(len(shape.faces), np.int64)
    parts = []
    for index in np.unique(number):
        chosen = number == index
        part = shape if chosen.all() else shape.take(chosen)
        parts.append(_with_image(part, names, int(index), corner_uv[chosen], assets))
    return parts


def _with_image(
    part: Part, names: tuple[str, ...], index: int, corner_uv: Float[np.ndarray, "faces 3 2"], assets: Assets
) -> Part:
    if index < 0:  # MeshLab's number of faces without texture
        return part
    if index >= len(names):
        assets.note(f"a face has texture number {index} of {len(names)}; its colours count as unknown")
        return _without_texture(part)
    if not are_known(corner_uv):
        assets.note("faces have no texture coordinates; their colours count as unknown")
        return _without_texture(part)
    if (image := assets.image(names[index])) is None:
        return _without_texture(part)
    return Part(part.vertices, part.faces, texture=Texture(image, corner_uv))


def _without_texture(part: Part) -> Part:
    return Part(part.vertices, part.faces, vertex_rgb=part.vertex_rgb, lacks_texture=True)


def _texture_numbers(
    file: PlyFile, triangle_of: Int[np.ndarray, " triangles"]
) -> Int[np.ndarray, " triangles"] | None:
    face = file.elements.get("face")
    for name in _TEXTURE_NUMBERS:
        if face is not None and name in face.columns:
            return face.columns[name].astype(np.int64)[triangle_of]
    return None
