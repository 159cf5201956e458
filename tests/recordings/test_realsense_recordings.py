"""RealSense's own recordings: old ones written here as librealsense lays them out, new ones by librealsense itself."""

import json
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="skipped: rosbags is not installed")

from box_scene import T_COLOUR_DEPTH, camera, depth_of_rays, rays_of, texture
from written_bags import START_NS, Sent, camera_info, image, write_bag

from selfpose6d.datasets.images import read_rgb
from selfpose6d.errors import DataError
from selfpose6d.recordings.import_recording import import_recording
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.recordings.transforms import FrameTree, quaternion_transform

COLOUR_SIZE, DEPTH_SIZE = (320, 240), (212, 160)
UNIT_M = 0.00025
DEPTH, COLOUR = "/device_0/sensor_0/Depth_0", "/device_0/sensor_1/Color_0"


def quat_xyzw(R: np.ndarray) -> np.ndarray:
    """Of a small rotation."""
    w = np.sqrt(1 + np.trace(R)) / 2
    return np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1], 4 * w * w]) / (4 * w)


def old_recording(tmp_path, with_transforms: bool = True):
    """Depth, in units of 0.25 mm, is the reference of both transforms; all frame ids are 0."""
    K_colour, K_depth = camera(310, COLOUR_SIZE), camera(200, DEPTH_SIZE)
    depth_m, _ = depth_of_rays(rays_of(K_depth, DEPTH_SIZE), T_COLOUR_DEPTH)
    transforms = [
        Sent(f"{topic}/tf/0", "geometry_msgs/msg/Transform", START_NS, {"quat_xyzw": q, "translation": t})
        for topic, q, t in (
            (DEPTH, (0, 0, 0, 1), (0, 0, 0)),
            (COLOUR, quat_xyzw(T_COLOUR_DEPTH[:3, :3]), T_COLOUR_DEPTH[:3, 3]),
        )
    ]
    messages = [
        Sent("/file_version", "std_msgs/msg/UInt32", START_NS, {"data": 4}),
        *(transforms if with_transforms else ()),
        Sent(
            "/device_0/sensor_0/option/Depth Units/value", "std_msgs/msg/Float32", START_NS, {"data": UNIT_M}
        ),
        camera_info(
            f"{DEPTH}/info/camera_info", START_NS, K_depth, DEPTH_SIZE, "0", distortion_model="Brown Conrady"
        ),
        camera_info(
            f"{COLOUR}/info/camera_info",
            START_NS,
            K_colour,
            COLOUR_SIZE,
            "0",
            distortion_model="Inverse Brown Conrady",
        ),
        image(
            f"{DEPTH}/image/data",
            START_NS,
            np.rint(depth_m / UNIT_M).astype(np.uint16),
            "mono16",
            frame_id="0",
        ),
        image(f"{COLOUR}/image/data", START_NS, texture(COLOUR_SIZE), "rgb8", frame_id="0"),
        image(
            "/device_0/sensor_0/Infrared_1/image/data",
            START_NS,
            np.ones((160, 212), np.uint8),
            "8UC1",
            frame_id="0",
        ),
    ]
    return write_bag(tmp_path, "ros1", messages)


def test_old_recordings(tmp_path):
    out = tmp_path / "out"
    summary = import_recording(old_recording(tmp_path), out, RecordingOptions())
    assert "the camera's own calibration" in summary.alignment
    assert summary.depth_scale_mm == pytest.approx(0.25)
    true_m, _ = depth_of_rays(rays_of(camera(310, COLOUR_SIZE), COLOUR_SIZE), np.eye(4))
    depth_m = cv2.imread(str(out / "depth" / "000000.png"), cv2.IMREAD_UNCHANGED) * UNIT_M
    inner = np.zeros(true_m.shape, bool)
    inner[40:-40, 50:-50] = True
    known = inner & (depth_m > 0)
    assert known.sum() > 0.9 * inner.sum()
    assert np.percentile(np.abs(depth_m - true_m)[known], 96) < 0.0004


def test_old_recordings_without_transforms_are_not_taken_as_aligned(tmp_path):
    """Both images carry the frame id 0, which says nothing."""
    with pytest.raises(DataError, match="nothing says where the depth camera is"):
        import_recording(old_recording(tmp_path, with_transforms=False), tmp_path / "out", RecordingOptions())


def test_recordings_of_librealsense_itself(tmp_path):
    """Written by librealsense's recorder from a software device, in a process of its own."""
    pytest.importorskip("pyrealsense2", reason="skipped: pyrealsense2 is not installed")
    done = subprocess.run(
        [sys.executable, "-c", RECORDER, "r.db3"], cwd=tmp_path, capture_output=True, timeout=120
    )
    if not (tmp_path / "r.db3").is_file():
        pytest.skip(f"skipped: this pyrealsense2 records no .db3 ({done.stderr.decode()[-200:]})")
    out = tmp_path / "out"
    summary = import_recording(tmp_path / "r.db3", out, RecordingOptions())
    assert summary.num_frames >= 1
    np.testing.assert_allclose(summary.rig.T_colour_depth[:3, 3], (0.015, 0.001, 0.002), atol=1e-6)
    assert summary.rig.T_colour_depth[2, 1] == pytest.approx(0.0174524, abs=1e-5)
    assert summary.depth_scale_mm == pytest.approx(0.25)
    # the camera info says plumb_bob; the stream's own description says which model it is
    assert summary.rig.colour.model == "inverse_brown"
    assert summary.median_depth_m == pytest.approx(1.0, abs=0.01)
    rgb = read_rgb(out / "rgb" / "000000.png")
    assert rgb[60, 80].tolist() == [200, 0, 7]
    assert json.loads((out / "camera.json").read_text())["cam_K"][0] == pytest.approx(170)


def test_transforms_are_chained_over_frames():
    tree, T_a_b, T_c_b = FrameTree(), np.eye(4), np.eye(4)
    T_a_b[:3, 3], T_c_b[:3, 3] = (1, 2, 3), (0, 0, 1)
    T_c_b[:3, :3] = cv2.Rodrigues(np.array([0, 0, np.pi / 2]))[0]
    tree.add("a", "/b", T_a_b)
    tree.add("c", "b", T_c_b)
    np.testing.assert_allclose(tree.find("a", "c"), T_a_b @ np.linalg.inv(T_c_b), atol=1e-12)
    assert tree.find("a", "elsewhere") is None


@pytest.mark.parametrize(
    "quat_xyzw", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, np.inf)]
)
def test_what_is_no_quaternion_is_refused_by_frame(quat_xyzw):
    with pytest.raises(DataError, match="camera_depth in camera_link: expected a unit quaternion"):
        quaternion_transform(quat_xyzw, (0.015, 0.0, 0.0), "camera_depth in camera_link")
    with pytest.raises(DataError, match="translation"):
        quaternion_transform((0.0, 0.0, 0.0, 1.0), (np.nan, 0.0, 0.0))


def test_quaternions_are_xyzw():
    T = quaternion_transform((0.0, 0.0, 0.5**0.5, 0.5**0.5), (1.0, 2.0, 3.0))
    np.testing.assert_allclose(T @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)


RECORDER = textwrap.dedent("""
    import sys, time
    import numpy as np
    import pyrealsense2 as rs

    device = rs.software_device()

    def stream(sensor, kind, uid, fmt, bpp, focal, model, coefficients):
        i = rs.intrinsics()
        i.width, i.height, i.fx, i.fy, i.ppx, i.ppy = 160, 120, focal, focal, 80, 60
        i.model, i.coeffs = model, coefficients
        v = rs.video_stream()
        v.type, v.index, v.uid, v.width, v.height, v.fps = kind, 0, uid, 160, 120, 30
        v.bpp, v.fmt, v.intrinsics = bpp, fmt, i
        return sensor.add_video_stream(v)

    depth_sensor, colour_sensor = device.add_sensor("Depth"), device.add_sensor("RGB")
    depth = stream(depth_sensor, rs.stream.depth, 1, rs.format.z16, 2, 150, rs.distortion.brown_conrady, [0] * 5)
    colour = stream(colour_sensor, rs.stream.color, 2, rs.format.rgb8, 3, 170,
                    rs.distortion.inverse_brown_conrady, [-0.05, 0.06, 0.0005, -0.0004, -0.02])
    depth_sensor.add_read_only_option(rs.option.depth_units, 0.00025)
    extrinsics = rs.extrinsics()
    extrinsics.rotation = [1, 0, 0, 0, 0.9998477, 0.0174524, 0, -0.0174524, 0.9998477]
    extrinsics.translation = [0.015, 0.001, 0.002]
    depth.register_extrinsics_to(colour, extrinsics)
    recorder = rs.recorder(sys.argv[1], device)
    sensors = recorder.query_sensors()
    queues = [rs.frame_queue(50), rs.frame_queue(50)]
    for sensor, queue in zip(sensors, queues):
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(queue)
    for k in range(5):
        for sensor, profile, pixels in (
            (depth_sensor, depth, np.full((120, 160), 4000, np.uint16)),
            (colour_sensor, colour, np.tile(np.array([200, 0, 7], np.uint8), (120, 160, 1))),
        ):
            f = rs.software_video_frame()
            f.pixels, f.stride, f.bpp = pixels, pixels.strides[0], pixels.strides[1]
            f.timestamp, f.domain, f.frame_number = 1000 + 33.3 * k, rs.timestamp_domain.hardware_clock, k
            f.profile = profile.as_video_stream_profile()
            if profile is depth:
                f.depth_units = 0.00025
            sensor.on_video_frame(f)
        time.sleep(0.05)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del sensors, sensor, recorder
""")
