"""What OBJ's materials say in ways that are easy to get wrong: which library, what glows, what is transparent."""

import warnings

import numpy as np
import pytest
from PIL import Image

from selfpose6d.meshes.io import load_mesh

RED, BLUE = (255, 0, 0), (0, 0, 255)


def load(tmp_path, head: str, **libraries: str):
    """A triangle of the material `m`; its first vertex colour or texture colour."""
    for name, text in libraries.items():
        (tmp_path / f"{name}.mtl").write_text(text)
    Image.fromarray(np.tile(np.array(BLUE, np.uint8), (4, 4, 1))).save(tmp_path / "blue.png")
    body = "v 0 0 0\nv 100 0 0\nv 0 100 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\nf 1/1 2/2 3/3\n"
    (tmp_path / "a.obj").write_text(head + body)
    return load_mesh(tmp_path / "a.obj", "mm")


def colour(mesh) -> tuple[int, ...] | None:
    if mesh.texture is not None:
        return tuple(mesh.texture[0, 0].tolist())
    return None if mesh.vertex_rgb is None else tuple(mesh.vertex_rgb[0].tolist())


@pytest.mark.parametrize("head", ["mtllib a.mtl b.mtl\n", "mtllib a.mtl\nmtllib b.mtl\n"])
@pytest.mark.parametrize("name", ["m", "M"])
def test_the_library_that_is_listed_first_is_searched_first(tmp_path, head, name):
    """Also where only the letter case of the name is another."""
    red, blue = f"newmtl {name}\nKd 1 0 0\n", f"newmtl {name}\nKd 0 0 1\nnewmtl n\nKd 0 1 0\n"
    assert colour(load(tmp_path, head, a=red, b=blue)) == RED


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_comment_does_not_go_on_in_the_next_line(tmp_path, newline):
    """Windows' paths end in what elsewhere continues a line."""
    head = f"# exported to C:\\models\\{newline}mtllib \\{newline} a.mtl{newline}"
    library = f"# C:\\{newline}newmtl m # D:\\{newline}Kd \\{newline} 1 0 0{newline}"
    (tmp_path / "a.mtl").write_bytes(library.replace("m # D:\\", "m").encode())
    assert colour(load(tmp_path, head)) == RED


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ("Kd 0 0 0\nmap_Ke blue.png", BLUE),
        ("Kd 0 0 0\nKe 0 0 0\nmap_Ke blue.png", BLUE),
        ("Kd 0 0 0\nKe 0 0 .5\nmap_Ke blue.png", (0, 0, 128)),
        ("map_Ke blue.png", BLUE),
        ("Kd 0 0 0\nKe 1 0 0", RED),
        ("Kd 0 0 0\nKe 0 0 0", (0, 0, 0)),
        ("Kd 1 0 0\nmap_Ke blue.png", RED),
        ("Kd 0 0 0\nKe 1 0 0\nmap_Kd blue.png\nmap_Ke red.png", BLUE),
    ],
)
def test_what_glows_is_the_colour_where_all_else_is_black(tmp_path, statements, expected):
    assert colour(load(tmp_path, "mtllib a.mtl\n", a=f"newmtl m\n{statements}\n")) == expected


@pytest.mark.parametrize(
    ("statement", "is_named"),
    [
        *((statement, True) for statement in ("d 0.1", "d -halo 0.5", "Tr 0.4")),
        *((statement, False) for statement in ("d 1.0", "Tr 0", "Tr 1", "d 0.0", "d", "map_d holes.png")),
    ],
)
def test_transparency_is_named_and_the_surface_opaque(tmp_path, statement, is_named):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mesh = load(tmp_path, "mtllib a.mtl\n", a=f"newmtl m\nKd 1 0 0\n{statement}\n")
    assert colour(mesh) == RED
    named = f"a material is transparent ({statement}); the surface is taken as opaque"
    assert [str(each.message).split(": ", 1)[1] for each in caught] == [named] * is_named
