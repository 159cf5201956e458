"""glTF's colour by its specification: factor times texture times vertex colour, linear, wherever a file puts them."""

import base64
import json

import numpy as np
import pytest
from six_colours import (
    LEVELS,
    LINEAR,
    Glb,
    assert_no_colour,
    assert_six_colours,
    atlas,
    atlas_uv,
    downwards,
    encoded,
    per_corner,
    quads,
)

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh


def to_levels(linear: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, written out."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def colours_as(dtype: type, channels: int = 3) -> np.ndarray:
    """Linear vertex colours in one of the number formats that are allowed."""
    linear = np.concatenate([LINEAR, np.ones((6, 1))], axis=1)[:, :channels]
    scale = 1 if dtype is np.float32 else np.iinfo(dtype).max
    return per_corner((linear * scale).round(7 if dtype is np.float32 else 0).astype(dtype))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.uint16])
def test_vertex_colours_of_every_number_format(tmp_path, dtype, channels):
    glb = Glb()
    glb.box(COLOR_0=glb.array(colours_as(dtype, channels), normalized=dtype is not np.float32))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")), tolerance=3)


@pytest.mark.parametrize(
    "material",
    [
        {},
        {"pbrMetallicRoughness": {"metallicFactor": 0}},
        {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 1]}},
    ],
)
def test_vertex_colours_beside_a_white_material(tmp_path, material):
    glb = Glb()
    glb.box(material, COLOR_0=glb.array(colours_as(np.float32)))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_factor_times_vertex_colour(tmp_path):
    glb = Glb()
    factor = np.array([0.8, 0.5, 0.2])
    material = {"pbrMetallicRoughness": {"baseColorFactor": [*factor, 1]}}
    glb.box(material, COLOR_0=glb.array(colours_as(np.uint16), normalized=True))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")), to_levels(LINEAR * factor))


@pytest.mark.parametrize("factor", [(0.5, 0.5, 0.5), (0.9, 0.3, 0.6)])
def test_factor_times_texture_grey_or_not(tmp_path, factor):
    glb = Glb()
    glb.textured_box()
    glb.content["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [*factor, 1]
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")), to_levels(LINEAR * factor))


def test_texture_times_varying_vertex_colours_is_baked(tmp_path):
    """Half the light on three faces, all of it on the others; the texture varies, too."""
    glb = Glb()
    light = np.array([0.5, 0.5, 0.5, 1, 1, 1])[:, None].repeat(3, 1)
    glb.textured_box()
    colour = glb.array(per_corner(light).astype(np.float32))
    glb.content["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"] = colour
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert_six_colours(mesh, to_levels(LINEAR * light))
    assert mesh.texture is not None


def test_a_white_texture_leaves_vertex_colours(tmp_path):
    glb = Glb()
    primitive = glb.textured_box(np.full((8, 8, 3), 255, np.uint8))
    primitive["attributes"]["COLOR_0"] = glb.array(colours_as(np.float32))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


@pytest.mark.parametrize(
    "transform",
    [
        {"offset": [0.5, 0.25], "scale": [0.5, 0.75]},
        {"rotation": np.pi / 2},
        {"offset": [0.3, -0.2], "rotation": -0.7, "scale": [2.0, 0.5]},
    ],
)
def test_texture_transform(tmp_path, transform):
    """Stored are the coordinates that the transform moves to the atlas; its matrix as in glTF issue 1563:
    u' = c su u + s sv v + du, v' = -s su u + c sv v + dv, v downwards.
    """
    c, s = np.cos(transform.get("rotation", 0)), np.sin(transform.get("rotation", 0))
    su, sv = transform.get("scale", (1, 1))
    matrix = np.array([[c * su, s * sv], [-s * su, c * sv]])
    wanted = downwards(atlas_uv()) - transform.get("offset", (0, 0))
    stored = (np.linalg.inv(matrix) @ wanted.T).T
    glb = Glb()
    glb.content["extensionsUsed"] = ["KHR_texture_transform"]
    stored[:, 1] = 1 - stored[:, 1]
    glb.textured_box(uv=stored, extensions={"KHR_texture_transform": transform})
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


@pytest.mark.parametrize("by", ["texture reference", "transform"])
def test_second_set_of_coordinates(tmp_path, by):
    glb = Glb()
    info = (
        {"texCoord": 1}
        if by == "texture reference"
        else {"extensions": {"KHR_texture_transform": {"texCoord": 1}}}
    )
    primitive = glb.textured_box(uv=np.zeros((6, 4, 2)), **info)
    primitive["attributes"]["TEXCOORD_1"] = glb.array(downwards(atlas_uv()))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_texture_coordinates_as_whole_numbers(tmp_path, dtype):
    glb = Glb()
    primitive = glb.textured_box()
    whole = (downwards(atlas_uv()) * np.iinfo(dtype).max).round().astype(dtype)
    primitive["attributes"]["TEXCOORD_0"] = glb.array(whole, normalized=True)
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


@pytest.mark.parametrize(("mode", "name"), [(10497, "repeat"), (33648, "mirror"), (None, "default")])
def test_coordinates_outside_wrap_as_the_sampler_says(tmp_path, mode, name):
    """Two to the right and one down: by repeating the same cells; by mirroring, those flipped upside down."""
    uv = atlas_uv() + np.array([2, -1])
    if name == "mirror":
        uv[..., 1] = -atlas_uv()[..., 1]
    glb = Glb()
    glb.textured_box(uv=uv)
    if mode is not None:
        glb.content["samplers"] = [{"wrapS": mode, "wrapT": mode}]
        glb.content["textures"][0]["sampler"] = 0
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_clamped_coordinates_take_the_border(tmp_path):
    """Faces far off to the left and above get the atlas's first column and first row: its upper left colour."""
    glb = Glb()
    glb.textured_box(uv=np.broadcast_to(np.array([-2.5, 3.5]), (6, 4, 2)).copy())
    glb.content["samplers"] = [{"wrapS": 33071, "wrapT": 33071}]
    glb.content["textures"][0]["sampler"] = 0
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")), np.tile(LEVELS[0], (6, 1)))


def test_specular_glossiness_and_unlit_materials(tmp_path):
    glb = Glb()
    glb.textured_box()
    info = glb.content["materials"][0]["pbrMetallicRoughness"].pop("baseColorTexture")
    glb.content["materials"][0] = {
        "extensions": {
            "KHR_materials_pbrSpecularGlossiness": {"diffuseTexture": info, "diffuseFactor": [1, 1, 1, 1]}
        }
    }
    glb.content["extensionsRequired"] = ["KHR_materials_pbrSpecularGlossiness"]
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))
    unlit = Glb()
    unlit.textured_box()
    unlit.content["materials"][0]["extensions"] = {"KHR_materials_unlit": {}}
    unlit.content["extensionsRequired"] = ["KHR_materials_unlit"]
    assert_six_colours(load_mesh(unlit.write(tmp_path / "b.glb")))


def test_what_glows_on_black_is_its_colour(tmp_path):
    glb = Glb()
    glb.textured_box()
    info = glb.content["materials"][0]["pbrMetallicRoughness"].pop("baseColorTexture")
    glb.content["materials"][0] = {
        "pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1]},
        "emissiveFactor": [1, 1, 1],
        "emissiveTexture": info,
    }
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_primitives_with_a_material_each(tmp_path):
    """Texture, factor, vertex colours and nothing (white) side by side."""
    glb = Glb()
    whole = glb.textured_box()
    index = np.array(
        [[4 * k + corner for face in ((0, 1, 2), (0, 2, 3)) for corner in face] for k in range(6)]
    )
    glb.content["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [*LINEAR[1], 1]}})
    position = {"POSITION": whole["attributes"]["POSITION"]}
    colour = {**position, "COLOR_0": glb.array(colours_as(np.float32))}
    glb.content["meshes"][0]["primitives"] = [
        {**whole, "indices": glb.array(index[0].astype(np.uint16))},
        {"attributes": position, "indices": glb.array(index[1].astype(np.uint8)), "material": 1},
        {"attributes": colour, "indices": glb.array(index[2:5].ravel().astype(np.uint32))},
        {"attributes": position, "indices": glb.array(index[5].astype(np.uint16))},
    ]
    expected = np.concatenate([LEVELS[:5], [[255, 255, 255]]])
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")), expected)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "palette"])
@pytest.mark.parametrize("place", ["embedded", "data", "beside"])
def test_images_of_every_kind_and_place(tmp_path, kind, place):
    if kind == "palette":
        from PIL import Image

        Image.fromarray(atlas()).quantize(8).save(tmp_path / "palette.png")
        data = (tmp_path / "palette.png").read_bytes()
    else:
        data = encoded(atlas(), kind, **({} if kind == "PNG" else {"quality": 95}))
    glb = Glb()
    glb.textured_box()
    if place == "embedded":
        glb.content["images"] = [{"bufferView": glb.view(data)}]
    elif place == "data":
        text = base64.b64encode(data).decode()
        glb.content["images"] = [{"uri": f"data:image/x;base64,{text}"}]
    else:
        (tmp_path / "an image.bin").write_bytes(data)
        glb.content["images"] = [{"uri": "an%20image.bin"}]
    if kind == "WEBP":
        glb.content["textures"] = [{"extensions": {"EXT_texture_webp": {"source": 0}}}]
        glb.content["extensionsRequired"] = ["EXT_texture_webp"]
    assert_six_colours(
        load_mesh(glb.write(tmp_path / "a.glb")), tolerance=8 if kind in ("JPEG", "WEBP") else 2
    )


def test_a_ktx2_texture_is_named_and_colours_are_unknown(tmp_path):
    glb = Glb()
    glb.textured_box()
    glb.content["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.8, 0.1, 0.1, 1]
    glb.content["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]
    glb.content["extensionsRequired"] = ["KHR_texture_basisu"]
    with pytest.warns(UserWarning, match=r"its texture is compressed as KTX2 \(KHR_texture_basisu\)"):
        mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert_no_colour(mesh)
    assert mesh.lacks_texture


def test_a_png_beside_a_ktx2_texture_is_read(tmp_path, recwarn):
    glb = Glb()
    glb.textured_box()
    glb.content["textures"] = [{"source": 0, "extensions": {"KHR_texture_basisu": {"source": 1}}}]
    glb.content["images"].append(
        {"bufferView": glb.view(b"\xabKTX 20\xbb\r\n\x1a\n"), "mimeType": "image/ktx2"}
    )
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))
    assert not recwarn


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("torn", r"images\[0\] cannot be read"),
        ("ktx2", r"images\[0\] cannot be read \(KTX2 is not read, expected PNG or JPEG\)"),
        ("gone", r"gone\.png is named but not there"),
        ("elsewhere", r"https://example\.org/a\.png is named but not there"),
        ("no coordinates", r"faces with a texture have no TEXCOORD_0"),
        ("no image", r"a texture is given by no image"),
        ("other extension", r"a texture is given by XYZ_texture"),
        ("other material", r"its colours are in KHR_techniques_webgl, which is not read"),
    ],
)
def test_a_texture_that_cannot_be_had_is_no_colour(tmp_path, damage, message):
    """Neither the factor nor vertex colours stand in: each would be multiplied by what is not known."""
    glb = Glb()
    primitive = glb.textured_box()
    primitive["attributes"]["COLOR_0"] = glb.array(colours_as(np.float32))
    glb.content["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [0.8, 0.1, 0.1, 1]
    if damage == "torn":
        glb.content["images"] = [{"bufferView": glb.view(encoded(atlas())[:60])}]
    elif damage == "ktx2":
        glb.content["images"] = [{"bufferView": glb.view(b"\xabKTX 20\xbb\r\n\x1a\n" + bytes(80))}]
    elif damage in ("gone", "elsewhere"):
        glb.content["images"] = [{"uri": "gone.png" if damage == "gone" else "https://example.org/a.png"}]
    elif damage == "no coordinates":
        primitive["attributes"].pop("TEXCOORD_0")
    elif damage == "no image":
        glb.content["textures"] = [{}]
    elif damage == "other extension":
        glb.content["textures"] = [{"extensions": {"XYZ_texture": {"source": 0}}}]
    elif damage == "other material":
        glb.content["materials"] = [{"extensions": {"KHR_techniques_webgl": {}}}]
    with pytest.warns(UserWarning, match=message):
        mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert_no_colour(mesh)


def test_colours_of_the_rest_are_unknown_with_those_of_a_large_part(tmp_path):
    """A lid whose texture is missing must not be compared as grey."""
    glb = Glb()
    glb.textured_box()
    glb.content["images"].append({"uri": "lid.png"})
    glb.content["textures"].append({"source": 1})
    glb.content["materials"].append({"pbrMetallicRoughness": {"baseColorTexture": {"index": 1}}})
    whole = glb.content["meshes"][0]["primitives"][0]
    lid = np.array([0, 1, 2, 0, 2, 3], np.uint16)
    rest = np.array(
        [4 * k + corner for k in range(1, 6) for face in ((0, 1, 2), (0, 2, 3)) for corner in face]
    )
    glb.content["meshes"][0]["primitives"] = [
        {**whole, "indices": glb.array(lid), "material": 1},
        {**whole, "indices": glb.array(rest.astype(np.uint16))},
    ]
    with pytest.warns(UserWarning, match=r"lid\.png is named but not there") as caught:
        mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert "none of its colours are used" in str(caught[-1].message)
    assert_no_colour(mesh)


@pytest.mark.parametrize("material", [None, {}, {"pbrMetallicRoughness": {"metallicFactor": 0}}])
def test_a_material_that_says_nothing_is_no_colour(tmp_path, material):
    glb = Glb()
    glb.box(material)
    assert_no_colour(load_mesh(glb.write(tmp_path / "a.glb")))


def test_transparency_is_named(tmp_path):
    glb = Glb()
    glb.textured_box()
    glb.content["materials"][0]["alphaMode"] = "BLEND"
    with pytest.warns(UserWarning, match="a material is transparent .*taken as opaque"):
        assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_an_alpha_of_zero_leaves_the_colour_of_an_opaque_texture(tmp_path):
    glb = Glb()
    glb.textured_box(np.concatenate([atlas(), np.zeros((*atlas().shape[:2], 1), np.uint8)], axis=2))
    assert_six_colours(load_mesh(glb.write(tmp_path / "a.glb")))


def test_a_file_that_requires_what_is_not_read_says_so(tmp_path):
    glb = Glb()
    glb.box()
    glb.content["extensionsRequired"] = ["XYZ_other_geometry"]
    with pytest.raises(MeshError, match="requires the glTF extension XYZ_other_geometry, which is not read"):
        load_mesh(glb.write(tmp_path / "a.glb"))


def test_gltf_of_version_one_is_named(tmp_path):
    (tmp_path / "a.gltf").write_text(json.dumps({"asset": {"version": "1.0"}, "meshes": {}}))
    with pytest.raises(MeshError, match=r"glTF 1\.0 is not read, expected 2\.0"):
        load_mesh(tmp_path / "a.gltf")


@pytest.mark.parametrize(
    ("hidden", "is_seen"),
    [
        ({"alphaMode": "BLEND", "alpha": 0}, False),
        ({"alphaMode": "MASK", "alpha": 0.4}, False),
        ({"alphaMode": "MASK", "alpha": 0.4, "alphaCutoff": 0.3}, True),
        ({"alphaMode": "BLEND", "alpha": 0.1}, True),
        ({"alpha": 0}, True),
    ],
)
@pytest.mark.filterwarnings("ignore:.*transparent")
def test_a_surface_that_its_alpha_hides_is_left_out(tmp_path, hidden, is_seen):
    """A plane of shadows ten times the box; OPAQUE ignores alpha."""
    glb = Glb()
    glb.textured_box()
    more = {key: value for key, value in hidden.items() if key != "alpha"}
    plane = glb.box({"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, hidden["alpha"]]}, **more})
    plane["attributes"]["POSITION"] = glb.array((10 * quads().reshape(-1, 3)).astype(np.float32))
    mesh = load_mesh(glb.write(tmp_path / "a.glb"))
    assert len(mesh.faces) == (24 if is_seen else 12)
    if not is_seen:
        assert_six_colours(mesh)
