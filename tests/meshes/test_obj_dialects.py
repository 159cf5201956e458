"""OBJ and MTL files as people have them: names, options, paths, letter case, colours behind positions."""

import numpy as np
import pytest
from PIL import Image
from six_colours import (
    LEVELS,
    TRIANGLES,
    assert_no_colour,
    assert_six_colours,
    atlas,
    atlas_uv,
    encoded,
    per_corner,
    quads,
    write_atlas,
)

from selfpose6d.errors import MeshError
from selfpose6d.meshes.io import load_mesh

QUAD = ((0, 1, 2, 3),)
MTL = "newmtl paint\nKa 1 1 1\nKd 1 1 1\nmap_Kd {}\n"


def box_obj(
    head: str = "mtllib a.mtl",
    use=lambda k: "usemtl paint" if k == 0 else "",
    uv: np.ndarray | None = None,
    rgb: np.ndarray | None = None,
    polygons=TRIANGLES,
    with_uv: bool = True,
) -> str:
    """The box; `use(k)` is the line before face k, `rgb` stands behind the positions."""
    lines = [head]
    colours = (
        [""] * 24 if rgb is None else [" " + " ".join(f"{x:.6g}" for x in row) for row in per_corner(rgb)]
    )
    positions = quads().reshape(-1, 3)
    lines += [
        "v " + " ".join(f"{x:.6f}" for x in point) + more
        for point, more in zip(positions, colours, strict=True)
    ]
    coordinates = (atlas_uv() if uv is None else uv).reshape(-1, 2)
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in coordinates] if with_uv else []
    for k in range(6):
        lines.append(use(k))
        for polygon in polygons:
            indices = [4 * k + corner + 1 for corner in polygon]
            lines.append("f " + " ".join(f"{i}/{i}" if with_uv else str(i) for i in indices))
    return "\n".join(lines) + "\n"


def write(tmp_path, obj: str, mtl: str | None = None, image: str | None = "box.png"):
    (tmp_path / "a.obj").write_text(obj)
    if mtl is not None:
        (tmp_path / "a.mtl").write_text(mtl)
    if image is not None:
        write_atlas(tmp_path / image)
    return tmp_path / "a.obj"


@pytest.mark.parametrize(
    ("statement", "image"),
    [
        ("box.png", "box.png"),
        ('"my box.png"', "my box.png"),
        ("my box.png", "my box.png"),
        ("-s 1 1 1 box.png", "box.png"),
        ("-s 1 box.png", "box.png"),
        ("-o 0 0 -s 1 1 my box.png", "my box.png"),
        ("-bm 1.0 -blendu on -blendv off -cc on -imfchan l -texres 512 box.png", "box.png"),
        ("-clamp on box.png", "box.png"),
        ("-mm 0 1 box.png", "box.png"),
        ("-s 1 1 1 7.png", "7.png"),
        ("-colorspace sRGB box.png", "box.png"),
        ("textures\\box.png", "textures/box.png"),
        (".\\textures\\box.png", "textures/box.png"),
        ("./textures//box.png", "textures/box.png"),
        ("C:\\Users\\me\\scan\\box.png", "box.png"),
        ("C:\\Users\\me\\scan\\textures\\box.png", "textures/box.png"),
        ("\\\\server\\share\\box.png", "box.png"),
        ("/home/me/gone/box.png", "box.png"),
        ("BOX.PNG", "box.png"),
        ("Textures/Box.png", "textures/BOX.PNG"),
        ("Schachtel_blå.png", "Schachtel_blå.png"),
        ("box.png   ", "box.png"),
        ("box.tga", "box.tga"),
        ("box.bmp", "box.bmp"),
        ("box.tif", "box.tif"),
        ("box.webp", "box.webp"),
        ("box.gif", "box.gif"),
    ],
)
def test_names_and_options_of_images(tmp_path, statement, image):
    path = write(tmp_path, box_obj(), MTL.format(statement), image)
    assert_six_colours(load_mesh(path, "m"), tolerance=12 if image.endswith("webp") else 3)


def test_scale_and_offset_move_the_image(tmp_path):
    """uv * s + o, as Blender and three.js read and write them."""
    path = write(
        tmp_path,
        box_obj(uv=(atlas_uv() - (0.3, -0.1)) / (2.0, 0.5)),
        MTL.format("-s 2 0.5 1 -o 0.3 -0.1 box.png"),
    )
    assert_six_colours(load_mesh(path, "m"))


def test_base_and_gain_change_its_levels(tmp_path):
    path = write(tmp_path, box_obj(), MTL.format("-mm 0.1 0.5 box.png"))
    assert_six_colours(load_mesh(path, "m"), 25.5 + 0.5 * LEVELS)


def test_coordinates_outside_are_repeated_or_clamped(tmp_path):
    path = write(tmp_path, box_obj(uv=atlas_uv() + np.array([-3, 2])), MTL.format("box.png"))
    assert_six_colours(load_mesh(path, "m"))
    path = write(tmp_path, box_obj(uv=np.tile((1.5, -0.5), (6, 4, 1))), MTL.format("-clamp on box.png"))
    assert_six_colours(load_mesh(path, "m"), np.tile(LEVELS[5], (6, 1)))


@pytest.mark.parametrize("factor", [(0.8, 0.8, 0.8), (0.9, 0.5, 0.2)])
def test_diffuse_colour_times_image(tmp_path, factor):
    mtl = f"newmtl paint\nKd {' '.join(map(str, factor))}\nmap_Kd box.png\n"
    assert_six_colours(load_mesh(write(tmp_path, box_obj(), mtl), "m"), LEVELS * np.array(factor))


def test_black_beside_an_image_is_a_default(tmp_path):
    assert_six_colours(load_mesh(write(tmp_path, box_obj(), "newmtl paint\nKd 0 0 0\nmap_Kd box.png\n"), "m"))


@pytest.mark.parametrize(
    "mtl",
    [
        "newmtl paint\nKd 1 1 1\nmap_Ka box.png\n",
        "newmtl paint\nMAP_KD box.png\n",
        "newmtl paint\n\tmap_kd\tbox.png\n",
        "newmtl PAINT\nmap_Kd box.png\n",
        "newmtl other\nmap_Kd gone.png\nnewmtl paint\nmap_Kd box.png\n",
        "newmtl paint # a comment\n".replace(" # a comment", "")
        + "# map_Kd gone.png\nmap_Kd box.png\nd 0.0\nTr 1\n",
        "\ufeffnewmtl paint\r\nmap_Kd box.png\r\n",
        "newmtl paint\nmap_Kd box.png\nmap_Bump gone.png\nmap_d gone.png\nbump -bm 2 gone.png\n",
    ],
)
def test_materials_written_in_other_ways(tmp_path, mtl, recwarn):
    assert_six_colours(load_mesh(write(tmp_path, box_obj(), mtl), "m"))
    assert not recwarn


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("mtllib my materials.mtl", ["my materials.mtl"]),
        ("mtllib gone.mtl b.mtl", ["b.mtl"]),
        ("mtllib b.mtl\nmtllib a.mtl", ["a.mtl"]),
        ('mtllib "a.mtl"', ["a.mtl"]),
        ("mtllib ./A.MTL", ["a.mtl"]),
        ("mtllib sub\\a.mtl", ["sub/a.mtl"]),
        ("\ufeffmtllib a.mtl", ["a.mtl"]),
        ("mtllib \\\na.mtl", ["a.mtl"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*is named but not there")
def test_material_libraries(tmp_path, head, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(MTL.format("box.png"))
    path = write(tmp_path, box_obj(head))
    assert_six_colours(load_mesh(path, "m"))


def test_an_image_beside_its_library(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.mtl").write_text(MTL.format("box.png"))
    path = write(tmp_path, box_obj("mtllib sub/a.mtl"), None, "sub/box.png")
    assert_six_colours(load_mesh(path, "m"))


def test_names_of_materials_with_blanks(tmp_path):
    mtl = "".join(
        f"newmtl face number {k}\nKd {' '.join(f'{x / 255:.5f}' for x in LEVELS[k])}\n" for k in range(6)
    )
    path = write(tmp_path, box_obj(use=lambda k: f"usemtl face number {k}"), mtl, None)
    assert_six_colours(load_mesh(path, "m"))


def test_a_material_each_with_an_image_of_its_own_size(tmp_path):
    for k in range(6):
        Image.fromarray(np.full((3 + k, 9 - k, 3), LEVELS[k])).save(tmp_path / f"{k}.png")
    mtl = "".join(f"newmtl m{k}\nmap_Kd {k}.png\n" for k in range(6))
    path = write(tmp_path, box_obj(use=lambda k: f"usemtl m{k}"), mtl, None)
    assert_six_colours(load_mesh(path, "m"))


@pytest.mark.parametrize("scale", [1 / 255, 1.0])
@pytest.mark.parametrize("with_uv", [True, False])
def test_colours_behind_positions(tmp_path, scale, with_uv):
    path = write(tmp_path, box_obj("", lambda k: "", rgb=LEVELS * scale, with_uv=with_uv), None, None)
    assert_six_colours(load_mesh(path, "m"))


def test_colours_behind_positions_beside_a_plain_material(tmp_path):
    path = write(tmp_path, box_obj(rgb=LEVELS / 255), "newmtl paint\nKd 0.8 0.8 0.8\n", None)
    assert_six_colours(load_mesh(path, "m"))


def test_an_image_before_colours_behind_positions(tmp_path):
    path = write(tmp_path, box_obj(rgb=LEVELS[::-1] / 255), MTL.format("box.png"))
    assert_six_colours(load_mesh(path, "m"))
    (tmp_path / "box.png").unlink()
    with pytest.warns(UserWarning, match=r"box\.png is named but not there"):
        assert_six_colours(load_mesh(path, "m"), LEVELS[::-1])


def test_zbrush_polypaint(tmp_path):
    text = "".join("ff{:02x}{:02x}{:02x}".format(*row) for row in per_corner(LEVELS))
    obj = box_obj("", lambda k: "", with_uv=False)
    path = write(tmp_path, obj + f"#MRGB {text[:64]}\n#MRGB {text[64:]}\n", None, None)
    assert_six_colours(load_mesh(path, "m"))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\nf ", "\nf   ").replace(" ", "\t"),
        lambda text: "# a comment\n\ng group\no object\ns off\n" + text + "l 1 2\np 1\n",
        lambda text: text.replace("/", "/").replace("f 1/1 2/2 3/3", "f 1/1 \\\n2/2 3/3"),
        lambda text: text.replace("f 1/1 2/2 3/3", "f 1/1/1 2/2/1 3/3/1 # the first"),
        lambda text: text.replace("f 1/1 2/2 3/3", "f -24/-24 -23/-23 -22/-22"),
    ],
)
def test_lines_written_in_other_ways(tmp_path, change):
    assert_six_colours(load_mesh(write(tmp_path, change(box_obj()), MTL.format("box.png")), "m"))


def test_quads(tmp_path):
    assert_six_colours(load_mesh(write(tmp_path, box_obj(polygons=QUAD), MTL.format("box.png")), "m"))


def test_negative_indices_count_from_where_they_stand(tmp_path):
    """Each face right after its own four corners, as streaming exporters write them."""
    lines = ["mtllib a.mtl", "usemtl paint"]
    for quad, uv in zip(quads(), atlas_uv(), strict=True):
        lines += (
            [f"v {x} {y} {z}" for x, y, z in quad]
            + [f"vt {u} {v}" for u, v in uv]
            + ["f -4/-4 -3/-3 -2/-2 -1/-1"]
        )
    assert_six_colours(load_mesh(write(tmp_path, "\n".join(lines), MTL.format("box.png")), "m"))


def test_the_only_material_is_taken_where_no_face_names_one(tmp_path):
    path = write(tmp_path, box_obj(use=lambda k: ""), MTL.format("box.png"))
    with pytest.warns(UserWarning, match=r"no face names a material \(usemtl\); taking paint"):
        assert_six_colours(load_mesh(path, "m"))


@pytest.mark.parametrize(
    ("obj", "mtl", "message"),
    [
        (box_obj(), MTL.format("gone.png"), r"gone\.png is named but not there"),
        (box_obj(), None, r"a\.mtl is named but not there"),
        (box_obj(), MTL.format("torn.png"), r"torn\.png cannot be read"),
        (
            box_obj(use=lambda k: "usemtl other"),
            MTL.format("box.png"),
            r"material other is used but not there",
        ),
        (box_obj(with_uv=False), MTL.format("box.png"), r"faces with box\.png have no texture coordinates"),
        (box_obj(), MTL.format("-t 0.1 0 0 box.png"), r"the option -t \(turbulence\), which is not read"),
        (
            box_obj(),
            MTL.format("box.exr"),
            r"box\.exr cannot be read \(OpenEXR is not read, expected PNG or JPEG\)",
        ),
    ],
)
def test_a_texture_that_cannot_be_had_is_no_colour(tmp_path, obj, mtl, message):
    (tmp_path / "torn.png").write_bytes(encoded(atlas())[:50])
    (tmp_path / "box.exr").write_bytes(b"v/1\x01" + bytes(100))
    path = write(tmp_path, obj, mtl)
    with pytest.warns(UserWarning, match=message):
        assert_no_colour(load_mesh(path, "m"))


@pytest.mark.parametrize(
    ("mtl", "rgb"),
    [
        ("newmtl paint\nKd 0.8 0.1 0.1\n", (204, 26, 26)),
        ("newmtl paint\nKd 0.5\n", (128, 128, 128)),
        ("newmtl paint\nKd 0.8 0.1 0.1\nmap_Kd \n", (204, 26, 26)),
        ("newmtl paint\nKd spectral paint.rfl\n", None),
        ("newmtl paint\nKd xyz 0.1 0.2 0.3\n", None),
        ("newmtl paint\n", None),
    ],
)
def test_plain_materials(tmp_path, mtl, rgb):
    mesh = load_mesh(write(tmp_path, box_obj(), mtl, None), "m")
    if rgb is None:
        assert_no_colour(mesh)
    else:
        assert_six_colours(mesh, np.tile(rgb, (6, 1)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\nf 1 2 3\n", "a face names vertex 3 of 1"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/1 3/1\n", "texture coordinate 1 of 0"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", "index 0 where 3 are there"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nf -9 1 2\n", "index -9 where 3 are there"),
        ("v 0 0 zero\nf 1 1 1\n", "could not convert string to float: 'zero'"),
        ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "a position has fewer than three numbers"),
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1/1 2 3\n", "texture coordinates at some of its corners only"),
        ("v 0 0 0\n", "no faces"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    with pytest.raises(MeshError, match=message):
        load_mesh(write(tmp_path, text, None, None), "m")
