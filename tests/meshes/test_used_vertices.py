"""What sets a mesh's place and size: the vertices of its faces, near enough to the origin to tell them apart."""

import numpy as np
import pytest
from six_colours import SIZE_M, Glb

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh

HEAD = ["ply", "format ascii 1.0", "element vertex {}", *(f"property double {axis}" for axis in "xyz")]
HEAD += ["element face 1", "property list uchar int vertex_indices", "end_header"]
TRIANGLE = ("0 0 0", "30 0 0", "0 40 0")


def write(path, rows, face=(0, 1, 2)):
    """A triangle in the file's format."""
    if path.suffix == ".obj":
        lines = [*(f"v {row}" for row in rows), "f " + " ".join(str(i + 1) for i in face)]
    elif path.suffix == ".off":
        lines = ["OFF", f"{len(rows)} 1 0", *rows, "3 " + " ".join(map(str, face))]
    else:
        lines = ["\n".join(HEAD).format(len(rows)), *rows, "3 " + " ".join(map(str, face))]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("suffix", ["obj", "ply", "off"])
@pytest.mark.parametrize("stray", ["0 0 900", "0 0 1e30", "nan nan nan", "0 0 inf"])
def test_vertices_of_no_face_are_left_out(tmp_path, suffix, stray):
    """First, between and last: the faces still have their own."""
    rows = [stray, TRIANGLE[0], stray, TRIANGLE[1], TRIANGLE[2], stray]
    mesh = load_mesh(write(tmp_path / f"a.{suffix}", rows, (1, 3, 4)), "mm")
    expected = np.array([[0, 0, 0], [0.03, 0, 0], [0, 0.04, 0]], np.float32)
    np.testing.assert_array_equal(mesh.triangles_m[0], expected)
    assert len(mesh.vertices_m) == 3
    assert mesh.diameter_m == pytest.approx(0.05)
    np.testing.assert_allclose(mesh.centre_m, [0.015, 0.02, 0])


def test_colours_follow_the_vertices_that_are_left(tmp_path):
    rows = ["0 0 900 9 9 9", "0 0 0 255 0 0", "30 0 0 0 255 0", "0 40 0 0 0 255"]
    mesh = load_mesh(write(tmp_path / "a.obj", rows, (1, 2, 3)), "mm")
    assert mesh.vertex_rgb is not None
    assert mesh.vertex_rgb.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_a_face_of_a_vertex_that_is_no_number_is_refused(tmp_path):
    with pytest.raises(MeshError, match="not finite"):
        load_mesh(write(tmp_path / "a.obj", [*TRIANGLE[:2], "nan 0 0"]), "mm")


@pytest.mark.parametrize("parent", [False, True])
def test_nodes_of_scale_0_are_hidden(tmp_path, parent):
    glb = Glb()
    glb.box()
    hidden = {"scale": [0, 0, 0], "translation": [1, 0, 0]}
    glb.content["nodes"] += [hidden | ({"children": [2]} if parent else {"mesh": 0}), {"mesh": 0}]
    glb.content["scenes"] = [{"nodes": [0, 1]}]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), SIZE_M, rtol=1e-5)
    assert len(mesh.faces) == 12


@pytest.mark.parametrize("unit", ["m", "mm"])
def test_coordinates_of_a_survey_are_refused(tmp_path, unit):
    """Doubles hold them, single precision steps by half a metre at 4,500 km."""
    per_unit = {"m": 1.0, "mm": 1e3}[unit]
    rows = [f"{per_unit * (5e5 + x)} {per_unit * (4.5e6 + y)} 0" for x, y in ((0, 0), (0.1, 0), (0.1, 0.1))]
    with pytest.raises(MeshError, match="Move the model to its origin"):
        load_mesh(write(tmp_path / "a.ply", rows), unit)


def test_a_model_some_metres_off_its_origin_is_read(tmp_path):
    rows = [f"{20 + x} {30 + y} 5" for x, y in ((0, 0), (0.1, 0), (0.1, 0.1))]
    mesh = load_mesh(write(tmp_path / "a.ply", rows), "m")
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), [0.1, 0.1, 0], atol=5e-6)


@pytest.mark.parametrize("highest", ["1", "1.002", "1.9", "inf", "nan"])
@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_float_colours_a_little_over_1_are_clipped(tmp_path, suffix, highest):
    rows = [f"{TRIANGLE[0]} {highest} 0.2 0.4", f"{TRIANGLE[1]} 1 0.2 0.4", f"{TRIANGLE[2]} 0.2 1 0.4"]
    path = write(tmp_path / f"a.{suffix}", rows)
    if suffix == "ply":
        colours = "".join(f"property float {name}\n" for name in ("red", "green", "blue"))
        path.write_text(path.read_text().replace("element face", colours + "element face"))
    mesh = load_mesh(path, "mm")
    if suffix == "obj" and highest in ("inf", "nan"):  # the colours of a face that has none count as unknown
        assert mesh.vertex_rgb is None
        return
    assert mesh.vertex_rgb is not None
    first = 0 if highest == "nan" else 255
    assert mesh.vertex_rgb.tolist() == [[first, 51, 102], [255, 51, 102], [51, 255, 102]]
