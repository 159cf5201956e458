"""Mesh files: every format gives the same square, every fault a message that says what to do."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image
from small_meshes import (
    BLUE,
    FOUR_COLOURS,
    GREEN,
    RED,
    SQUARE_FACES,
    SQUARE_M,
    SQUARE_UV,
    WHITE,
    coloured_square,
    textured_square,
)

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh, save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_texture

CORNER_COLOURS = {(0.0, 0.0): BLUE, (0.1, 0.0): WHITE, (0.1, 0.1): GREEN, (0.0, 0.1): RED}


def corner_colours(mesh: Mesh) -> dict[tuple[float, float], tuple[int, ...]]:
    """Colour at every corner by its x and y in metres."""
    assert mesh.texture is not None
    assert mesh.corner_uv is not None
    rgb = np.round(sample_texture(mesh.texture, mesh.corner_uv.reshape(-1, 2))).astype(int)
    xy = np.round(mesh.triangles_m.reshape(-1, 3)[:, :2].astype(float), 6)
    return {tuple(p.tolist()): tuple(c.tolist()) for p, c in zip(xy, rgb, strict=True)}


def write_picture(path: Path) -> None:
    Image.fromarray(FOUR_COLOURS).save(path)


def ascii_ply(header: list[str], vertices: list[str], faces: list[str]) -> str:
    return "\n".join(["ply", "format ascii 1.0", *header, "end_header", *vertices, *faces, ""])


def square_rows(*columns: np.ndarray) -> list[str]:
    return [" ".join(f"{value:g}" for value in row) for row in np.concatenate(columns, axis=1)]


TEXTURE_UV = ["property float texture_u", "property float texture_v"]
RGB = [f"property uchar {channel}" for channel in ("red", "green", "blue")]
VERTEX_XYZ = ["element vertex 4", "property float x", "property float y", "property float z"]
FACE_LIST = ["element face 2", "property list uchar int vertex_indices"]
FACE_ROWS = ["3 0 1 2", "3 0 2 3"]


def test_ascii_ply_with_uv_per_vertex(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture.png")
    header = ["comment TextureFile picture.png", *VERTEX_XYZ, *TEXTURE_UV]
    rows = square_rows(1000 * SQUARE_M, SQUARE_UV)
    (tmp_path / "a.ply").write_text(ascii_ply([*header, *FACE_LIST], rows, FACE_ROWS))
    mesh = load_mesh(tmp_path / "a.ply", "mm")
    assert corner_colours(mesh) == CORNER_COLOURS
    assert mesh.source == "a.ply"


def test_ascii_ply_with_uv_per_face(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture.png")
    header = [
        "comment TextureFile picture.png",
        *VERTEX_XYZ,
        *FACE_LIST,
        "property list uchar float texcoord",
    ]
    uv = [" ".join(f"{value:g}" for value in SQUARE_UV[face].ravel()) for face in SQUARE_FACES]
    faces = [f"{face} 6 {coordinates}" for face, coordinates in zip(FACE_ROWS, uv, strict=True)]
    (tmp_path / "a.ply").write_text(ascii_ply(header, square_rows(1000 * SQUARE_M), faces))
    assert corner_colours(load_mesh(tmp_path / "a.ply", "mm")) == CORNER_COLOURS


def test_obj_with_material(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nKd 1 1 1\nmap_Kd picture.png\n")
    lines = ["mtllib a.mtl", "usemtl paint"]
    lines += [f"v {x} {y} {z}" for x, y, z in SQUARE_M] + [f"vt {u} {v}" for u, v in SQUARE_UV]
    lines += ["f 1/1 2/2 3/3", "f 1/1 3/3 4/4"]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    assert corner_colours(load_mesh(tmp_path / "a.obj", "m")) == CORNER_COLOURS


def square_scene(shift_m: tuple[float, float, float]) -> trimesh.Scene:
    """The square under a node that moves it; trimesh writes glTF's own, top-down texture coordinates."""
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=Image.fromarray(FOUR_COLOURS))
    visual = trimesh.visual.TextureVisuals(uv=SQUARE_UV, material=material)
    scene = trimesh.Scene()
    square = trimesh.Trimesh(SQUARE_M, SQUARE_FACES, process=False, visual=visual)
    scene.add_geometry(square, transform=trimesh.transformations.translation_matrix(shift_m))
    return scene


def test_glb_follows_its_scene_graph_and_turns_texture_rows(tmp_path: Path) -> None:
    content = square_scene((0.5, 0.0, 0.0)).export(file_type="glb")
    (tmp_path / "a.glb").write_bytes(content)
    length = struct.unpack("<I", content[12:16])[0]
    tree = json.loads(content[20 : 20 + length])
    assert tree["nodes"], "the file has a scene graph to follow"
    mesh = load_mesh(tmp_path / "a.glb", "m")
    assert corner_colours(mesh) == {(x + 0.5, y): rgb for (x, y), rgb in CORNER_COLOURS.items()}


def test_gltf_with_files_beside_it(tmp_path: Path) -> None:
    for name, content in square_scene((0.0, 0.0, 0.0)).export(file_type="gltf").items():
        (tmp_path / name).write_bytes(content)
    path = next(tmp_path.glob("*.gltf"))
    assert corner_colours(load_mesh(path, "m")) == CORNER_COLOURS


def test_ply_written_and_read_is_the_same(tmp_path: Path) -> None:
    mesh = textured_square()
    save_mesh_ply(mesh, tmp_path / "obj_000001.ply")
    assert np.array_equal(cv2.imread(str(tmp_path / "obj_000001.png"))[..., ::-1], FOUR_COLOURS)
    assert b"comment TextureFile obj_000001.png" in (tmp_path / "obj_000001.ply").read_bytes()
    again = load_mesh(tmp_path / "obj_000001.ply", "mm")
    np.testing.assert_allclose(again.triangles_m, mesh.triangles_m, atol=1e-8)
    assert np.array_equal(again.corner_uv, mesh.corner_uv)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["obj_000001.ply", "obj_000001.png"]


def test_another_reader_takes_what_was_written(tmp_path: Path) -> None:
    """trimesh reads the texture at the same corners, and the vertex colours."""
    save_mesh_ply(textured_square(), tmp_path / "a.ply")
    read = trimesh.load_mesh(tmp_path / "a.ply", process=False)
    found = {
        (round(float(x), 6), round(float(y), 6)): tuple(
            FOUR_COLOURS[min(int((1 - v) * 2), 1), min(int(u * 2), 1)].tolist()
        )
        for (x, y, _), (u, v) in zip(read.vertices / 1000, read.visual.uv, strict=True)
    }
    assert found == CORNER_COLOURS
    assert np.array_equal(np.asarray(read.visual.material.image), FOUR_COLOURS)
    save_mesh_ply(coloured_square(), tmp_path / "b.ply")
    other = trimesh.load_mesh(tmp_path / "b.ply", process=False)
    assert np.array_equal(other.visual.vertex_colors[:, :3], coloured_square().vertex_rgb)


def test_ply_with_vertex_colours_written_and_read(tmp_path: Path) -> None:
    save_mesh_ply(coloured_square(), tmp_path / "a.ply")
    again = load_mesh(tmp_path / "a.ply", "mm")
    assert again.texture is None
    assert np.array_equal(again.vertex_rgb, coloured_square().vertex_rgb)


def test_face_colours_become_separate_vertices(tmp_path: Path) -> None:
    header = [*VERTEX_XYZ, *FACE_LIST, *RGB]
    faces = [
        f"{row} {' '.join(map(str, colour))}" for row, colour in zip(FACE_ROWS, (RED, BLUE), strict=True)
    ]
    (tmp_path / "a.ply").write_text(ascii_ply(header, square_rows(SQUARE_M), faces))
    mesh = load_mesh(tmp_path / "a.ply", "m")
    assert mesh.vertex_rgb is not None
    assert mesh.vertex_rgb[mesh.faces].tolist() == [[list(RED)] * 3, [list(BLUE)] * 3]


def test_two_materials_share_one_texture(tmp_path: Path) -> None:
    write_picture(tmp_path / "picture.png")
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd picture.png\nnewmtl plain\nKd 0 1 0\n")
    lines = [
        "mtllib a.mtl",
        *(f"v {x} {y} {z}" for x, y, z in SQUARE_M),
        *(f"vt {u} {v}" for u, v in SQUARE_UV),
    ]
    lines += ["usemtl paint", "f 1/1 2/2 3/3", "usemtl plain", "f 1/1 3/3 4/4"]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    mesh = load_mesh(tmp_path / "a.obj", "m")
    assert mesh.texture is not None
    assert mesh.corner_uv is not None
    colours = [sample_texture(mesh.texture, uv) for uv in mesh.corner_uv]
    below = [bool((triangle[:, 1] == 0).sum() == 2) for triangle in mesh.triangles_m]
    assert np.array_equal(colours[below.index(False)], np.tile(GREEN, (3, 1)))
    assert sorted(map(tuple, colours[below.index(True)].tolist())) == sorted([BLUE, WHITE, GREEN])


def test_missing_texture_falls_back_to_vertex_colours_with_a_warning(tmp_path: Path) -> None:
    header = ["comment TextureFile gone.png", *VERTEX_XYZ, *TEXTURE_UV]
    header += RGB
    rgb = np.array([BLUE, WHITE, GREEN, RED])
    (tmp_path / "a.ply").write_text(
        ascii_ply([*header, *FACE_LIST], square_rows(SQUARE_M, SQUARE_UV, rgb), FACE_ROWS)
    )
    with pytest.warns(UserWarning, match=r"gone\.png is named but not there") as caught:
        mesh = load_mesh(tmp_path / "a.ply", "m")
    assert len(caught) == 1
    assert mesh.texture is None
    assert np.array_equal(mesh.vertex_rgb, rgb)


def test_missing_texture_without_other_colour(tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl paint\nmap_Kd gone.png\n")
    lines = ["mtllib a.mtl", "usemtl paint", *(f"v {x} {y} {z}" for x, y, z in SQUARE_M)]
    lines += [*(f"vt {u} {v}" for u, v in SQUARE_UV), "f 1/1 2/2 3/3"]
    (tmp_path / "a.obj").write_text("\n".join(lines) + "\n")
    with pytest.warns(UserWarning, match="gone"):
        assert not load_mesh(tmp_path / "a.obj", "m").has_colour


def test_shape_without_colour_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(ascii_ply([*VERTEX_XYZ, *FACE_LIST], square_rows(SQUARE_M), FACE_ROWS))
    mesh = load_mesh(tmp_path / "a.ply", "m")
    assert not mesh.has_colour
    assert mesh.diameter_m == pytest.approx(0.1 * np.sqrt(2))


@pytest.mark.parametrize(("unit", "expected"), [("mm", "5e-05 m|0.0001 m"), ("m", "100 m")])
def test_wrong_unit_says_what_to_pass(tmp_path: Path, unit: str, expected: str) -> None:
    scale = 1.0 if unit == "mm" else 1000.0
    rows = square_rows(scale * SQUARE_M)
    (tmp_path / "a.ply").write_text(ascii_ply([*VERTEX_XYZ, *FACE_LIST], rows, FACE_ROWS))
    with pytest.raises(MeshError, match=rf"({expected}) large.*--model-unit"):
        load_mesh(tmp_path / "a.ply", unit)  # pyright: ignore[reportArgumentType]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(MeshError, match=r"nothing\.ply does not exist"):
        load_mesh(tmp_path / "nothing.ply", "m")


def test_unknown_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.blend").write_bytes(b"x")
    with pytest.raises(MeshError, match=r"cannot read \.blend, expected \.ply, \.obj"):
        load_mesh(tmp_path / "a.blend", "m")


@pytest.mark.parametrize("name", ["a.ply", "a.glb", "a.stl"])
def test_corrupt_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"ply\nthis is no mesh at all" * 4)
    with pytest.raises(MeshError, match=r"unreadable mesh|no faces"):
        load_mesh(tmp_path / name, "m")


def test_cut_off_ply(tmp_path: Path) -> None:
    save_mesh_ply(textured_square(), tmp_path / "a.ply")
    content = (tmp_path / "a.ply").read_bytes()
    (tmp_path / "a.ply").write_bytes(content[:-20])
    with pytest.raises(MeshError, match=r"a\.ply"):
        load_mesh(tmp_path / "a.ply", "mm")


def test_points_without_faces(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(ascii_ply(VERTEX_XYZ, square_rows(SQUARE_M), []))
    with pytest.raises(MeshError, match="no faces"):
        load_mesh(tmp_path / "a.ply", "m")


def test_face_of_a_vertex_that_is_not_there(tmp_path: Path) -> None:
    faces = ["3 0 1 2", "3 0 2 9"]
    (tmp_path / "a.ply").write_text(ascii_ply([*VERTEX_XYZ, *FACE_LIST], square_rows(SQUARE_M), faces))
    with pytest.raises(MeshError, match=r"a\.ply"):
        load_mesh(tmp_path / "a.ply", "m")


def test_real_ycb_mesh_texture_agrees_with_its_vertex_colours(ycbv_sample: Path) -> None:
    path = ycbv_sample / "models" / "obj_000002.ply"
    mesh = load_mesh(path, "mm")
    info = json.loads((ycbv_sample / "models" / "models_info.json").read_text())["2"]
    assert mesh.diameter_m == pytest.approx(info["diameter"] / 1000, abs=1e-5)
    raw = trimesh.load(path, process=False).metadata["_ply_raw"]["vertex"]["data"]
    stored = {
        (x, y, z, u, v): (r, g, b)
        for x, y, z, u, v, r, g, b in zip(
            *(
                np.ravel(raw[k]).tolist()
                for k in ("x", "y", "z", "texture_u", "texture_v", "red", "green", "blue")
            ),
            strict=True,
        )
    }
    assert mesh.texture is not None
    assert mesh.corner_uv is not None
    looked_up = sample_texture(mesh.texture, np.array([key[3:] for key in stored], np.float32))
    difference = np.abs(looked_up - np.array(list(stored.values()))).mean()
    upside_down = sample_texture(mesh.texture[::-1], np.array([key[3:] for key in stored], np.float32))
    assert difference < 0.3 * np.abs(upside_down - np.array(list(stored.values()))).mean()
