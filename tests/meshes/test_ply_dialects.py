"""PLY files as scanners and editors write them: every carrier of colour, every number format and byte order."""

import struct

import numpy as np
import pytest
from PIL import Image
from six_colours import (
    LEVELS,
    TRIANGLES,
    assert_no_colour,
    assert_six_colours,
    atlas_uv,
    per_corner,
    quads,
    write_atlas,
)

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh

TYPES = {
    "char": "b",
    "uchar": "B",
    "short": "h",
    "ushort": "H",
    "int": "i",
    "uint": "I",
    "float": "f",
    "double": "d",
}
XYZ = [("float", axis) for axis in "xyz"]
QUAD = (0, 1, 2, 3)


class Table:
    """Columns with their types, and rows; a column of a list has two types."""

    def __init__(self, name: str, columns: list[tuple[str, ...]], rows: list[list]) -> None:
        self.name, self.columns, self.rows = name, columns, rows

    def header(self) -> list[str]:
        return [
            f"element {self.name} {len(self.rows)}",
            *(
                f"property {kind[0]} {kind[-1]}" if len(kind) == 2 else "property list " + " ".join(kind)
                for kind in self.columns
            ),
        ]

    def text(self) -> str:
        flat = ([f"{x:.9g}" for value in row for x in np.ravel(value)] for row in self._with_counts())
        return "".join(" ".join(row) + "\n" for row in flat)

    def bytes(self, order: str) -> bytes:
        parts = []
        for row in self.rows:
            for kind, value in zip(self.columns, row, strict=True):
                values = list(np.ravel(value))
                if len(kind) == 3:
                    parts.append(struct.pack(order + TYPES[kind[0]], len(values)))
                letter = TYPES[kind[-2]]
                cast = float if letter in "fd" else int
                parts.append(struct.pack(f"{order}{len(values)}{letter}", *map(cast, values)))
        return b"".join(parts)

    def _with_counts(self) -> list[list]:
        is_list = [len(kind) == 3 for kind in self.columns]
        return [
            [[len(value), *value] if many else value for many, value in zip(is_list, row, strict=True)]
            for row in self.rows
        ]


def write_ply(
    path, tables: list[Table], kind: str = "ascii", comments: tuple[str, ...] = (), eol: str = "\n"
) -> None:
    head = ["ply", f"format {kind} 1.0", *(f"comment {text}" for text in comments)]
    head += [line for table in tables for line in table.header()] + ["end_header", ""]
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind]
    body = b"".join(table.bytes(order) if order else table.text().encode() for table in tables)
    path.write_bytes(eol.join(head).encode() + body)


def vertices(*columns: tuple[list[tuple[str, str]], np.ndarray]) -> Table:
    """The 24 corners, with further columns."""
    names, rows = list(XYZ), [list(point) for point in quads().reshape(-1, 3)]
    for added, values in columns:
        names += added
        rows = [[*row, *extra] for row, extra in zip(rows, values, strict=True)]
    return Table("vertex", names, rows)


def faces(
    polygons: tuple[tuple[int, ...], ...] = TRIANGLES,
    name: str = "vertex_indices",
    kinds: tuple[str, str] = ("uchar", "int"),
    more: list[tuple[tuple[str, ...], list]] | None = None,
) -> Table:
    """Polygons of every face; `more` columns have one value for each face of the box, or for each polygon of it."""
    columns: list[tuple[str, ...]] = [(*kinds, name)]
    rows = [[[4 * k + corner for corner in polygon]] for k in range(6) for polygon in polygons]
    for column, values in more or []:
        columns.append(column)
        for index, row in enumerate(rows):
            row.append(values[index // len(polygons)] if len(values) == 6 else values[index])
    return Table("face", columns, rows)


def rgb_columns(kind: str, prefix: str = "") -> list[tuple[str, str]]:
    return [(kind, prefix + channel) for channel in ("red", "green", "blue")]


def corner_coordinates(polygons) -> list[list[float]]:
    return [atlas_uv()[k][list(polygon)].ravel().tolist() for k in range(6) for polygon in polygons]


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize(
    ("number", "scale"),
    [("uchar", 1), ("ushort", 257), ("float", 1 / 255), ("double", 1 / 255), ("int", 1), ("float", 1.0)],
)
@pytest.mark.parametrize("prefix", ["", "diffuse_"])
def test_vertex_colours(tmp_path, kind, number, scale, prefix):
    colours = vertices((rgb_columns(number, prefix), per_corner(LEVELS.astype(int)) * scale))
    write_ply(tmp_path / "a.ply", [colours, faces()], kind)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"), tolerance=1)


def test_alpha_is_left_out(tmp_path):
    columns = [*rgb_columns("uchar"), ("uchar", "alpha")]
    values = np.concatenate([per_corner(LEVELS), np.zeros((24, 1), int)], axis=1)
    write_ply(tmp_path / "a.ply", [vertices((columns, values)), faces()])
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("polygons", [TRIANGLES, (QUAD,)])
@pytest.mark.parametrize(("number", "scale"), [("uchar", 1), ("float", 1 / 255), ("ushort", 257)])
def test_face_colours_on_triangles_and_quads(tmp_path, kind, polygons, number, scale):
    more = [
        ((number, channel), list(LEVELS[:, c].astype(int) * scale))
        for c, channel in enumerate(("red", "green", "blue"))
    ]
    write_ply(tmp_path / "a.ply", [vertices(), faces(polygons, more=more)], kind)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"), tolerance=1)


@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_triangles_and_quads_in_one_file(tmp_path, kind):
    table = faces(
        (QUAD,), more=[(("uchar", c), list(LEVELS[:, i])) for i, c in enumerate(("red", "green", "blue"))]
    )
    indices, *rgb = table.rows[0]
    table.rows[:1] = [[[indices[i] for i in triangle], *rgb] for triangle in TRIANGLES]
    write_ply(tmp_path / "a.ply", [vertices(), table], kind)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


def test_face_colours_beside_white_vertices(tmp_path):
    """An editor that writes both leaves what it does not use white."""
    white = vertices((rgb_columns("uchar"), np.full((24, 3), 255)))
    more = [(("uchar", channel), list(LEVELS[:, c])) for c, channel in enumerate(("red", "green", "blue"))]
    write_ply(tmp_path / "a.ply", [white, faces(more=more)])
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize("name", ["vertex_indices", "vertex_index"])
@pytest.mark.parametrize("kinds", [("uchar", "int"), ("uchar", "uint"), ("int", "int"), ("uint", "ushort")])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_lists_of_indices_named_and_typed_either_way(tmp_path, name, kinds, kind):
    colours = vertices((rgb_columns("uchar"), per_corner(LEVELS)))
    write_ply(tmp_path / "a.ply", [colours, faces(name=name, kinds=kinds)], kind)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize(
    "names", [("u", "v"), ("s", "t"), ("texture_u", "texture_v"), ("texture_s", "texture_t")]
)
@pytest.mark.parametrize("kind", ["ascii", "binary_big_endian"])
def test_coordinates_of_vertices_by_every_name(tmp_path, names, kind):
    write_atlas(tmp_path / "a b.png")
    table = vertices(([("float", name) for name in names], atlas_uv().reshape(-1, 2)))
    write_ply(tmp_path / "a.ply", [table, faces()], kind, ("TextureFile a b.png",))
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize("polygons", [TRIANGLES, (QUAD,)])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_coordinates_of_corners(tmp_path, polygons, kind):
    write_atlas(tmp_path / "a.png")
    table = faces(polygons, more=[(("uchar", "float", "texcoord"), corner_coordinates(polygons))])
    write_ply(tmp_path / "a.ply", [vertices(), table], kind, ("TextureFile a.png",), eol="\r\n")
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize("polygons", [TRIANGLES, (QUAD,)])
@pytest.mark.parametrize("kind", ["ascii", "binary_little_endian"])
def test_texture_numbers_choose_among_several_images(tmp_path, polygons, kind):
    for k in range(6):
        Image.fromarray(np.full((4 + k, 8, 3), LEVELS[k])).save(tmp_path / f"face {k}.png")
    order = [3, 0, 5, 1, 2, 4]
    middle = [[0.5] * 2 * len(polygon) for _ in range(6) for polygon in polygons]
    more = [
        (("uchar", "float", "texcoord"), middle),
        (("int", "texnumber"), [order.index(k) for k in range(6)]),
    ]
    comments = tuple(f"TextureFile face {k}.png" for k in order)
    write_ply(tmp_path / "a.ply", [vertices(), faces(polygons, more=more)], kind, comments)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


def test_several_images_without_numbers_are_no_colour(tmp_path):
    write_atlas(tmp_path / "a.png")
    write_atlas(tmp_path / "b.png")
    table = vertices(([("float", "u"), ("float", "v")], atlas_uv().reshape(-1, 2)))
    write_ply(tmp_path / "a.ply", [table, faces()], comments=("TextureFile a.png", "TextureFile b.png"))
    with pytest.warns(UserWarning, match="names 2 textures, and no texture number says which"):
        assert_no_colour(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("gone", r"a\.png is named but not there"),
        ("torn", r"a\.png cannot be read"),
        ("number", r"texture number 5 of 1"),
        ("coordinates", r"names a\.png but has no texture coordinates"),
        ("unknown", r"faces have no texture coordinates"),
    ],
)
def test_a_texture_that_cannot_be_had_is_no_colour(tmp_path, damage, message):
    if damage == "torn":
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    elif damage != "gone":
        write_atlas(tmp_path / "a.png")
    flat = corner_coordinates(TRIANGLES)
    more: list = [] if damage == "coordinates" else [(("uchar", "float", "texcoord"), flat)]
    if damage == "unknown":
        more = [(("uchar", "float", "texcoord"), [[], *flat[1:]])]
    if damage == "number":
        more.append((("int", "texnumber"), [0, 0, 0, 0, 0, 5]))
    write_ply(tmp_path / "a.ply", [vertices(), faces(more=more)], comments=("TextureFile a.png",))
    with pytest.warns(UserWarning, match=message):
        assert_no_colour(load_mesh(tmp_path / "a.ply", "m"))


def test_coordinates_without_an_image_are_named(tmp_path):
    table = vertices(([("float", "u"), ("float", "v")], atlas_uv().reshape(-1, 2)))
    write_ply(tmp_path / "a.ply", [table, faces()])
    with pytest.warns(UserWarning, match="has texture coordinates but names no image"):
        assert_no_colour(load_mesh(tmp_path / "a.ply", "m"))


def test_tables_of_materials_and_coordinates_are_named(tmp_path):
    table = Table("multi_texture_vertex", [("uchar", "tx"), ("float", "u"), ("float", "v")], [[0, 0.5, 0.5]])
    write_ply(tmp_path / "a.ply", [vertices(), faces(), table])
    with pytest.warns(UserWarning, match="multi_texture_vertex, .* which is not read"):
        assert_no_colour(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize("kind", ["ascii", "binary_big_endian"])
def test_strips_of_triangles(tmp_path, kind):
    """Two faces a strip would share corners; here each face is one: 0 1 3 2, and the box is still outside out."""
    strip = [index for k in range(6) for index in (4 * k, 4 * k + 1, 4 * k + 3, 4 * k + 2, -1)]
    table = Table("tristrips", [("int", "int", "vertex_indices")], [[strip]])
    write_ply(tmp_path / "a.ply", [vertices((rgb_columns("uchar"), per_corner(LEVELS))), table], kind)
    assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


def test_other_elements_are_passed_over(tmp_path):
    camera = Table("camera", [("float", "view_px"), ("uchar", "int", "list")], [[1.0, [1, 2]], [2.0, [3]]])
    edges = Table("edge", [("int", "vertex1"), ("int", "vertex2")], [[0, 1]])
    colours = vertices((rgb_columns("uchar"), per_corner(LEVELS)))
    for kind in ("ascii", "binary_little_endian"):
        write_ply(tmp_path / "a.ply", [camera, colours, edges, faces()], kind)
        assert_six_colours(load_mesh(tmp_path / "a.ply", "m"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"plx\n", "does not begin with a PLY header"),
        (b"ply\nformat ascii 1.0\nelement vertex\nend_header\n", "'element vertex', which says too little"),
        (b"ply\nformat ascii 1.0\n", "its header has no end"),
        (b"ply\nformat other 1.0\nend_header\n", "names no known format"),
        (
            b"ply\nformat ascii 1.0\nelement vertex 1\nproperty string x\nend_header\n",
            "property of type string",
        ),
        (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty float x\nproperty float y\n"
            b"property float z\nend_header\n",
            "ends early",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, content, message):
    (tmp_path / "a.ply").write_bytes(content)
    with pytest.raises(MeshError, match=message):
        load_mesh(tmp_path / "a.ply", "m")


def test_two_elements_of_one_name_are_refused(tmp_path):
    head = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n"
    face = "element face 1\nproperty list uchar int vertex_indices\n"
    rows = "0 0 0\n30 0 0\n0 30 0\n30 30 0\n3 0 1 2\n3 1 3 2\n"
    (tmp_path / "a.ply").write_text(f"{head}{face}{face}end_header\n{rows}")
    with pytest.raises(MeshError, match="two elements face, expected one"):
        load_mesh(tmp_path / "a.ply", "mm")
