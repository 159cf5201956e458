"""Which colours may prove something: prints and plain paint do; nothing, defaults and stand-ins do not."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selfpose6d.meshes.io import load_mesh, save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.primitives.boxes import foam_brick, label_box


def painted(rgb: tuple[int, int, int]) -> Mesh:
    brick = foam_brick(np.random.default_rng(0))
    colours = np.tile(np.array(rgb, np.uint8), (len(brick.vertices_m), 1))
    return Mesh(brick.vertices_m, brick.faces, vertex_rgb=colours)


def textured(rgb: np.ndarray) -> Mesh:
    brick = painted((0, 0, 0))
    uv = np.random.default_rng(0).random((len(brick.faces), 3, 2)).astype(np.float32)
    return Mesh(brick.vertices_m, brick.faces, corner_uv=uv, texture=rgb)


@pytest.mark.parametrize("grey", [255, 102, 128, 192, 0])
def test_one_grey_is_a_default(grey):
    assert not painted((grey, grey, grey)).has_known_colour
    assert not textured(np.full((8, 8, 3), grey, np.uint8)).has_known_colour
    assert painted((grey, grey, grey)).has_colour


def test_no_colour_is_not_known():
    assert not replace(painted((1, 2, 3)), vertex_rgb=None).has_known_colour


def test_a_plain_red_brick_and_a_print_are_known():
    assert painted((186, 62, 52)).has_known_colour
    assert foam_brick(np.random.default_rng(0)).has_known_colour
    assert label_box(np.random.default_rng(0)).has_known_colour


def test_a_black_print_on_white_is_known_though_it_is_grey():
    checks = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((8, 8)))[..., None].repeat(3, 2)
    assert textured((255 * checks).astype(np.uint8)).has_known_colour


def test_what_of_a_texture_is_not_used_saysnullcontext():
    texture = np.full((64, 64, 3), 255, np.uint8)
    texture[:32] = (200, 30, 30)
    brick = textured(texture)
    assert brick.corner_uv is not None
    white_half = brick.corner_uv * np.array([1, 0.4], np.float32)
    assert brick.has_known_colour
    assert not replace(brick, corner_uv=white_half).has_known_colour


@pytest.mark.parametrize(("damage", "known"), [(None, True), ("gone", False), ("torn", False)])
def test_a_material_stands_in_for_an_unreadable_texture_but_proves_nothing(tmp_path: Path, damage, known):
    (tmp_path / "box.obj").write_text(
        "mtllib box.mtl\nv 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl m\n"
        "f 1/1 2/2 3/3\nf 1/1 4/2 2/3\nf 1/1 3/2 4/3\nf 2/1 4/2 3/3\n"
    )
    (tmp_path / "box.mtl").write_text("newmtl m\nKd 0.8 0.1 0.1\nmap_Kd print.png\n")
    save_mesh_ply(label_box(np.random.default_rng(0)), tmp_path / "print.ply")
    if damage == "gone":
        (tmp_path / "print.png").unlink()
    elif damage == "torn":
        (tmp_path / "print.png").write_bytes((tmp_path / "print.png").read_bytes()[:40])
    with pytest.warns(UserWarning, match="print.png") if damage == "gone" else nullcontext():
        mesh = load_mesh(tmp_path / "box.obj", "m")
    assert mesh.has_known_colour == known


def test_the_flag_tells_meshes_apart():
    brick = painted((186, 62, 52))
    lacking = replace(brick, lacks_texture=True)
    assert not lacking.has_known_colour
    assert lacking.content_hash != brick.content_hash


@pytest.mark.parametrize("kind", ["obj", "ply"])
def test_faces_that_the_file_gives_no_colour_make_the_whole_unknown(tmp_path, kind):
    """Half a square is painted; the other half stands before any `usemtl`, or has MeshLab's texture number -1."""
    Image.fromarray(np.tile(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (2, 1, 1))).save(
        tmp_path / "a.png"
    )
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd a.png\n")
    corners = ["0 0 0", "100 0 0", "100 100 0", "0 100 0"]
    obj = ["mtllib a.mtl", *(f"v {corner}" for corner in corners), "vt 0 0", "vt 1 0", "vt 1 1"]
    obj += ["f 1 2 3", "usemtl paint", "f 1/1 3/2 4/3"]
    ply = ["ply", "format ascii 1.0", "comment TextureFile a.png", "element vertex 4"]
    ply += [*(f"property float {axis}" for axis in "xyz"), "element face 2"]
    ply += ["property list uchar int vertex_indices", "property list uchar float texcoord"]
    ply += ["property int texnumber", "end_header", *corners]
    ply += ["3 0 1 2 6 0 0 0 0 0 0 -1", "3 0 2 3 6 0 0 1 0 1 1 0"]
    path = tmp_path / f"a.{kind}"
    path.write_text("\n".join(obj if kind == "obj" else ply) + "\n")
    with pytest.warns(UserWarning, match="a part of it has no colours that could be read"):
        mesh = load_mesh(path, "mm")
    assert not mesh.has_colour
    assert not mesh.has_known_colour
