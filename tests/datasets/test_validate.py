"""`validate`: one fault each, named with path, reason and remedy; clean data passes."""

import json
import re
import shutil

import numpy as np
import pytest
from small_roots import (
    CAM_K,
    change_json,
    colour_image,
    cube,
    masks,
    scene_gt_entry,
    write_bop,
    write_capture,
    write_image,
    write_json,
    write_models,
)

from selfpose6d.cli.main import main
from selfpose6d.datasets.doctor.problems import Problem
from selfpose6d.datasets.doctor.validate import Validation, check_sizes
from selfpose6d.datasets.options import DataOptions
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.mesh import Mesh
from selfpose6d.selection import Selection

SCENE = "test/000002"


def find(dataset) -> list[Problem]:
    return [problem for found in Validation(dataset).run() for problem in found]


def problems_of(root, **options) -> list[Problem]:
    return find(DataOptions(root, **options).open(require_model_files=False))


@pytest.fixture
def root(tmp_path):
    return write_bop(tmp_path / "set", {2: 3})


@pytest.mark.parametrize("folder", ["ycbv-sample"])
def test_the_real_sample_is_clean(shared_data, folder, capsys):
    assert main(["validate", str(shared_data / folder)]) == 0
    assert (
        capsys.readouterr().out
        == "ok: 0 errors, 0 warnings in 15 frames, 50 instances, 21 models (bop layout)\n"
    )


def test_the_original_layout_is_clean(shared_data):
    root, models = shared_data / "ycbv-original-layout", shared_data / "ycbv-sample/models"
    assert problems_of(root, split="train", models=models, selection=Selection(objects=(1, 2, 3, 5))) == []


def test_small_roots_are_clean(root, tmp_path):
    assert problems_of(root) == []
    write_models(tmp_path / "models")
    assert problems_of(write_capture(tmp_path / "capture"), models=tmp_path / "models") == []


def write_depth(root, depth):
    write_image(root / SCENE / "depth/000001.png", depth)


def change_cameras(root, **changes):
    change_json(
        root / SCENE / "scene_camera.json", lambda cameras: [c.update(changes) for c in cameras.values()]
    )


def write_text(path, text):
    path.write_text(text)


def duplicate_key(path):
    """A JSON file with its first key twice."""
    content = json.loads(path.read_text())
    key = next(iter(content))
    path.write_text(json.dumps(content).replace("{", f'{{"{key}": {json.dumps(content[key])}, ', 1))


FAULTS = {
    "missing depth": (
        lambda r: (r / SCENE / "depth/000001.png").unlink(),
        r"depth/000001\.png: missing file\. Restore it",
    ),
    "missing colour": (
        lambda r: (r / SCENE / "rgb/000001.png").unlink(),
        r"rgb/000001\.png: missing file\. Restore it",
    ),
    "unreadable PNG": (
        lambda r: (r / SCENE / "rgb/000002.png").write_bytes(b"\x89PNG cut"),
        r"rgb/000002\.png: unreadable image .*Copy or export",
    ),
    "unreadable mask": (
        lambda r: (r / SCENE / "mask_visib/000001_000000.png").write_bytes(b"x"),
        r"000001_000000\.png: unreadable image",
    ),
    "missing mask": (
        lambda r: (r / SCENE / "mask_visib/000001_000000.png").unlink(),
        r"mask_visib/000001_000000\.png: missing file",
    ),
    "mask larger than the image": (
        lambda r: write_image(r / SCENE / "mask_visib/000001_000000.png", np.ones((96, 128), np.uint8)),
        r"000001_000000\.png: 128x96 pixels, but the colour image is 64x48 pixels\. Export it again",
    ),
    "empty mask": (
        lambda r: write_image(r / SCENE / "mask_visib/000001_000000.png", np.zeros((48, 64), np.uint8)),
        r"instance 0 in .*rgb/000001\.png: empty mask of object 1\. Remove the instance",
    ),
    "depth of another size": (
        lambda r: write_depth(r, np.full((24, 32), 500, np.uint16)),
        "depth of .*32x24 pixels, but the colour image is 64x48",
    ),
    "depth saved as a picture": (
        lambda r: write_depth(r, colour_image(0)),
        "expected one channel of 16 bits or float",
    ),
    "depth empty": (lambda r: write_depth(r, np.zeros((48, 64), np.uint16)), "no known depth"),
    "millimetres for metres": (
        lambda r: change_cameras(r, depth_scale=1000),
        r"must be in metres: median \d+\.\d > 20\. Divide a millimetre image by 1000",
    ),
    "metres for millimetres": (lambda r: change_cameras(r, depth_scale=0.001), "nearer than any camera sees"),
    "intrinsics of twice the resolution": (
        lambda r: change_cameras(r, cam_K=[200, 0, 63.5, 0, 200, 47.5, 0, 0, 1]),
        r"intrinsics of another resolution: about 2 times 64x48 pixels\. Scale cam_K",
    ),
    "intrinsics of half the resolution": (
        lambda r: change_cameras(r, cam_K=[50, 0, 15.5, 0, 50, 11.5, 0, 0, 1]),
        r"intrinsics of another resolution: about 0\.48 times",
    ),
    "transposed intrinsics": (
        lambda r: change_cameras(r, cam_K=[100, 0, 0, 0, 100, 0, 31.5, 23.5, 1]),
        r"must have rows .* it is transposed\. Pass its transpose, row by row",
    ),
    "a size that the images do not have": (
        lambda r: change_cameras(r, width=128, height=96),
        r"intrinsics of another resolution: the camera is of 128x96 pixels, the image has 64x48 pixels",
    ),
    "lens distortion": (
        lambda r: change_cameras(r, dist_coeffs=[-0.35, 0.15, 0, 0, 0]),
        r"states lens distortion \[-0\.35, .* by up to \d+ pixels\. Undistort colour, depth and masks",
    ),
    "no focal length": (
        lambda r: change_cameras(r, cam_K=[0, 0, 31.5, 0, 0, 23.5, 0, 0, 1]),
        "positive focal lengths",
    ),
    "camera file missing": (
        lambda r: (r / SCENE / "scene_camera.json").unlink(),
        r"scene_camera\.json: missing file",
    ),
    "camera entry missing": (
        lambda r: change_json(r / SCENE / "scene_camera.json", lambda c: c.pop("2")),
        "no camera for image 2",
    ),
    "ids file broken": (
        lambda r: write_text(r / SCENE / "scene_gt.json", "{"),
        r"scene_gt\.json: not BOP's form",
    ),
    "mask of an object without model": (
        lambda r: change_json(r / SCENE / "scene_gt.json", lambda gt: gt["1"][0].update(obj_id=9)),
        r"models: object 9 has masks but no mesh file\. Add obj_000009\.ply",
    ),
    "no models": (lambda r: shutil.rmtree(r / "models"), "models: no mesh file"),
    "duplicate model": (
        lambda r: shutil.copy(r / "models/obj_000001.ply", r / "models/obj_1.ply"),
        r"duplicate id: obj_000001\.ply, obj_1\.ply are all object 1",
    ),
    "duplicate image": (
        lambda r: write_image(r / SCENE / "rgb/000001.jpg", colour_image(0)),
        "rgb: duplicate id: several images are named 000001",
    ),
    "duplicate image id": (
        lambda r: duplicate_key(r / SCENE / "scene_gt.json"),
        r"scene_gt\.json: .*the name .1. stands twice",
    ),
    "duplicate scene": (
        lambda r: shutil.copytree(r / SCENE, r / "test/2"),
        "duplicate id: scenes 000002, 2 are all 2",
    ),
    "model unreadable": (
        lambda r: write_text(r / "models/obj_000001.ply", "ply"),
        r"obj_000001\.ply: unreadable",
    ),
    "model in metres": (
        lambda r: save_mesh_ply(cube(1e-4), r / "models/obj_000001.ply"),
        "would be 0.0001 m large.*Pass --model-unit",
    ),
    "model of another scale": (
        lambda r: save_mesh_ply(cube(0.2), r / "models/obj_000001.ply"),
        r"its diameter is 346\.4 mm, models_info\.json says 173\.2 mm",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_an_error_with_path_reason_and_remedy(root, fault, capsys):
    damage, message = FAULTS[fault]
    damage(root)
    assert main(["validate", str(root)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(re.search(message, line) for line in lines if line.startswith("error: ")), lines
    assert re.match(r"failed: \d+ errors?, ", lines[-1])


def test_declared_symmetries_of_both_kinds_are_read(root, capsys):
    """A bowl's axis and a box's half turns, as BOP writes them."""
    axis = [{"axis": [0, 0, 1], "offset": [0, 0, 0]}]
    half_turn = [[-1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]]
    change_json(root / "models/models_info.json", lambda i: i["1"].update(symmetries_continuous=axis))
    change_json(root / "models/models_info.json", lambda i: i["2"].update(symmetries_discrete=half_turn))
    main(["validate", str(root)])
    printed = capsys.readouterr().out
    assert "symmetries_discrete of 16 numbers" not in printed
    assert "object 1" in printed, "a cube does not look the same about its axis"


def warn_origin(root):
    mesh = cube()
    far = Mesh(mesh.vertices_m + np.float32(1), mesh.faces, vertex_rgb=mesh.vertex_rgb)
    save_mesh_ply(far, root / "models/obj_000001.ply")


def warn_colour(root):
    save_mesh_ply(Mesh(cube().vertices_m, cube().faces), root / "models/obj_000001.ply")


def warn_listed_without_file(root):
    """As in a part of a BOP data set's models."""
    change_json(root / "models/models_info.json", lambda info: info.update({"7": {}, "8": {}}))


def warn_scale(root):
    (root / "models/models_info.json").unlink()
    for obj_id in (1, 2):
        save_mesh_ply(cube(0.25), root / f"models/obj_{obj_id:06d}.ply")


def warn_no_depth_in_mask(root):
    depth = np.full((48, 64), 900, np.uint16)
    depth[:, 22:42] = 0
    write_depth(root, depth)


def warn_principal_point_outside(root):
    """Right for a crop whose camera was moved along."""
    change_cameras(root, cam_K=[100, 0, 31.5, 0, 100, 99, 0, 0, 1])


WARNINGS = {
    warn_principal_point_outside: r"camera of .*: principal point 32, 99 is far off the centre of 64x48 pixels",
    warn_origin: "the origin is 1.73 m off the object's centre",
    warn_colour: "object 1: the mesh has no texture; its shape looks the same 24 ways round",
    warn_listed_without_file: r".*models_info\.json: it names objects without mesh file: 7 8",
    warn_scale: r"masks: at their depth they are 0\.\d+ times as large as the models",
    warn_no_depth_in_mask: "object 1, instance 0: 0 mask pixels have depth, 50 are needed",
}


@pytest.mark.parametrize("damage", WARNINGS, ids=lambda damage: damage.__name__)
def test_warnings_do_not_fail(root, damage, capsys):
    damage(root)
    assert main(["validate", str(root)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(re.match(f"warning: .*{WARNINGS[damage]}", line) for line in lines), lines


def test_other_warnings(root):
    change_json(root / SCENE / "scene_gt.json", lambda gt: [gt.pop("2"), gt["1"].pop()])
    found = [problem.message for problem in problems_of(root)]
    assert len(found) == 2
    assert "scene_gt.json: no entry for images 2" in found[0]
    assert "masks 000001_000001, 000002_000000, 000002_000001 have no entry" in found[1]


def test_every_problem_is_reported_once(root):
    """Three images, one camera: one line. Three broken images: three lines."""
    change_cameras(root, cam_K=[200, 0, 63.5, 0, 200, 47.5, 0, 0, 1])
    for im_id in (1, 2, 3):
        (root / SCENE / f"depth/{im_id:06d}.png").unlink()
    messages = [problem.message for problem in problems_of(root)]
    assert sum("another resolution" in message for message in messages) == 1
    assert sum("missing file" in message for message in messages) == 3


def test_size_evidence_by_hand():
    assert list(check_sizes({})) == []
    assert list(check_sizes({1: [0.9, 0.95], 2: [0.8]})) == []
    [pooled] = check_sizes({1: [900.0, 950.0], 2: [800.0]})
    assert "900 times as large as the models" in pooled.message
    [single] = check_sizes({1: [0.9] * 5, 2: [2.0]})
    assert single.message.startswith("object 2: its masks are 2 times as large as its model")


def test_real_models_in_a_wrong_unit_or_with_a_wrong_depth_scale(ycbv_sample, tmp_path):
    """Pose-free evidence: twice too far depth makes the masks of real objects twice too large."""
    root = tmp_path / "copy"
    shutil.copytree(ycbv_sample / "test/000001", root / "test/000001")
    (root / "models").symlink_to(ycbv_sample / "models")
    change_json(
        root / "test/000001/scene_camera.json",
        lambda cameras: [c.update(depth_scale=0.2) for c in cameras.values()],
    )
    [problem] = problems_of(root, selection=Selection(frames=(1, 2)))
    assert problem.level == "warning"
    assert "times as large as the models" in problem.message


def test_detections_with_a_box_only_are_fine_and_say_nothing_of_sizes(root, tmp_path):
    """Boxes of twice the object's width: as outlines they would say that the models are too small."""
    rows = [
        {"scene_id": 2, "image_id": i, "category_id": 1, "score": 1, "bbox": [2, 4, 58, 40]}
        for i in (1, 2, 3)
    ]
    write_json(tmp_path / "d.json", rows)
    validation = Validation(DataOptions(root, detections=tmp_path / "d.json").open())
    assert [problem for found in validation.run() for problem in found] == []
    assert validation.instances == 3
    write_json(tmp_path / "d.json", [rows[0] | {"bbox": [2, 4, 0, 40]}, rows[1] | {"bbox": None}])
    found = [problem.message for problem in problems_of(root, detections=tmp_path / "d.json")]
    assert any("detection 0: bbox is no box" in message for message in found)
    assert any("detection 1: no segmentation and no bbox" in message for message in found)


def test_detections(root, tmp_path):
    square = [22, 14, 42, 14, 42, 34, 22, 34]
    rows = [
        {"image_id": 1, "category_id": 1, "bbox": [22, 14, 20, 20], "segmentation": [square]},
        {"image_id": 1, "category_id": 1, "bbox": [22, 14, 20, 90], "segmentation": [square]},
        {"image_id": 1, "category_id": 1, "segmentation": [[50, 40, 90, 40, 90, 60, 50, 60]]},
        {"image_id": 2, "category_id": 5, "segmentation": [square]},
    ]
    write_json(tmp_path / "d.json", [{"scene_id": 2} | row for row in rows])
    found = problems_of(root, detections=tmp_path / "d.json")
    assert [problem.level for problem in found] == ["warning", "warning", "error"]
    parts = (
        "detection 1: the mask or box reaches outside the image",
        "detection 2: the mask or box reaches outside the image",
        "object 5 has masks but no mesh file",
    )
    assert [part in problem.message for part, problem in zip(parts, found, strict=True)] == [True] * 3


def test_an_entry_of_a_model_that_stands_twice(root, capsys):
    duplicate_key(root / "models/models_info.json")
    assert main(["validate", str(root)]) == 1
    assert re.search(r"models_info\.json: .*the name '1' stands twice", capsys.readouterr().out)


def test_a_folder_that_cannot_be_opened(root, tmp_path, capsys):
    shutil.rmtree(root / SCENE / "mask_visib")
    assert main(["validate", str(root)]) == 1
    assert capsys.readouterr().out.startswith("error: no masks: looked for mask_visib/")
    assert main(["validate", str(tmp_path / "nowhere")]) == 2
    assert main(["validate", str(root), "--split", "train"]) == 2
    assert "Splits with scenes: test" in capsys.readouterr().err


def test_options_of_the_command(root, tmp_path, capsys):
    write_models(tmp_path / "other", (2,))
    options = [
        "--objects",
        "2",
        "--frames",
        "1",
        "3",
        "--models",
        str(tmp_path / "other"),
        "--model-unit",
        "mm",
    ]
    assert main(["validate", str(root), *options]) == 0
    assert capsys.readouterr().out.startswith("ok: 0 errors, 0 warnings in 2 frames, 2 instances, 1 model ")


def test_capture_folder(tmp_path):
    write_models(tmp_path / "models")
    root = write_capture(tmp_path / "capture")
    write_image(root / "rgb/a.jpg", colour_image(0))
    write_json(root / "camera.json", {"cam_K": [2 * x for x in CAM_K[:8]] + [1], "depth_scale": 1.0})
    (root / "depth/b.png").unlink()
    write_image(root / "masks/1/a.png", masks()[0][:10])
    messages = [problem.message for problem in problems_of(root, models=tmp_path / "models")]
    for part in ("several images are named a", "another resolution", "b.png: missing file", "64x10 pixels"):
        assert sum(part in message for message in messages) == 1


def test_scene_without_frames_and_entries_without_model(root):
    (root / "test/000007").mkdir()
    change_json(root / SCENE / "scene_gt.json", lambda gt: gt["1"].append(scene_gt_entry(9)))
    found = problems_of(root)
    assert [problem.level for problem in found] == ["error"]
    assert "object 9 has masks" in found[0].message
