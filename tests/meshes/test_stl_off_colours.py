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


FACET = (
    "facet normal 0 0 1\nouter loop\nvertex {0} 0 0\nvertex 30 {0} 0\nvertex 0 30 {0}\nendloop\nendfacet\n"
)
WHOLE = "solid a\n" + "".join(FACET.format(i) for i in range(6)) + "endsolid a\n"


@pytest.mark.parametrize("end", [len(WHOLE) - 10, len(WHOLE) - 12, *range(100, len(WHOLE) - 12, 53)])
@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
def test_a_text_that_ends_early_is_refused(tmp_path, end, newline):
    """Wherever it is cut: between two facets, inside a loop or a number, before its `endsolid`."""
    path = tmp_path / "a.stl"
    path.write_text(WHOLE.replace("\n", newline), newline="")
    assert len(load_mesh(path, "mm").faces) == 6
    path.write_text(WHOLE[:end].replace("\n", newline), newline="")
    with pytest.raises(MeshError, match="it has no endsolid behind its last facet"):
        load_mesh(path, "mm")


@pytest.mark.parametrize(
    ("old", "new"),
    [("vertex 0 30 3\n", ""), ("vertex 0 30 3\n", "vertex 0 30\n"), ("endloop\nendfacet\n", "")],
)
def test_a_loop_that_is_no_polygon_is_refused(tmp_path, old, new):
    changed = (
        WHOLE.replace(old, new) if old in FACET.format(3) else WHOLE[::-1].replace(old[::-1], "", 1)[::-1]
    )
    (tmp_path / "a.stl").write_text(changed)
    with pytest.raises(MeshError, match="loop"):
        load_mesh(tmp_path / "a.stl", "mm")


def test_several_solids_and_loops_of_four_are_read(tmp_path):
    quad = FACET.format(0).replace("vertex 0 30 0\n", "vertex 30 30 0\nvertex 0 30 0\n")
    (tmp_path / "a.stl").write_text(WHOLE + f"solid b\n{quad}endsolid b\n")
    mesh = load_mesh(tmp_path / "a.stl", "mm")
    assert len(mesh.faces) == 8
    np.testing.assert_allclose(mesh.face_areas_m2[6:].sum() * 1e6, 900, rtol=1e-5)


def test_colours_of_meshlab(tmp_path):
    """Magics' header and order, red in the lowest five bits, but the top bit set on every facet."""
    header = b"COLOR=\x7f\x7f\x7f\x7f,MATERIAL=" + b"\x7f" * 12
    write_stl(tmp_path / "a.stl", [0x8000 | r | g << 5 | b << 10 for r, g, b in FIVE_BITS.tolist()], header)
    assert_six_colours(load_mesh(tmp_path / "a.stl", "m"), FIVE_BIT_LEVELS)


@pytest.mark.parametrize("attribute", [0x8000, 0xFFFF])
def test_the_whole_objects_colour_of_magics(tmp_path, attribute):
    write_stl(tmp_path / "a.stl", [attribute] * 6, b"COLOR=" + bytes([9, 99, 199, 255]))
    assert_six_colours(load_mesh(tmp_path / "a.stl", "m"), np.tile([9, 99, 199], (6, 1)))


@pytest.mark.parametrize("head", ["OFF3 1 0", "OFF 3 1 0", "off3 1 0", "OFF\n3 1 0", "COFF3 1 0"])
def test_heads_of_off(tmp_path, head):
    """ModelNet40 has no blank before the number of vertices."""
    (tmp_path / "a.off").write_text(f"{head}\n0 0 0 9 8 7\n30 0 0 9 8 7\n0 40 0 9 8 7\n3 0 1 2\n")
    mesh = load_mesh(tmp_path / "a.off", "mm")
    assert mesh.diameter_m == pytest.approx(0.05)
    assert mesh.has_colour == head.startswith("COFF")


def test_facets_beyond_the_announced_ones_are_named(tmp_path):
    write_stl(tmp_path / "a.stl", [0] * 6)
    content = bytearray((tmp_path / "a.stl").read_bytes())
    content[80:84] = struct.pack("<I", 10)
    (tmp_path / "a.stl").write_bytes(content)
    with pytest.warns(UserWarning, match="announces 10 facets and has bytes for 2 more"):
        assert len(load_mesh(tmp_path / "a.stl", "m").faces) == 10
