"""One set of checks of camera and depth for every door: what is refused, and that all say the same line."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_roots import CAM_K, change_json, write_bop, write_capture, write_json, write_models

from selfpose6d import Frame, Instance, InstanceKey, annotate
from selfpose6d.checks import distortion_px, other_resolution, require_own_resolution
from selfpose6d.cli.main import main
from selfpose6d.datasets.camera_entry import StatedCamera, intrinsics_of, metres_per_depth_unit, stated_camera
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.meshes.io import load_mesh

K = np.array(CAM_K).reshape(3, 3)
WRONG = {
    "metres for millimetres": (
        {"depth_scale": 0.001},
        r"rgb/a\.png: depth must be in metres: median 0\.\d+ < 0\.02",
    ),
    "kilometres": ({"depth_scale": 1000.0}, r"rgb/a\.png: depth must be in metres: median \d+\.\d > 20"),
    "transposed": (
        {"cam_K": K.T.ravel().tolist()},
        r"rgb/a\.png: camera matrix must have rows .* it is transposed",
    ),
    "twice the size": (
        {"cam_K": (np.diag([2, 2, 1]) @ K).ravel().tolist()},
        r"rgb/a\.png: camera matrix: intrinsics of another resolution: about 2 times 64x48 pixels",
    ),
    "another stated size": (
        {"width": 640, "height": 480},
        r"intrinsics of another resolution: the camera is of 640x480 pixels, the image has 64x48 pixels",
    ),
    "negative focal length": (
        {"cam_K": [-100, *CAM_K[1:]]},
        r"rgb/a\.png: camera matrix must be a finite 3x3 matrix with positive focal lengths",
    ),
    "NaN": ({"cam_K": [float("nan"), *CAM_K[1:]]}, r"rgb/a\.png: camera matrix must be a finite 3x3 matrix"),
    "normalised": (
        {"cam_K": [1.5, 0, 0.5, 0, 2.0, 0.5, 0, 0, 1]},
        r"rgb/a\.png: camera matrix must be in pixels: focal lengths 1\.5, 2",
    ),
    "distorted": (
        {"dist_coeffs": [-0.35, 0.15, 0, 0, 0]},
        r"camera matrix: the camera states lens distortion \[-0\.35, .* by up to \d+ pixels",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_every_command_says_the_same_line(tmp_path, capfd, what):
    change, line = WRONG[what]
    root = write_capture(tmp_path / "set", ("a",))
    write_json(root / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0} | change)
    write_models(tmp_path / "models")
    data = [str(root), "--models", str(tmp_path / "models")]
    run = str(tmp_path / "run")
    commands = {
        "validate": (["validate", *data], 1),
        "annotate": (["annotate", *data, "--out", run, "--overlays", "0", "--workers", "1"], 1),
        "train": (
            ["train", *data, "--split", "all", "--recipe", "paper", "--out", run + "t", "--max-steps", "1"],
            2,
        ),
    }
    said = {}
    for name, (arguments, code) in commands.items():
        assert main(arguments) == code, name
        printed = "".join(capfd.readouterr())
        found = [text for text in printed.splitlines() if "set/rgb/a.png" in text]
        assert found, printed
        said[name] = found[0][found[0].index(str(root / "rgb/a.png")) :]
    assert re.search(line, said["validate"]), said
    for name, text in said.items():
        assert said["validate"].rstrip(".") in text, name


def test_a_reader_of_frames_says_it_too(tmp_path):
    root = write_capture(tmp_path / "set", ("a",))
    write_models(tmp_path / "models")
    for change, line in WRONG.values():
        write_json(root / "camera.json", {"cam_K": CAM_K, "depth_scale": 1.0} | change)
        dataset = DataOptions(root, models=tmp_path / "models").open()
        with pytest.raises(DataError, match=line):
            dataset.load_frame(dataset.frame_ids()[0])


def test_without_a_usable_instance_no_command_passes(tmp_path, capsys):
    """Masks under names that no frame has: nothing is found, and everything says so."""
    root = write_capture(tmp_path / "set", ("a",))
    (root / "masks/1/a.png").rename(root / "masks/1/b.png")
    write_models(tmp_path / "models")
    data = [str(root), "--models", str(tmp_path / "models")]
    assert main(["validate", *data]) == 1
    printed = capsys.readouterr().out
    assert "not one usable instance in 1 frame" in printed
    assert "masks b have the name of no image of rgb/" in printed
    assert main(["annotate", *data, "--out", str(tmp_path / "run"), "--overlays", "0", "--workers", "1"]) == 1
    assert "not one usable instance in 1 frame" in capsys.readouterr().err
    assert main(["train", *data, "--recipe", "paper", "--out", str(tmp_path / "t"), "--max-steps", "1"]) == 2
    assert "no usable instance in split all" in capsys.readouterr().err


def test_annotate_says_before_its_work_that_sizes_do_not_fit(tmp_path, capsys):
    """Depth of twice the scale: no single frame is refused, but the masks are twice as large as the models."""
    root = write_bop(tmp_path / "set", {1: 2})
    path = root / "test/000001/scene_camera.json"
    change_json(path, lambda cameras: [camera.update(depth_scale=2.0) for camera in cameras.values()])
    annotate = ["annotate", str(root), "--method", "icp", "--overlays", "0", "--workers", "1", "--out"]
    main([*annotate, str(tmp_path / "wrong")])
    assert re.search(r"at their depth they are 1\.\d+ times as large as the models", capsys.readouterr().err)
    change_json(path, lambda cameras: [camera.update(depth_scale=1.0) for camera in cameras.values()])
    main([*annotate, str(tmp_path / "right")])
    assert "times as large as the models" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("size_px", "left_px", "top_px"),
    [((30, 40), 0, 0), ((30, 22), 5, 12), ((46, 35), 0, 0), ((60, 20), 2, 26)],
)
def test_a_crop_may_have_its_principal_point_anywhere(tmp_path, size_px, left_px, top_px):
    """Also where a principal point that is off evenly looks like another resolution: sizes say that it is not."""
    root = write_capture(tmp_path / "set", ("a",))
    write_models(tmp_path / "models")
    width, height = size_px
    for path in (root / "rgb/a.png", root / "depth/a.png", root / "masks/1/a.png"):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), image[top_px : top_px + height, left_px : left_px + width])
    moved = K.copy()
    moved[:2, 2] -= (left_px, top_px)
    write_json(root / "camera.json", {"cam_K": moved.ravel().tolist(), "depth_scale": 1.0})
    dataset = DataOptions(root, models=tmp_path / "models").open()
    np.testing.assert_array_equal(dataset.load_frame(dataset.frame_ids()[0]).K, moved)
    assert main(["validate", str(root), "--models", str(tmp_path / "models")]) == 0


def test_a_stated_size_is_believed(tmp_path):
    """Of a crop without masks nothing else says that its camera is its own."""
    camera = {"cam_K": [100, 0, 60, 0, 100, 45, 0, 0, 1], "depth_scale": 1.0}
    root = write_capture(tmp_path / "set", ("a",))
    write_models(tmp_path / "models")
    write_json(root / "camera.json", camera)
    options = DataOptions(root, models=tmp_path / "models")
    dataset = options.open(without_masks=True)
    with pytest.raises(DataError, match="of a crop, state its width and height"):
        dataset.load_frame(dataset.frame_ids()[0])
    write_json(root / "camera.json", camera | {"width": 64, "height": 48})
    dataset = options.open(without_masks=True)
    assert dataset.load_frame(dataset.frame_ids()[0]).K[0, 2] == 60


@pytest.mark.parametrize("factor", [0.5, 0.75, 1.5, 2.0, 3.0])
def test_real_intrinsics_of_another_resolution_are_refused_by_every_door(ycbv_sample, factor):
    """Sizes of the real masks agree with the principal point; from Python, too."""
    dataset = DataOptions(ycbv_sample).open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    scaled = np.diag([factor, factor, 1.0]) @ frame.K
    meshes = {i.key.obj_id: load_mesh(dataset.models.find(i.key.obj_id).path, "mm") for i in frame.instances}
    wrong = Frame("live", 0, 0, frame.rgb, frame.depth_m, scaled, frame.instances)
    with pytest.raises(DataError, match="K: intrinsics of another resolution"):
        annotate(wrong, meshes)
    with pytest.raises(DataError, match="camera matrix: intrinsics of another resolution"):
        dataset.require_camera(dataset.frame_ids()[0], scaled, (480, 640), frame.depth_m, frame.instances)
    dataset.require_camera(dataset.frame_ids()[0], frame.K, (480, 640), frame.depth_m, frame.instances)


def test_the_python_door_takes_the_same_checks():
    key = InstanceKey("", 0, 0, 1, 0)
    mask = np.zeros((48, 64), bool)
    mask[14:34, 22:42] = True
    rgb, depth_m = np.zeros((48, 64, 3), np.uint8), np.full((48, 64), 0.5, np.float32)
    for wrong in (K.T, K * [[-1], [1], [1]], K * np.nan, K / [[64], [48], [1]]):
        with pytest.raises(DataError):
            Frame("", 0, 0, rgb, depth_m, wrong, (Instance(key, mask),))
    for scale in (1e-3, 1e3):
        with pytest.raises(DataError, match="must be in metres"):
            Frame("", 0, 0, rgb, depth_m * np.float32(scale), K, (Instance(key, mask),))


def test_ratios_by_hand():
    assert other_resolution(K, (48, 64)) is None
    assert other_resolution(np.diag([2, 2, 1]) @ K, (48, 64)) == pytest.approx(1.97, abs=0.02)
    require_own_resolution(np.diag([2, 2, 1]) @ K, (48, 64), [0.9, 0.8])
    for ratios in ([], [0.42], [0.4, 0.45, 0.3]):
        with pytest.raises(DataError, match="another resolution: about 2 times 64x48 pixels"):
            require_own_resolution(np.diag([2, 2, 1]) @ K, (48, 64), ratios)
    wide = np.diag([2, 1.5, 1]) @ K  # 1280x720 at 640x480: uneven, so that sizes have to say it
    require_own_resolution(wide, (48, 64), [])
    with pytest.raises(DataError, match=r"about 1\.7 times"):
        require_own_resolution(wide, (48, 64), [0.5])


def test_distortion_by_hand():
    """At the corner (-0.315, -0.235) of the image plane r^2 = 0.154: k1 moves it by f * k1 * r^3."""
    corner = np.linalg.norm([31.5, 23.5]) / 100
    assert distortion_px(K, (48, 64), [-0.35, 0.0, 0.0, 0.0]) == pytest.approx(
        100 * 0.35 * corner**3, rel=0.05
    )
    assert distortion_px(K, (48, 64), [0.1]) is None


@pytest.mark.parametrize(
    ("entry", "distortion"),
    [
        ({"dist_coeffs": [0.0] * 5}, ()),
        ({"distortion": None}, ()),
        ({"D": [0.1, 0.2, 0, 0, 0]}, (0.1, 0.2, 0, 0, 0)),
        ({"dist": [[0.1, 0.2, 0, 0]]}, (0.1, 0.2, 0, 0)),
        ({"distortion_coefficients": {"rows": 1, "cols": 5, "data": [0.1, 0, 0, 0, 0]}}, (0.1, 0, 0, 0, 0)),
        ({"distortion": {"radial": [-0.3, 0.1], "tangential": [0, 0.01]}}, (-0.3, 0.1, 0, 0.01, 0)),
        ({"RadialDistortion": [-0.3, 0.1, 0.2], "TangentialDistortion": [0, 0]}, (-0.3, 0.1, 0, 0, 0.2)),
        ({"distortion": {"radial": [0, 0], "tangential": [0, 0]}}, ()),
        ({"distortion": {"model": "plumb_bob", "coeffs": [-0.3, 0.1, 0, 0, 0]}}, (-0.3, 0.1, 0, 0, 0)),
        ({"distortion": {"model": "none"}}, ()),
        ({"Distortion": {"K1": -0.3, "K2": 0.1}}, (-0.3, 0.1, 0, 0, 0)),
        ({"DistCoeffs": [[-0.3, 0.1, 0, 0, 0]]}, (-0.3, 0.1, 0, 0, 0)),
        ({"k1": 0.1, "k2": 0.01}, (0.1, 0.01, 0, 0, 0)),
        ({"coeffs": [0.0, 0, 0, 0, 0]}, ()),
        (
            {"distortion": {"model": "inverse_brown_conrady", "coeffs": [0.15, -0.4, 0, 0, 0.2]}},
            (0.15, -0.4, 0, 0, 0.2),
        ),
        ({"K1": 0.15, "K2": -0.4}, (0.15, -0.4, 0, 0, 0)),
        ({"dist_coeffs": [], "D": [0.1, 0, 0, 0, 0]}, (0.1, 0, 0, 0, 0)),
        ({"dist_coeffs": [0, 0, 0, 0], "D": {"data": [0.1, 0, 0, 0, 0]}}, (0.1, 0, 0, 0, 0)),
        ({"distortion": [], "k1": 0.1}, (0.1, 0, 0, 0, 0)),
        ({"distortion": "plumb_bob", "D": [0.1, 0, 0, 0, 0]}, (0.1, 0, 0, 0, 0)),
        ({"distortion": "plumb_bob", "D": [0.0, 0, 0, 0, 0]}, ()),
        ({"distortion": "0.1, 0.2, 0, 0"}, (0.1, 0.2, 0, 0)),
        ({"distortion": {"coefficients": {"K1": 0.1, "p2": "0.01"}}}, (0.1, 0, 0, 0.01, 0)),
        ({"distortion": {"params": [0.1, 0, 0, 0]}}, (0.1, 0, 0, 0)),
        ({"Distortion_Coefficients": [0.1, 0, 0, 0]}, (0.1, 0, 0, 0)),
        ({"dist coeffs": [0.1, 0, 0, 0]}, (0.1, 0, 0, 0)),
        (
            {"k1": 0.15, "k2": 0, "k3": 0.3, "k4": 0.4, "k5": 0, "k6": 0.6, "p1": 0.01, "p2": 0.02},
            (0.15, 0, 0.01, 0.02, 0.3, 0.4, 0, 0.6),
        ),
        ({"distortion": {"radial": [0.1, 0.2, 0.3, 0.4]}}, (0.1, 0.2, 0, 0, 0.3, 0.4, 0, 0)),
        ({"distortion": "None"}, ()),
        ({"distortion": False}, ()),
        ({"distortion": {"model": "plumb_bob", "coeffs": []}}, ()),
        ({"distortion": {"rows": 0, "cols": 0, "data": []}}, ()),
    ],
)
def test_distortion_is_found_under_the_names_of_other_tools(entry, distortion):
    assert stated_camera(entry).distortion == distortion


@pytest.mark.parametrize(
    "entry",
    [
        {"distortion": {"model": "fisheye"}},
        {"distortion": {"a": "x"}},
        {"distortion": {"coeffs": "see calibration.yaml"}},
        {"distortion": {"coeffs": [float("nan")] * 4}},
        {"D": {"data": [0.1, None]}},
        {"distortion": {"alpha": 0.1, "beta": [1, 2]}},
        {"K1": "unknown"},
    ],
)
def test_stated_distortion_that_cannot_be_read_is_said(entry):
    assert np.isnan(stated_camera(entry).distortion).any()


@pytest.mark.parametrize(
    "entry",
    [
        {"width": 640, "height": 480},
        {"Image_Width": "640", "image_Height": 480.0},
        {"w": 640, "h": 480},
        {"resolution": [640, 480]},
        {"width": 0, "height": 0, "w": 640, "h": 480},
    ],
)
def test_size_is_found_under_the_names_of_other_tools(entry):
    assert stated_camera(entry).size_px == (640, 480)


def test_distortion_that_is_no_list_of_numbers_is_refused():
    with pytest.raises(DataError, match="states lens distortion"):
        stated_camera({"distortion": "fisheye"}).require_fits(K, (48, 64), "K")
    with pytest.raises(DataError, match="states lens distortion"):
        stated_camera({"distortion": [10**400]}).require_fits(K, (48, 64), "K")
    StatedCamera(distortion=(1e-5, 0.0, 0.0, 0.0)).require_fits(K, (48, 64), "K")


def test_numbers_too_large_for_any_camera():
    with pytest.raises(DataError, match="cam_K must be 9 numbers"):
        intrinsics_of({"cam_K": [10**400, *CAM_K[1:]]}, "K")


def test_forms_of_the_camera_matrix():
    for entry in (
        {"cam_K": CAM_K},
        {"cam_K": K.tolist()},
        {"cam_K": np.c_[K, np.zeros(3)].tolist()},
        {"cam_K": [str(x) for x in CAM_K]},
        {"fx": 100, "fy": 100, "cx": 31.5, "cy": 23.5},
    ):
        np.testing.assert_array_equal(intrinsics_of(json.loads(json.dumps(entry)), "camera.json"), K)
    for entry, said in (
        (
            {"depth_scale": 1},
            r"cam_K must be 9 numbers, but there is none; found depth_scale\. Add it row by row",
        ),
        ({"intrinsic_matrix": CAM_K, "width": 64}, "intrinsic_matrix is Open3D's, column by column"),
        ({"cam_K": CAM_K[:4]}, "cam_K must be 9 numbers, got"),
        ({"cam_K": "none"}, "cam_K must be 9 numbers, got none"),
    ):
        with pytest.raises(DataError, match=rf"camera\.json: .*{said}"):
            intrinsics_of(entry, "camera.json")


def test_forms_of_the_depth_scale():
    assert metres_per_depth_unit("0.1", "x") == metres_per_depth_unit(0.1, "x") == pytest.approx(1e-4)
    for wrong in (None, True, "mm", 0, -1, float("nan"), float("inf"), [1], {}):
        with pytest.raises(DataError, match="depth_scale must be positive"):
            metres_per_depth_unit(wrong, "x")


def test_cameras_without_a_pinhole_matrix_are_named(tmp_path):
    """HOT3D's have a fisheye `cam_model`."""
    root = write_bop(tmp_path / "set", {1: 1})
    model = {"projection_model_type": "CameraModelType.FISHEYE624", "projection_params": [1.0] * 15}
    write_json(root / "test/000001/scene_camera.json", {"1": {"cam_model": model, "T_world_from_camera": {}}})
    dataset = DataOptions(root).open()
    with pytest.raises(DataError, match="there is none; found cam_model, T_world_from_camera"):
        dataset.read_intrinsics(dataset.frame_ids()[0])


def test_bop_cameras_state_size_and_distortion_too(tmp_path):
    root = write_bop(tmp_path / "set", {1: 1})
    path: Path = root / "test/000001/scene_camera.json"
    for change, said in (
        ({"width": 640, "height": 480}, "the camera is of 640x480 pixels"),
        ({"distortion": [-0.35, 0.15, 0, 0]}, "states lens distortion"),
    ):
        change_json(path, lambda cameras, change=change: cameras["1"].update(change))
        dataset = DataOptions(root).open()
        with pytest.raises(DataError, match=said):
            dataset.load_frame(dataset.frame_ids()[0])
        change_json(path, lambda cameras, change=change: [cameras["1"].pop(key) for key in change])
