"""STL's and OFF's colours, which programs put where the formats leave room."""

import struct

import numpy as np
import pytest
from six_colours import LEVELS, SIZE_M, TRIANGLES, assert_no_colour, assert_six_colours, per_corner, quads

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh

FIVE_BITS = np.rint(LEVELS / 255 * 31).astype(int)
FIVE_BIT_LEVELS = FIVE_BITS * 255 / 31


def write_stl(path, attributes: list[int], header: bytes = b"binary") -> None:
    """The box, an attribute for each face."""
    content = header.ljust(80, b" ") + struct.pack("<I", 12)
    for quad, attribute in zip(quads(), attributes, strict=True):
        for triangle in TRIANGLES:
            corners = quad[list(triangle)].astype("<f4").tobytes()
            content += bytes(12) + corners + struct.pack("<H", attribute)
    path.write_bytes(content)


def test_colours_of_viscam(tmp_path):
    """Blue in the lowest five bits, red in the highest, and the top bit says that there is one."""
    write_stl(tmp_path / "a.stl", [0x8000 | r << 10 | g << 5 | b for r, g, b in FIVE_BITS.tolist()])
    assert_six_colours(load_mesh(tmp_path / "a.stl", "m"), FIVE_BIT_LEVELS)


def test_colours_of_magics(tmp_path):
    """Red in the lowest five bits; the top bit means that the whole's colour in the header holds."""
    attributes = [r | g << 5 | b << 10 for r, g, b in FIVE_BITS.tolist()]
    attributes[5] = 0x8000
    header = b"COLOR=" + bytes([9, 99, 199, 255]) + b",MATERIAL="
    write_stl(tmp_path / "a.stl", attributes, header)
    expected = np.concatenate([FIVE_BIT_LEVELS[:5], [[9, 99, 199]]])
    assert_six_colours(load_mesh(tmp_path / "a.stl", "m"), expected)


@pytest.mark.parametrize("attribute", [0, 7])
def test_attributes_that_are_no_colours(tmp_path, attribute):
    write_stl(tmp_path / "a.stl", [attribute] * 6)
    assert_no_colour(load_mesh(tmp_path / "a.stl", "m"))


def test_colours_of_some_facets_are_named(tmp_path):
    write_stl(tmp_path / "a.stl", [0x8000, 0, 0, 0, 0, 0])
    with pytest.warns(UserWarning, match="2 of 12 facets have a colour"):
        assert_no_colour(load_mesh(tmp_path / "a.stl", "m"))


def test_binary_that_begins_with_solid(tmp_path):
    write_stl(tmp_path / "a.stl", [0] * 6, b"solid exported")
    assert np.allclose(np.ptp(load_mesh(tmp_path / "a.stl", "m").vertices_m, axis=0), SIZE_M)


def test_text_in_other_letters(tmp_path):
    lines = ["solid box"]
    for quad in quads():
        for triangle in TRIANGLES:
            corners = [f"    VERTEX {x:e} {y:e} {z:e}" for x, y, z in quad[list(triangle)]]
            lines += ["facet normal 0 0 0", "  outer loop", *corners, "  endloop", "endfacet"]
    (tmp_path / "a.stl").write_text("\r\n".join([*lines, "endsolid box"]))
    mesh = load_mesh(tmp_path / "a.stl", "m")
    assert np.allclose(np.ptp(mesh.vertices_m, axis=0), SIZE_M)
    assert len(mesh.faces) == 12


def test_a_cut_off_file_says_so(tmp_path):
    write_stl(tmp_path / "a.stl", [0] * 6)
    (tmp_path / "a.stl").write_bytes((tmp_path / "a.stl").read_bytes()[:-10])
    with pytest.raises(MeshError, match="ends early: 12 facets need 684 bytes, it has 674"):
        load_mesh(tmp_path / "a.stl", "m")


def off_text(header: str, vertex_rgb: np.ndarray | None, face_rows: list[str]) -> str:
    points = [" ".join(f"{x:g}" for x in point) for point in quads().reshape(-1, 3)]
    if vertex_rgb is not None:
        points = [
            f"{p} {' '.join(f'{x:g}' for x in row)} 255" for p, row in zip(points, vertex_rgb, strict=True)
        ]
    faces = [f"4 {4 * k} {4 * k + 1} {4 * k + 2} {4 * k + 3}{row}" for k, row in enumerate(face_rows)]
    return "\n".join([header, *points, *faces, ""])


@pytest.mark.parametrize(
    "header", ["COFF\n24 6 0", "# made by hand\nCOFF # colours\n24 6 0 # counts", "COFF 24 6 0"]
)
def test_vertex_colours_of_off(tmp_path, header):
    (tmp_path / "a.off").write_text(off_text(header, per_corner(LEVELS), [""] * 6))
    assert_six_colours(load_mesh(tmp_path / "a.off", "m"))


@pytest.mark.parametrize("scale", [1, 1 / 255])
def test_face_colours_of_off(tmp_path, scale):
    rows = [" " + " ".join(f"{x * scale:.6g}" for x in row) for row in LEVELS.tolist()]
    (tmp_path / "a.off").write_text(off_text("OFF\n24 6 0", None, rows))
    assert_six_colours(load_mesh(tmp_path / "a.off", "m"))


def test_off_without_colours_and_of_other_kinds(tmp_path):
    (tmp_path / "a.off").write_text(off_text("OFF\n24 6 0", None, [""] * 6))
    assert_no_colour(load_mesh(tmp_path / "a.off", "m"))
    for header, message in (
        ("OFF BINARY\n24 6 0", "OFF BINARY is not read"),
        ("4OFF\n24 6 0", "4OFF is not read"),
    ):
        (tmp_path / "a.off").write_text(off_text(header, None, [""] * 6))
        with pytest.raises(MeshError, match=message):
            load_mesh(tmp_path / "a.off", "m")
    (tmp_path / "a.off").write_text("OFF\n99 99 0\n")
    with pytest.raises(MeshError, match="99 vertices and 99 faces are announced"):
        load_mesh(tmp_path / "a.off", "m")
