"""glTF's arrays and nodes: where a box ends up, whichever way a file describes it."""

import json

import numpy as np
import pytest
from six_colours import LINEAR, SIZE_M, Glb, assert_six_colours, per_corner, quads

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh

HALF_TURN_ABOUT_X = [1.0, 0.0, 0.0, 0.0]
"""As glTF writes it: x, y, z, w."""


def coloured_box() -> Glb:
    glb = Glb()
    glb.box(COLOR_0=glb.array(per_corner(LINEAR).astype(np.float32)))
    return glb


def position_of(glb: Glb) -> dict:
    index = glb.content["meshes"][0]["primitives"][0]["attributes"]["POSITION"]
    return glb.content["accessors"][index]


def test_quantised_positions_are_read(tmp_path):
    """KHR_mesh_quantization: signed 16 bits as fractions, the node holds the scale: c -> max(c / 32767, -1)."""
    glb = coloured_box()
    whole = (quads().reshape(-1, 3) / 0.06 * 32767).round().astype(np.int16)
    attributes = glb.content["meshes"][0]["primitives"][0]["attributes"]
    attributes["POSITION"] = glb.array(whole, normalized=True)
    glb.content["nodes"][0]["scale"] = [0.06, 0.06, 0.06]
    glb.content["extensionsRequired"] = ["KHR_mesh_quantization"]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), SIZE_M, rtol=1e-4)


def test_positions_as_whole_numbers_are_read(tmp_path):
    glb = coloured_box()
    attributes = glb.content["meshes"][0]["primitives"][0]["attributes"]
    attributes["POSITION"] = glb.array((quads().reshape(-1, 3) * 1000).round().astype(np.int16))
    glb.content["nodes"][0]["scale"] = [0.001, 0.001, 0.001]
    glb.content["extensionsRequired"] = ["KHR_mesh_quantization"]
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_sparse_positions_replace_some_of_the_stored_ones(tmp_path):
    """The first face is stored collapsed, and put right by the sparse part; without a buffer view all begin at zero."""
    for stored in (True, False):
        glb = coloured_box()
        right = quads().reshape(-1, 3).astype(np.float32)
        wrong = right.copy()
        wrong[:4] = 0
        accessor = glb.array(wrong)
        entry = glb.content["accessors"][accessor]
        replaced = np.arange(4 if stored else 24, dtype=np.uint8)
        if not stored:
            del entry["bufferView"]
        entry["sparse"] = {
            "count": len(replaced),
            "indices": {"bufferView": glb.view(replaced.tobytes()), "componentType": 5121},
            "values": {"bufferView": glb.view(right[replaced].tobytes())},
        }
        glb.content["meshes"][0]["primitives"][0]["attributes"]["POSITION"] = accessor
        assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_interleaved_arrays_are_read(tmp_path):
    glb = Glb()
    table = np.concatenate([quads().reshape(-1, 3), per_corner(LINEAR)], axis=1).astype(np.float32)
    view = glb.view(table.tobytes(), byteStride=24)
    primitive = glb.box()
    for name, offset in (("POSITION", 0), ("COLOR_0", 12)):
        accessor = {
            "bufferView": view,
            "byteOffset": offset,
            "componentType": 5126,
            "count": 24,
            "type": "VEC3",
        }
        glb.content["accessors"].append(accessor)
        primitive["attributes"][name] = len(glb.content["accessors"]) - 1
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


@pytest.mark.parametrize(("mode", "corners"), [(5, (0, 1, 3, 2)), (6, (0, 1, 2, 3)), (4, None)])
def test_strips_fans_and_triangles_without_indices(tmp_path, mode, corners):
    glb = Glb()
    chosen = corners or (0, 1, 2, 0, 2, 3)
    for k in range(6):
        position = glb.array(quads()[k][list(chosen)].astype(np.float32))
        colour = glb.array(np.tile(LINEAR[k], (len(chosen), 1)).astype(np.float32))
        primitive = {"attributes": {"POSITION": position, "COLOR_0": colour}, "mode": mode}
        glb.content["meshes"][0]["primitives"].append(primitive)
    lines = {"attributes": {"POSITION": 0}, "mode": 1}
    glb.content["meshes"][0]["primitives"].append(lines)
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_nodes_move_turn_and_scale_from_the_leaf_to_the_root(tmp_path):
    """Stored at half its height; the root turns it about x and moves it, and that is undone by hand."""
    glb = coloured_box()
    glb.content["nodes"] = [
        {"children": [1], "rotation": HALF_TURN_ABOUT_X, "translation": [0.5, 0.0, 0.0]},
        {"mesh": 0, "scale": [1.0, 1.0, 0.5], "translation": [0.0, 0.0, 0.25]},
    ]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), SIZE_M * (1, 1, 0.5), rtol=1e-5)
    np.testing.assert_allclose(mesh.centre_m, [0.5, 0.0, -0.25], atol=1e-6)
    top = mesh.triangles_m[(mesh.face_normals[:, 2] > 0.9)]
    assert mesh.vertex_rgb is not None
    colour = mesh.vertex_rgb[mesh.faces[mesh.face_normals[:, 2] > 0.9]]
    assert len(top) == 2
    assert (colour == np.array([40, 190, 200])).all(), "what looked down looks up"


def test_a_matrix_is_stored_by_columns(tmp_path):
    glb = coloured_box()
    glb.content["nodes"][0]["matrix"] = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0.1, 0.2, 0.3, 1]
    np.testing.assert_allclose(load_mesh(glb.write(tmp_path / "a.glb")).centre_m, [0.1, 0.2, 0.3], atol=1e-6)


def test_a_mirrored_node_keeps_its_outside_and_its_print(tmp_path):
    """Mirrored back and forth it is the box; the inner node alone turns it inside out."""
    glb = Glb()
    glb.textured_box()
    glb.content["nodes"] = [{"children": [1], "scale": [-1, 1, 1]}, {"mesh": 0, "scale": [-1, 1, 1]}]
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))
    glb.content["nodes"] = [{"mesh": 0, "scale": [-1, 1, 1]}]
    mesh = load_mesh(glb.write(tmp_path / "b.glb"))
    levels = np.array(
        [[40, 170, 60], [200, 40, 40], [50, 70, 200], [220, 200, 40], [190, 60, 180], [40, 190, 200]]
    )
    assert_six_colours(mesh, levels)


def test_a_mesh_that_stands_in_two_places_is_there_twice(tmp_path):
    glb = coloured_box()
    glb.content["nodes"] = [{"mesh": 0}, {"mesh": 0, "translation": [0.2, 0, 0]}, {"mesh": 0}]
    glb.content["scenes"] = [{"nodes": [2]}, {"nodes": [0, 1]}]
    glb.content["scene"] = 1
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert len(mesh.faces) == 24
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), np.add(SIZE_M, (0.2, 0, 0)), rtol=1e-5)


def test_instances_of_the_extension_are_there(tmp_path):
    glb = coloured_box()
    places = np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.3, 0]], np.float32)
    glb.content["nodes"][0]["extensions"] = {
        "EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": glb.array(places)}}
    }
    glb.content["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert len(mesh.faces) == 36
    np.testing.assert_allclose(np.ptp(mesh.vertices_m, axis=0), np.add(SIZE_M, (0.2, 0.3, 0)), rtol=1e-5)


def test_a_hidden_node_is_not_there(tmp_path):
    glb = coloured_box()
    hidden = {"mesh": 0, "translation": [1, 0, 0], "extensions": {"KHR_node_visibility": {"visible": False}}}
    glb.content["nodes"].append(hidden)
    glb.content["scenes"] = [{"nodes": [0, 1]}]
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_morphs_and_skins_are_named(tmp_path):
    glb = coloured_box()
    glb.content["meshes"][0]["weights"] = [0.5]
    glb.content["nodes"][0]["skin"] = 0
    glb.content["skins"] = [{"joints": [0]}]
    with pytest.warns(UserWarning, match="morphed form") as caught:
        assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))
    assert any("skeleton" in str(warning.message) for warning in caught)


def test_buffers_in_files_and_data_uris(tmp_path):
    glb = Glb()
    glb.textured_box()
    (tmp_path / "my data.bin").write_bytes(glb.binary)
    glb.content["buffers"] = [{"byteLength": len(glb.binary), "uri": "my%20data.bin"}]
    (tmp_path / "a.gltf").write_text(json.dumps(glb.content))
    assert_six_colours(load_mesh(tmp_path / "a.gltf"))
    (tmp_path / "my data.bin").unlink()
    with pytest.raises(MeshError, match=r"missing my%20data\.bin"):
        load_mesh(tmp_path / "a.gltf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["nodes"].append({"children": [0]}) or c["nodes"][0].update(children=[1]), "circle"),
        (lambda c: c["accessors"][0].update(count=10**9), "bytes"),
        (
            lambda c: c["accessors"][0].update(count=10**11) or c["accessors"][0].pop("bufferView"),
            "no buffer holds",
        ),
        (lambda c: c["bufferViews"][0].update(byteLength=10**9), "its buffer at"),
        (lambda c: c["nodes"][0].update(mesh=7), r"meshes\[7\] of 1"),
        (lambda c: c["accessors"][0].update(componentType=1), "unreadable mesh"),
        (lambda c: c.update(nodes=3), "unreadable mesh"),
        (lambda c: c["meshes"][0]["primitives"][0].update(mode=0), "no faces"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(tmp_path, change, message):
    glb = Glb()
    glb.box()
    change(glb.content)
    with pytest.raises(MeshError, match=message):
        load_mesh(glb.write(tmp_path / "a.glb"))


def test_compressed_geometry_is_named_where_its_arrays_are_not_stored(tmp_path):
    """A primitive that only Draco holds, in a file that does not say that it requires Draco."""
    glb = coloured_box()
    glb.content["meshes"][0]["primitives"][0]["extensions"] = {
        "KHR_draco_mesh_compression": {"bufferView": 0}
    }
    assert_six_colours(load_mesh(glb.write(tmp_path / "both.glb")))
    del position_of(glb)["bufferView"]
    with pytest.raises(MeshError, match=r"compressed with Draco \(KHR_draco_mesh_compression\)"):
        load_mesh(glb.write(tmp_path / "a.glb"))


def test_a_buffer_that_only_meshopt_fills_is_named(tmp_path):
    glb = coloured_box()
    glb.content["bufferViews"][position_of(glb)["bufferView"]]["buffer"] = 1
    glb.content["buffers"] = [
        {"byteLength": len(glb.binary), "uri": "a.bin"},
        {"byteLength": 10_000, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
    ]
    (tmp_path / "a.bin").write_bytes(glb.binary)
    (tmp_path / "b.gltf").write_text(json.dumps(glb.content))
    with pytest.raises(MeshError, match=r"compressed with meshopt \(EXT_meshopt_compression\)"):
        load_mesh(tmp_path / "b.gltf")


def test_the_same_image_for_two_materials_is_read_for_both(tmp_path):
    glb = Glb()
    first = glb.textured_box()
    glb.content["materials"].append(glb.content["materials"][0])
    glb.content["meshes"][0]["primitives"] = [first, {**first, "material": 1}]
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert len(mesh.faces) == 24
    assert mesh.has_known_colour
