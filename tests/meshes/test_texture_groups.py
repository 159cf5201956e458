"""An image that many parts of a file use is laid out once, and every part still shows its own piece of it."""

import numpy as np
import pytest
from PIL import Image
from six_colours import LEVELS, Glb, assert_six_colours, atlas, atlas_uv, write_atlas
from test_obj_dialects import MTL, box_obj, write

from selfpose6d.meshes.io import load_mesh
from selfpose6d.meshes.merge import merge_meshes
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.meshes.sampling import sample_texture
from selfpose6d.meshes.tiles import MAX_REPEATS

HALVES = np.tile(np.array([[255, 0, 0], [0, 0, 255]], np.uint8), (8, 1, 1)).repeat(4, axis=1)
"""Red left, blue right; 8 x 8."""


def red_fraction(mesh: Mesh, to_u: float = 1.0) -> float:
    """Along the lower edge of the first face, up to a fraction of it."""
    assert mesh.corner_uv is not None
    assert mesh.texture is not None
    start, end = mesh.corner_uv[0, 0].astype(float), mesh.corner_uv[0, 1].astype(float)
    at = start + (end - start) * np.linspace(0.0005, to_u - 0.0005, 5000)[:, None]
    at[:, 1] = mesh.corner_uv[0].mean(axis=0)[1]
    return float((sample_texture(mesh.texture, at)[:, 0] > 127).mean())


@pytest.mark.parametrize("tint", [1.0, 0.5])
def test_one_material_used_again_and_again(tmp_path, tint):
    """A `usemtl` before every face; the tinted image is there once, too."""
    mtl = MTL.format("box.png").replace("Kd 1 1 1", f"Kd {tint} {tint} {tint}")
    mesh = load_mesh(write(tmp_path, box_obj(use=lambda _: "usemtl paint"), mtl), "m")
    assert mesh.texture is not None
    assert mesh.texture.shape == atlas().shape
    assert_six_colours(mesh, LEVELS * tint)


def test_two_materials_of_one_image_are_stacked_by_their_tint(tmp_path):
    mtl = MTL.format("box.png") + MTL.replace("paint", "same").format("box.png")
    mtl += MTL.replace("paint", "dark").replace("Kd 1 1 1", "Kd .5 .5 .5").format("box.png")
    use = ("usemtl paint", "usemtl same", "usemtl dark", "usemtl paint", "usemtl same", "usemtl dark")
    mesh = load_mesh(write(tmp_path, box_obj(use=lambda k: use[k]), mtl), "m")
    assert mesh.texture is not None
    rows = len(atlas())
    assert mesh.texture.shape[0] < 2 * rows + 20
    # faces are sorted by their group: those of full colour first
    order = np.array([0, 3, 1, 4, 2, 5])
    levels = LEVELS[order] * np.array([1, 1, 1, 1, 0.5, 0.5])[:, None]
    assert mesh.corner_uv is not None
    middle = mesh.corner_uv[::2].mean(axis=1)
    np.testing.assert_allclose(sample_texture(mesh.texture, middle), levels, atol=2)


def test_instances_of_a_gltf_mesh_share_its_image(tmp_path):
    """Ten nodes of two primitives, each with a material of its own and white vertex colours, as Blender writes them."""
    glb = Glb()
    white = glb.array(np.ones((24, 3), np.float32))
    primitive = glb.textured_box()
    primitive["attributes"]["COLOR_0"] = white
    glb.content["materials"].append(glb.content["materials"][0])
    glb.content["meshes"][0]["primitives"].append({**primitive, "material": 1})
    glb.content["nodes"] = [{"mesh": 0, "translation": [0.01 * i, 0, 0]} for i in range(10)]
    glb.content["scenes"] = [{"nodes": list(range(10))}]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert mesh.texture is not None
    assert mesh.texture.shape == atlas().shape
    assert len(mesh.faces) == 10 * 2 * 12
    rgb = sample_texture(mesh.texture, mesh.corner_uv.mean(axis=1))  # pyright: ignore[reportOptionalMemberAccess]
    np.testing.assert_allclose(
        rgb.reshape(20, 6, 2, 3), np.broadcast_to(LEVELS[:, None], (20, 6, 2, 3)), atol=2
    )


def test_merging_stacks_a_shared_texture_once():
    picture = HALVES.copy()
    picture.flags.writeable = False
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    uv = np.array([[[0, 0], [1, 0], [0, 1]]], np.float32)
    part = Mesh(corners, np.array([[0, 1, 2]], np.int32), corner_uv=uv, texture=picture)
    merged = merge_meshes([part] * 5)
    assert merged.texture is not None
    assert merged.texture.shape == (12, 12, 3)
    assert np.ptp(merged.corner_uv, axis=0).max() == 0  # pyright: ignore[reportArgumentType, reportCallIssue]


def strip_obj(tmp_path, u: tuple[float, float], options: str = ""):
    """A rectangle with the halves along it from one u to another."""
    Image.fromarray(HALVES).save(tmp_path / "a.png")
    (tmp_path / "a.mtl").write_text(f"newmtl paint\nmap_Kd {options}a.png\n")
    lines = ["mtllib a.mtl", "v 0 0 0", "v 100 0 0", "v 100 50 0", "v 0 50 0"]
    lines += [f"vt {u[k]} {v}" for k, v in ((0, 0), (1, 0), (1, 1), (0, 1))]
    (tmp_path / "a.obj").write_text(
        "\n".join([*lines, "usemtl paint", "f 1/1 2/2 3/3", "f 1/1 3/3 4/4"]) + "\n"
    )
    return tmp_path / "a.obj"


@pytest.mark.parametrize("repeats", [3, 8, 9, 20, 64])
def test_a_texture_repeats_as_often_as_its_face_says(tmp_path, repeats):
    """Half of every repetition is red: of the first one and a half, two thirds."""
    mesh = load_mesh(strip_obj(tmp_path, (0, repeats)), "mm")
    assert red_fraction(mesh) == pytest.approx(0.5, abs=0.01)
    assert red_fraction(mesh, 1.5 / repeats) == pytest.approx(2 / 3, abs=0.02)


@pytest.mark.parametrize("repeats", [65, 300])
def test_more_repeats_than_can_be_drawn_keep_their_mean_and_are_named(tmp_path, repeats):
    with pytest.warns(UserWarning, match=f"repeats its texture {repeats} times, at most {MAX_REPEATS}"):
        mesh = load_mesh(strip_obj(tmp_path, (0, repeats)), "mm")
    assert red_fraction(mesh) == pytest.approx(0.5, abs=0.01)


def test_a_clamped_decal_keeps_its_size(tmp_path):
    """The image covers one twentieth in the middle; left of it is its left border, red, right of it blue."""
    mesh = load_mesh(strip_obj(tmp_path, (-9.5, 10.5), "-clamp on "), "mm")
    assert red_fraction(mesh) == pytest.approx(0.5, abs=0.01)
    assert red_fraction(mesh, 0.49) == 1.0


def test_faces_of_few_repeats_keep_their_detail(tmp_path):
    """A face of 60 repeats beside the box's atlas: only its own copy is reduced."""
    write_atlas(tmp_path / "box.png")
    size = 1536
    Image.open(tmp_path / "box.png").resize((size, size), Image.Resampling.NEAREST).save(tmp_path / "box.png")
    text = box_obj() + "v 0 0 0\nv 0 .05 0\nv .05 0 0\nvt 0 0\nvt 60 0\nvt 0 60\nf 25/25 26/26 27/27\n"
    (tmp_path / "a.obj").write_text(text)
    (tmp_path / "a.mtl").write_text(MTL.format("box.png"))
    mesh = load_mesh(tmp_path / "a.obj", "m")
    assert mesh.texture is not None
    assert mesh.corner_uv is not None
    cell_px = np.ptp(mesh.corner_uv[0], axis=0) * mesh.texture.shape[1::-1]
    expected_px = np.ptp(atlas_uv()[0][[0, 1, 2]], axis=0) * size
    np.testing.assert_allclose(cell_px, expected_px, rtol=0.02)
