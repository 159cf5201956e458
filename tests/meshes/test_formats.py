"""What each mesh format says of its unit and colours, and what is named where a file cannot be read."""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import trimesh
from step_files import box_step

from selfpose6d.datasets.model_files import SUFFIXES as LISTED_SUFFIXES
from selfpose6d.errors import MeshError, SelfPose6DError, UsageError
from selfpose6d.meshes.io import SUFFIXES, load_mesh
from selfpose6d.meshes.units import METRES_PER_UNIT, Unit

SIZE_M = (0.06, 0.09, 0.12)
CASES = Path(__file__).parents[3] / "shared" / "cases" / "12-mesh-dialects-box"


def box(scale: float = 1.0) -> trimesh.Trimesh:
    return trimesh.creation.box(np.array(SIZE_M) * scale)


def write_glb(path: Path, change=lambda content: None, mesh: trimesh.Trimesh | None = None) -> Path:
    """A GLB of the box whose JSON is changed."""
    blob = (mesh or box()).export(file_type="glb")
    length = struct.unpack("<I", blob[12:16])[0]
    content = json.loads(blob[20 : 20 + length])
    change(content)
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    rest = blob[20 + length :]
    head = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest))
    path.write_bytes(head + struct.pack("<II", len(text), 0x4E4F534A) + text + rest)
    return path


def size_m(path: Path, unit: Unit | None = None) -> np.ndarray:
    return np.ptp(load_mesh(path, unit).vertices_m, axis=0)


def test_every_format_that_is_read_is_found_in_model_folders():
    assert set(SUFFIXES) == set(LISTED_SUFFIXES)


@pytest.mark.parametrize("unit", METRES_PER_UNIT)
@pytest.mark.parametrize("suffix", [".stl", ".off", ".ply", ".obj"])
def test_numbers_are_in_the_unit_that_is_passed(tmp_path, suffix, unit):
    path = tmp_path / f"box{suffix}"
    box(1 / METRES_PER_UNIT[unit]).export(path)
    assert np.allclose(size_m(path, unit), SIZE_M, rtol=1e-5)
    with pytest.raises(
        UsageError, match=rf"{suffix} files do not say their unit\. Pass it, as in unit=\"mm\""
    ):
        load_mesh(path)


@pytest.mark.parametrize("name", ["box.glb", "box.gltf", "BOX.GLB"])
def test_gltf_is_in_metres_unless_said_otherwise(tmp_path, name):
    box().export(tmp_path / name, file_type=name[-4:].lower().strip("."))
    assert np.allclose(size_m(tmp_path / name), SIZE_M, rtol=1e-5)
    box(1000).export(tmp_path / name, file_type=name[-4:].lower().strip("."))
    assert np.allclose(size_m(tmp_path / name, "mm"), SIZE_M, rtol=1e-5)
    with pytest.raises(
        MeshError, match=r"would be 120 m large.* --model-unit mm, cm, m or inch \(unit= in Python\)"
    ):
        load_mesh(tmp_path / name)


@pytest.mark.parametrize(
    ("extension", "name"),
    [
        ("KHR_draco_mesh_compression", "Draco"),
        ("EXT_meshopt_compression", "meshopt"),
    ],
)
def test_compressed_geometry_is_named(tmp_path, extension, name):
    path = write_glb(tmp_path / "box.glb", lambda content: content.update(extensionsRequired=[extension]))
    with pytest.raises(MeshError, match=rf"box\.glb: its geometry is compressed with {name} \({extension}\)"):
        load_mesh(path)
    # a file may carry both forms
    write_glb(path, lambda content: content.update(extensionsUsed=[extension]))
    assert np.allclose(size_m(path), SIZE_M, rtol=1e-5)


def test_the_draco_file_of_google(tmp_path):
    path = CASES / "google-draco_Box_Draco.glb"
    if not path.is_file():
        pytest.skip(f"skipped: no shared cases ({path} does not exist)")
    with pytest.raises(MeshError, match="its geometry is compressed with Draco"):
        load_mesh(path)


def test_a_file_that_is_no_gltf_says_so(tmp_path):
    for name, content in (("a.glb", b"glTF"), ("b.glb", b""), ("c.gltf", b"[]"), ("d.gltf", b"\xff{")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MeshError, match=rf"{name}: (unreadable mesh|no faces)"):
            load_mesh(tmp_path / name)


def test_colours_of_gltf_materials_are_linear(tmp_path):
    """sRGB 188 is half the light: a factor of 0.5 (IEC 61966-2-1)."""

    def colour(content):
        material = {"pbrMetallicRoughness": {"baseColorFactor": [0.5, 0.0, 1.0, 1.0]}}
        content["materials"] = [material]
        content["meshes"][0]["primitives"][0]["material"] = 0

    mesh = load_mesh(write_glb(tmp_path / "box.glb", colour))
    assert mesh.vertex_rgb is not None
    assert np.abs(mesh.vertex_rgb[0].astype(int) - [188, 0, 255]).max() <= 1


@pytest.mark.parametrize("unit", ["mm", "m"])
def test_step_files_say_their_unit_and_keep_frame_and_colour(tmp_path, unit):
    pytest.importorskip("cascadio", reason="skipped: cascadio is not installed (the extra `step`)")
    path = tmp_path / "box.STP"
    size = np.array(SIZE_M) / METRES_PER_UNIT[unit]
    path.write_text(box_step(size, unit, (0.8, 0.2, 0.1)))
    for passed in (None, "inch"):
        mesh = load_mesh(path, passed)
        assert np.allclose(mesh.vertices_m.min(0), 0, atol=1e-6)
        assert np.allclose(mesh.vertices_m.max(0), SIZE_M, rtol=1e-5)
    outward = (mesh.face_normals * (mesh.triangles_m.mean(1) - mesh.centre_m)).sum(1)
    assert outward.min() > 0.02
    assert mesh.vertex_rgb is not None
    assert np.abs(mesh.vertex_rgb[0].astype(int) - [204, 51, 26]).max() <= 3
    path.write_text("nothing")
    with pytest.raises(MeshError, match=r"box\.STP: unreadable STEP file\. Export it again"):
        load_mesh(path)


def test_step_files_without_cascadio_say_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cascadio", None)
    (tmp_path / "box.step").write_text(box_step(SIZE_M, "m"))
    with pytest.raises(
        SelfPose6DError, match=r"STEP files need cascadio\. Install the step extra: pip install 'cascadio"
    ):
        load_mesh(tmp_path / "box.step")
