"""`selfpose6d import`: a real recording end to end, what it prints, how it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="skipped: rosbags is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "recordings"))

from written_bags import (
    K_COLOUR,
    NS_PER_S,
    START_NS,
    Sent,
    camera_info,
    compressed,
    encoded,
    image,
    rgbd_messages,
    write_bag,
)

from selfpose6d.cli.main import main
from selfpose6d.datasets.images import read_rgb
from selfpose6d.datasets.options import DataOptions
from selfpose6d.selection import FrameId


@pytest.fixture(scope="module")
def real_bag(ycbv_sample, tmp_path_factory):
    """Scene 0 of the real sample as a rosbag2 MCAP file: compressed colour, depth in metres, one camera."""
    scene = ycbv_sample / "test" / "000000"
    cameras = json.loads((scene / "scene_camera.json").read_text())
    messages: list[Sent] = []
    for index, im_id in enumerate(sorted(map(int, cameras))):
        stamp_ns = START_NS + index * NS_PER_S // 15
        rgb = read_rgb(next((scene / "rgb").glob(f"{im_id:06d}.*")))
        raw = cv2.imread(str(scene / "depth" / f"{im_id:06d}.png"), cv2.IMREAD_UNCHANGED)
        K = np.reshape(cameras[str(im_id)]["cam_K"], (3, 3))
        messages += [
            camera_info("/camera/color/camera_info", stamp_ns, K, (640, 480), "camera_color_optical_frame"),
            compressed(
                "/camera/color/image_raw/compressed",
                stamp_ns,
                encoded(rgb, ".png"),
                "rgb8; png compressed bgr8",
                "camera_color_optical_frame",
            ),
            image(
                "/camera/aligned_depth_to_color/image_raw",
                stamp_ns + 3 * 10**6,
                (raw / 10000).astype(np.float32),
                "32FC1",
                frame_id="camera_color_optical_frame",
            ),
        ]
    return write_bag(tmp_path_factory.mktemp("real"), "mcap", messages)


def test_a_real_recording_becomes_a_valid_data_set(real_bag, ycbv_sample, tmp_path, capsys):
    """The frames with masks put beside them pass `validate`; pixels, camera and depth are the sample's."""
    out, scene = tmp_path / "capture", ycbv_sample / "test" / "000000"
    assert main(["import", str(real_bag), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "colour: /camera/color/image_raw/compressed\n" in printed
    assert "in the colour image's pixels: registered by the driver" in printed
    assert f"{out}: 10 frames\n" in printed
    images = sorted(int(path.stem) for path in (scene / "depth").glob("*.png"))
    objects = json.loads((scene / "scene_gt.json").read_text())
    for index, im_id in enumerate(images):
        for inst_id, entry in enumerate(objects[str(im_id)]):
            folder = out / "masks" / str(entry["obj_id"])
            folder.mkdir(parents=True, exist_ok=True)
            mask = (scene / "mask_visib" / f"{im_id:06d}_{inst_id:06d}.png").read_bytes()
            (folder / f"{index:06d}.png").write_bytes(mask)
    assert main(["validate", str(out), "--models", str(ycbv_sample / "models")]) == 0
    assert capsys.readouterr().out.startswith("ok: 0 errors, 0 warnings in 10 frames, 30 instances")
    dataset = DataOptions(out, models=ycbv_sample / "models").open()
    frame = dataset.load_frame(FrameId(0, 4))
    raw = cv2.imread(str(scene / "depth" / f"{images[4]:06d}.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(frame.depth_m, raw / 10000, atol=0.000126)
    np.testing.assert_array_equal(frame.rgb, read_rgb(scene / "rgb" / f"{images[4]:06d}.png"))


def test_every_and_max_frames(real_bag, tmp_path):
    assert main(["import", str(real_bag), str(tmp_path / "out"), "--every", "3", "--max-frames", "2"]) == 0
    assert len(list((tmp_path / "out" / "rgb").iterdir())) == 2


@pytest.fixture
def bag(tmp_path):
    """Two small frames."""
    frames = [(np.full((120, 160, 3), 50 * k, np.uint8), np.full((120, 160), 800, np.uint16)) for k in (1, 2)]
    return write_bag(tmp_path, "ros1", rgbd_messages(frames))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "0"], "--every must be 1 or more, got 0"),
        (["--max-gap-ms", "-1"], "--max-gap-ms must be 0 or more"),
        (["--depth-scale", "0.0005"], "--depth-scale is in mm per depth unit, got 0.0005"),
        (["--aligned", "--extrinsics", "T.txt"], "leave out --extrinsics"),
        (["--camera", "none.json"], "no camera file none.json"),
        (["--color-topic", "/none"], "no image topic /none"),
        (["--depth-info-topic", "/none"], "--depth-info-topic: no CameraInfo topic /none"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(bag, tmp_path, capsys, options, message):
    assert main(["import", str(bag), str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_recording_or_a_full_folder(bag, tmp_path, capsys):
    assert main(["import", str(tmp_path / "none.bag"), str(tmp_path / "out")]) == 2
    assert "none.bag does not exist" in capsys.readouterr().err
    assert main(["import", str(bag), str(tmp_path)]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert main(["import", str(bag)]) == 2
    assert "OUT" in capsys.readouterr().err


def test_what_was_left_out_is_said(bag, tmp_path, capsys):
    messages = rgbd_messages([(np.zeros((120, 160, 3), np.uint8), np.full((120, 160), 800, np.uint16))] * 12)
    cut = next(i for i, m in enumerate(messages) if m.topic == "/camera/color/image_raw")
    fields = {**messages[cut].fields, "data": messages[cut].fields["data"][:5]}
    messages[cut] = Sent(messages[cut].topic, messages[cut].kind, messages[cut].stamp_ns, fields)
    del messages[-1]
    path = write_bag(tmp_path / "cut", "mcap", messages)
    assert main(["import", str(path), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert "without a partner: 1 colour images" in printed.out
    assert "warning: skipped 1: expected 120 rows of 480 bytes" in printed.err
    path = write_bag(tmp_path / "more", "mcap", messages[:12])
    assert main(["import", str(path), str(tmp_path / "few")]) == 1  # one of three
    assert "few: 2 frames" in capsys.readouterr().out


def test_without_rosbags(bag, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.highlevel", None)
    assert main(["import", str(bag), str(tmp_path / "out")]) == 2
    assert "needs rosbags, which is not installed. Install the record extra: pip" in capsys.readouterr().err


def test_help_imports_neither_torch_nor_readers():
    code = (
        "import sys\n"
        "from selfpose6d.cli.main import main\n"
        "try:\n    main(['import', '--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'rosbags', 'pyrealsense2', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("[]")
    assert "--colour-topic" in done.stdout


def test_an_interrupted_import_leaves_nothing_that_looks_complete(bag, tmp_path):
    """Killed in the middle: OUT is not there, and the same command succeeds afterwards."""
    out = tmp_path / "out"
    code = (
        "import os, sys\n"
        "from selfpose6d.recordings import import_recording as module\n"
        "module.write_camera = lambda *_: os._exit(9)\n"
        "from selfpose6d.cli.main import main\n"
        "main(['import', *sys.argv[1:]])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(bag), str(out)], capture_output=True)
    assert done.returncode == 9
    assert not out.exists()
    assert main(["import", str(bag), str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["camera.json", "depth", "recording.json", "rgb"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert json.loads((out / "camera.json").read_text())["cam_K"] == K_COLOUR.ravel().tolist()
