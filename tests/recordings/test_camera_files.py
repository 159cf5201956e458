"""Camera files of other tools, in the forms those tools write."""

import json

import cv2
import numpy as np
import pytest

from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings.camera_files import read_camera, read_extrinsics

K = np.array([[616.5, 0, 321.25], [0, 617.5, 238.75], [0, 0, 1]])
D = [0.1, -0.2, 0.001, -0.002, 0.05]

CAMERA_INFO_MANAGER = """\
image_width: 640
image_height: 480
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [616.5, 0, 321.25, 0, 617.5, 238.75, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.1, -0.2, 0.001, -0.002, 0.05]
projection_matrix:
  rows: 3
  cols: 4
  data: [600, 0, 320, 0, 0, 600, 240, 0, 0, 0, 1, 0]
"""
TOPIC_ECHO_2 = """\
header:
  stamp:
    sec: 1700000000
    nanosec: 5
  frame_id: camera_color_optical_frame
height: 480
width: 640
distortion_model: plumb_bob
d:
- 0.1
- -0.2
- 0.001
- -0.002
- 0.05
k: [616.5, 0.0, 321.25, 0.0, 617.5, 238.75, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
binning_x: 0
roi:
  x_offset: 0
---
header:
  stamp:
    sec: 1700000001
height: 480
---
"""
TOPIC_ECHO_1 = """\
height: 480
width: 640
distortion_model: "plumb_bob"
D: [0.1, -0.2, 0.001, -0.002, 0.05]
K: [616.5, 0.0, 321.25, 0.0, 617.5, 238.75, 0.0, 0.0, 1.0]
---
"""
KALIBR = """\
cam0:
  camera_model: pinhole
  distortion_coeffs: [0.01, -0.02, 0.003, -0.004]
  distortion_model: equidistant
  intrinsics: [616.5, 617.5, 321.25, 238.75]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  camera_model: pinhole
  distortion_coeffs: [0, 0, 0, 0]
  distortion_model: radtan
  intrinsics: [400, 401, 320, 240]
  resolution: [640, 480]
"""
PYREALSENSE = {
    "width": 640,
    "height": 480,
    "ppx": 321.25,
    "ppy": 238.75,
    "fx": 616.5,
    "fy": 617.5,
    "model": "distortion.brown_conrady",
    "coeffs": D,
}


def written(tmp_path, name: str, content):
    """The file."""
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("info.yaml", CAMERA_INFO_MANAGER),
        ("echo.yaml", TOPIC_ECHO_2),
        ("echo.txt", TOPIC_ECHO_1),
        ("rs.json", PYREALSENSE),
        ("rs.json", {**PYREALSENSE, "model": "Brown Conrady"}),
        ("both.json", {"color": PYREALSENSE, "depth": {**PYREALSENSE, "fx": 400.0}}),
        (
            "cv.json",
            {"camera_matrix": K.tolist(), "dist_coeffs": [D], "image_width": 640, "image_height": 480},
        ),
    ],
)
def test_matrix_size_and_distortion(tmp_path, name, content):
    camera = read_camera(written(tmp_path, name, content)).camera
    np.testing.assert_array_equal(camera.K, K)
    assert camera.size == (640, 480)
    assert camera.model == "brown"
    assert camera.coefficients == tuple(D)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cam_K.txt", "616.5 0 321.25\n0 617.5 238.75\n0 0 1\n"),
        ("cam_K.txt", "6.165e+02 0.0 3.2125e+02 0 6.175e+02 2.3875e+02 0 0 1"),
        ("intrinsic_color.txt", "616.5 0 321.25 0\n0 617.5 238.75 0\n0 0 1 0\n0 0 0 1\n"),
        ("K.csv", "616.5,0,321.25\n0,617.5,238.75\n0,0,1\n"),
        ("camera.json", {"cam_K": K.ravel().tolist(), "depth_scale": 1.0}),
        ("camera.json", {"fx": 616.5, "fy": 617.5, "cx": 321.25, "cy": 238.75, "width": 640, "height": 480}),
        ("K.json", K.tolist()),
        ("open3d.json", {"width": 640, "height": 480, "intrinsic_matrix": K.T.ravel().tolist()}),
        (
            "open3d.json",
            {
                "class_name": "PinholeCameraParameters",
                "intrinsic": {"intrinsic_matrix": K.T.ravel().tolist()},
            },
        ),
        ("scene_camera.json", {"0": {"cam_K": K.ravel().tolist()}, "1": {"cam_K": K.ravel().tolist()}}),
        ("zeros.json", {**PYREALSENSE, "model": "distortion.inverse_brown_conrady", "coeffs": [0.0] * 5}),
    ],
)
def test_cameras_without_distortion(tmp_path, name, content):
    camera = read_camera(written(tmp_path, name, content)).camera
    np.testing.assert_array_equal(camera.K, K)
    assert not camera.is_distorted


def test_opencv_file_storage(tmp_path):
    path = tmp_path / "calibration.yml"
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write("image_width", 640)
    storage.write("image_height", 480)
    storage.write("camera_matrix", K)
    storage.write("distortion_coefficients", np.array([D]))
    storage.write("note", "of the left camera")
    storage.release()
    camera = read_camera(path).camera
    np.testing.assert_array_equal(camera.K, K)
    assert camera.coefficients == tuple(D)
    assert camera.size == (640, 480)


def test_kalibr_and_the_part_of_a_file(tmp_path):
    path = written(tmp_path, "camchain.yaml", KALIBR)
    colour, depth = read_camera(path).camera, read_camera(path, "depth").camera
    assert (colour.model, colour.coefficients) == ("fisheye", (0.01, -0.02, 0.003, -0.004))
    np.testing.assert_array_equal(colour.K, K)
    assert depth.K[0, 0] == 400
    assert not depth.is_distorted
    both = written(tmp_path, "both.json", {"color": PYREALSENSE, "depth": {**PYREALSENSE, "fx": 400.0}})
    assert read_camera(both, "depth").camera.K[0, 0] == 400


@pytest.mark.parametrize(
    ("content", "metres"),
    [
        ({"cam_K": K.ravel().tolist(), "depth_scale": 0.1}, 0.0001),
        ({"fx": 616.5, "fy": 617.5, "cx": 321, "cy": 238, "depth_scale": 1.0}, 0.001),
        ({**PYREALSENSE, "depth_scale": 0.00025}, 0.00025),
        ({"intrinsic_matrix": K.T.ravel().tolist(), "depth_scale": 1000.0}, 0.001),
        (PYREALSENSE, None),
    ],
)
def test_depth_units_as_each_tool_says_them(tmp_path, content, metres):
    found = read_camera(written(tmp_path, "camera.json", content)).metres_per_unit
    assert found == (None if metres is None else pytest.approx(metres))


def test_other_distortion_models(tmp_path):
    rational = CAMERA_INFO_MANAGER.replace("plumb_bob", "rational_polynomial").replace(
        "-0.002, 0.05]", "-0.002, 0.05, 0.3, -0.1, 0.02]"
    )
    camera = read_camera(written(tmp_path, "r.yaml", rational)).camera
    assert (camera.model, len(camera.coefficients)) == ("brown", 8)
    fisheye = {**PYREALSENSE, "model": "kannala_brandt4", "coeffs": [0.1, 0.2, 0.3, 0.4, 0.0]}
    camera = read_camera(written(tmp_path, "f.json", fisheye)).camera
    assert (camera.model, camera.coefficients) == ("fisheye", (0.1, 0.2, 0.3, 0.4))
    inverse = {**PYREALSENSE, "model": "distortion.inverse_brown_conrady"}
    assert read_camera(written(tmp_path, "i.json", inverse)).camera.model == "inverse_brown"
    with pytest.raises(DataError, match=r"distortion model 'ftheta' .* is not known"):
        read_camera(written(tmp_path, "u.json", {**PYREALSENSE, "model": "ftheta"}))
    with pytest.raises(DataError, match="'equidistant' has 4 coefficients, got 5"):
        read_camera(written(tmp_path, "u.json", {**PYREALSENSE, "model": "equidistant"}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("K.txt", "616 0 321 0 617", "text that is no 3x3 matrix"),
        ("K.txt", "", "text that is no 3x3 matrix"),
        ("K.txt", "616 0 0\n0 617 0\n321 238 1\n", "transposed"),
        ("K.txt", "0.8 0 0.5\n0 0.8 0.5\n0 0 1\n", "in pixels"),
        ("K.txt", "0 0 0 0 0 0 0 0 0", "not calibrated"),
        ("c.json", "{", "unreadable JSON"),
        ("c.json", {"name": "x"}, r"no camera matrix found in \['name'\]"),
        (
            "c.json",
            {"param-depthunits": "1000", "stream-width": "640"},
            "settings preset of realsense-viewer",
        ),
        ("c.yaml", "a: [1, 2\nb", "unreadable YAML"),
        ("c.yaml", "a: 1\n2: 3\n", r"no camera matrix found in \['2', 'a'\]"),
        ("c.yaml", "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 3\n   cols: [", "unreadable YAML"),
        ("c.yaml", "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n", "camera"),
        ("c.json", {"cam_K": K.ravel().tolist(), "depth_scale": 0.001}, "mm per depth unit, got 0.001"),
        ("c.json", {"cam_K": K.ravel().tolist(), "depth_scale": -1}, "positive number"),
        ("s.json", {"0": {"cam_K": [1] * 9}, "1": {"cam_K": [2] * 9}}, "different cameras"),
        (
            "c.json",
            {"K": K.tolist(), "dist_coeffs": ["a"], "distortion_model": "plumb_bob"},
            "coefficients must be",
        ),
    ],
)
def test_what_is_no_camera_file(tmp_path, name, content, message):
    path = written(tmp_path, name, content)
    with pytest.raises(DataError, match=message):
        read_camera(path)


def test_missing_files(tmp_path):
    with pytest.raises(UsageError, match="no camera file"):
        read_camera(tmp_path / "none.json")
    with pytest.raises(UsageError, match="no extrinsics file"):
        read_extrinsics(tmp_path / "none.json")


def test_extrinsics_forms(tmp_path):
    T = np.eye(4)
    T[:3, :3] = cv2.Rodrigues(np.array([0.1, 0.2, 0.3]))[0]
    T[:3, 3] = 0.01, 0.02, 0.03
    for name, content in (
        ("a.txt", "\n".join(" ".join(map(str, row)) for row in T)),
        ("b.json", T.tolist()),
        ("c.json", {"T_colour_depth": T[:3].ravel().tolist()}),
        ("d.json", {"rotation": T[:3, :3].T.ravel().tolist(), "translation": T[:3, 3].tolist()}),
    ):
        np.testing.assert_allclose(read_extrinsics(written(tmp_path, name, content)), T, atol=1e-12)
    for content in ("1 2 3", {"rotation": [1, 2]}, {"other": 1}, "{"):
        with pytest.raises(DataError, match="expected T_colour_depth as 4x4 numbers in metres"):
            read_extrinsics(written(tmp_path, "x.json", content))


@pytest.mark.parametrize(
    "lens",
    [
        {"distortion": {"model": "plumb_bob", "coeffs": D}},
        {"distortion": "plumb_bob", "D": D},
        {"Distortion_Coefficients": {"rows": 1, "cols": 5, "data": D}},
        {"dist_coeffs": [], "distCoeffs": D},
        {"distortion": dict(zip(("K1", "K2", "P1", "P2", "K3"), D, strict=True))},
        dict(zip(("k1", "k2", "p1", "p2", "k3"), D, strict=True)),
        {"RadialDistortion": [D[0], D[1], D[4]], "TangentialDistortion": D[2:4]},
    ],
)
def test_lens_and_size_under_the_names_that_data_sets_have(tmp_path, lens):
    content = {"cam_K": K.ravel().tolist(), "w": 640, "h": 480} | lens
    camera = read_camera(written(tmp_path, "camera.json", content)).camera
    assert camera.size == (640, 480)
    assert camera.model == "brown"
    assert camera.coefficients == tuple(D)


def test_a_fisheye_lens_by_single_coefficients(tmp_path):
    lens = {"model": "equidistant", "k1": 0.01, "k2": -0.02, "k3": 0.003, "k4": -0.004}
    content = {"cam_K": K.ravel().tolist(), "distortion": lens}
    camera = read_camera(written(tmp_path, "camera.json", content)).camera
    assert (camera.model, camera.coefficients) == ("fisheye", (0.01, -0.02, 0.003, -0.004))


def test_a_lens_that_cannot_be_read_is_said(tmp_path):
    content = {"cam_K": K.ravel().tolist(), "distortion": {"model": "plumb_bob", "coeffs": "none of them"}}
    with pytest.raises(DataError, match="distortion coefficients must be numbers"):
        read_camera(written(tmp_path, "camera.json", content))
