"""Videos with depth, and folders of images as other tools leave them."""

import json
import os

import cv2
import numpy as np
import pytest
from box_scene import T_COLOUR_DEPTH, camera, depth_of_rays, rays_of, texture

from selfpose6d.datasets.images import read_rgb
from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings.import_recording import import_recording
from selfpose6d.recordings.options import RecordingOptions

SIZE = (160, 120)
K = np.array([[150.0, 0, 79.5], [0, 151.0, 59.5], [0, 0, 1]])


def depth_mm(index: int) -> np.ndarray:
    """Depth that differs between frames and pixels."""
    return (600 + 50 * index + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1]) % 700).astype(np.uint16)


def write_image(path, pixels: np.ndarray) -> None:
    """RGB or one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels[..., ::-1] if pixels.ndim == 3 else pixels)


def write_video(path, frames: list[np.ndarray], rate_hz: int = 30) -> None:
    """Lossless FFV1; RGB, or one channel of 16 bits."""
    is_depth = frames[0].ndim == 2
    settings = [cv2.VIDEOWRITER_PROP_DEPTH, cv2.CV_16U, cv2.VIDEOWRITER_PROP_IS_COLOR, 0] if is_depth else []
    code = cv2.VideoWriter.fourcc(*"FFV1")
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, rate_hz, SIZE, settings)
    if not video.isOpened():
        pytest.skip("skipped: this OpenCV writes no FFV1 video")
    for frame in frames:
        video.write(frame if is_depth else np.ascontiguousarray(frame[..., ::-1]))
    video.release()


def written(out) -> list[tuple[np.ndarray, np.ndarray]]:
    """The frames: RGB and depth in metres."""
    scale = json.loads((out / "camera.json").read_text())["depth_scale"]
    return [
        (
            read_rgb(path),
            cv2.imread(str(out / "depth" / f"{path.stem}.png"), cv2.IMREAD_UNCHANGED) * scale / 1000,
        )
        for path in sorted((out / "rgb").iterdir())
    ]


@pytest.fixture
def camera_file(tmp_path):
    """cam_K.txt outside of the recording."""
    np.savetxt(tmp_path / "K.txt", K)
    return tmp_path / "K.txt"


def test_video_with_16_bit_video(tmp_path, camera_file):
    colours, depths = [texture(SIZE, seed) for seed in range(4)], [depth_mm(index) for index in range(4)]
    write_video(tmp_path / "colour.avi", colours)
    write_video(tmp_path / "depth.mkv", depths)
    options = RecordingOptions(camera=camera_file, depth=tmp_path / "depth.mkv")
    summary = import_recording(tmp_path / "colour.avi", tmp_path / "out", options)
    assert summary.num_frames == 4
    for (rgb, depth_m), colour, depth in zip(written(tmp_path / "out"), colours, depths, strict=True):
        # the video holds YUV with halved colour: the picture, not every pixel's value
        assert np.abs(rgb.astype(int) - colour).mean() < 12
        np.testing.assert_array_equal(depth_m, depth / 1000)
    record = json.loads((tmp_path / "out" / "recording.json").read_text())
    assert record["frames"]["000003"]["colour"] == "colour.avi#3"
    assert record["frames"]["000003"]["colour_stamp_ns"] == pytest.approx(1e8, abs=2e6)


def test_video_with_a_folder_of_arrays(tmp_path, camera_file):
    write_video(tmp_path / "colour.avi", [texture(SIZE, seed) for seed in range(3)])
    (tmp_path / "npy").mkdir()
    for index in range(2):
        np.save(tmp_path / "npy" / f"{index}.npy", (depth_mm(index) / 1000).astype(np.float32))
    options = RecordingOptions(camera=camera_file, depth=tmp_path / "npy")
    summary = import_recording(tmp_path / "colour.avi", tmp_path / "out", options)
    assert (summary.num_frames, summary.num_alone) == (2, {"colour": 1, "depth": 0})
    np.testing.assert_allclose(written(tmp_path / "out")[1][1], depth_mm(1) / 1000, atol=0.000126)


def test_videos_of_different_rates_are_paired_by_time(tmp_path, camera_file):
    """Colour at 30 Hz, depth at 15: every second colour image has a partner."""
    write_video(tmp_path / "colour.avi", [texture(SIZE, seed) for seed in range(6)])
    write_video(tmp_path / "depth.mkv", [depth_mm(index) for index in range(3)], rate_hz=15)
    options = RecordingOptions(camera=camera_file, depth=tmp_path / "depth.mkv", max_gap_ms=10.0)
    summary = import_recording(tmp_path / "colour.avi", tmp_path / "out", options)
    assert (summary.num_frames, summary.num_alone) == (3, {"colour": 3, "depth": 0})
    record = json.loads((tmp_path / "out" / "recording.json").read_text())
    pairs = [(entry["colour"], entry["depth"]) for entry in record["frames"].values()]
    assert pairs == [
        ("colour.avi#0", "depth.mkv#0"),
        ("colour.avi#2", "depth.mkv#1"),
        ("colour.avi#4", "depth.mkv#2"),
    ]


def test_a_video_and_a_folder_must_have_as_many_images(tmp_path, camera_file):
    write_video(tmp_path / "colour.avi", [texture(SIZE, seed) for seed in range(8)])
    for index in range(4):
        write_image(tmp_path / "depth" / f"{index}.png", depth_mm(index))
    with pytest.raises(DataError, match=r"colour\.avi has 8 frames, but .*depth 4 images"):
        import_recording(
            tmp_path / "colour.avi",
            tmp_path / "out",
            RecordingOptions(camera=camera_file, depth=tmp_path / "depth"),
        )
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match=r"broken\.mp4: no video that OpenCV can read"):
        import_recording(
            tmp_path / "broken.mp4",
            tmp_path / "out",
            RecordingOptions(camera=camera_file, depth=tmp_path / "depth"),
        )
    (tmp_path / "broken.mp4").unlink()
    os.mkfifo(tmp_path / "broken.mp4")
    with pytest.raises(DataError, match=r"broken\.mp4: unreadable video \(not a file but a pipe"):
        import_recording(
            tmp_path / "broken.mp4",
            tmp_path / "out",
            RecordingOptions(camera=camera_file, depth=tmp_path / "depth"),
        )


def test_foundationpose_folder(tmp_path):
    """rgb/, depth/ with equal names, cam_K.txt beside them; what has no partner is counted."""
    root = tmp_path / "scene"
    for index in range(3):
        write_image(root / "rgb" / f"{index:07d}.png", texture(SIZE, index))
        write_image(root / "depth" / f"{index:07d}.png", depth_mm(index))
    (root / "depth" / "0000001.png").unlink()
    np.savetxt(root / "cam_K.txt", K)
    summary = import_recording(root, tmp_path / "out", RecordingOptions())
    assert (summary.num_frames, summary.num_alone) == (2, {"colour": 1, "depth": 0})
    rgb, depth_m = written(tmp_path / "out")[1]
    np.testing.assert_array_equal(rgb, texture(SIZE, 2))
    np.testing.assert_array_equal(depth_m, depth_mm(2) / 1000)
    record = json.loads((tmp_path / "out" / "recording.json").read_text())
    assert record["frames"]["000001"]["colour"] == "rgb/0000002.png"
    assert "colour_stamp_ns" not in record["frames"]["000001"]


def test_open3d_folder(tmp_path):
    """color/, depth/, intrinsic.json with the matrix by columns and units per metre."""
    root = tmp_path / "dataset"
    write_image(root / "color" / "000000.jpg", cv2.GaussianBlur(texture(SIZE), (0, 0), 4))
    write_image(root / "depth" / "000000.png", depth_mm(0) * 5)
    intrinsics = {
        "width": 160,
        "height": 120,
        "intrinsic_matrix": K.T.ravel().tolist(),
        "depth_scale": 5000.0,
    }
    (root / "intrinsic.json").write_text(json.dumps(intrinsics))
    summary = import_recording(root, tmp_path / "out", RecordingOptions())
    np.testing.assert_array_equal(summary.rig.colour.K, K)
    assert (tmp_path / "out" / "rgb" / "000000.jpg").read_bytes() == (
        root / "color" / "000000.jpg"
    ).read_bytes()
    np.testing.assert_allclose(written(tmp_path / "out")[0][1], depth_mm(0) / 1000, atol=1e-9)


def test_tum_folder_is_paired_by_its_times(tmp_path, camera_file):
    root = tmp_path / "rgbd_dataset"
    for index, name in enumerate(("1305031102.175304", "1305031102.211214", "1305031102.275326")):
        write_image(root / "rgb" / f"{name}.png", texture(SIZE, index))
    for index, name in enumerate(
        ("1305031102.160407", "1305031102.194330", "1305031102.262886", "1305031102.9")
    ):
        write_image(root / "depth" / f"{name}.png", depth_mm(index))
    summary = import_recording(root, tmp_path / "out", RecordingOptions(camera=camera_file, depth_scale=0.2))
    assert (summary.num_frames, summary.num_alone) == (3, {"colour": 0, "depth": 1})
    record = json.loads((tmp_path / "out" / "recording.json").read_text())
    assert record["frames"]["000002"]["depth"] == "depth/1305031102.262886.png"
    np.testing.assert_allclose(written(tmp_path / "out")[2][1], depth_mm(2) / 5000, atol=1e-9)


def test_names_with_words_and_numbers_without_zeros(tmp_path, camera_file):
    root = tmp_path / "capture"
    for index in range(11):
        write_image(root / "rgb" / f"frame_{index}_color.png", texture(SIZE, index))
        write_image(root / "depth" / f"frame_{index}_depth.png", depth_mm(index))
    import_recording(root, tmp_path / "out", RecordingOptions(camera=camera_file))
    frames = written(tmp_path / "out")
    for index, (rgb, depth_m) in enumerate(frames):
        np.testing.assert_array_equal(rgb, texture(SIZE, index))
        np.testing.assert_array_equal(depth_m, depth_mm(index) / 1000)


def test_a_folder_whose_depth_is_in_its_own_camera(tmp_path):
    root, size = tmp_path / "two", (200, 150)
    K_colour, K_depth = camera(190, SIZE), camera(180, size)
    depth_m, _ = depth_of_rays(rays_of(K_depth, size), T_COLOUR_DEPTH)
    write_image(root / "rgb" / "0.png", texture(SIZE))
    write_image(root / "depth" / "0.png", np.rint(depth_m * 10000).astype(np.uint16))
    for name, matrix in (("cam_K.txt", K_colour), ("depth_K.txt", K_depth), ("T.txt", T_COLOUR_DEPTH)):
        np.savetxt(root / name, matrix)
    options = RecordingOptions(depth_camera=root / "depth_K.txt", extrinsics=root / "T.txt", depth_scale=0.1)
    import_recording(root, tmp_path / "out", options)
    true_m, _ = depth_of_rays(rays_of(K_colour, SIZE), np.eye(4))
    aligned_m = written(tmp_path / "out")[0][1]
    inner = np.zeros(true_m.shape, bool)
    inner[25:-25, 30:-30] = True
    known = inner & (aligned_m > 0)
    assert known.sum() > 0.85 * inner.sum()
    assert np.percentile(np.abs(aligned_m - true_m)[known], 93) < 0.0004


def test_what_is_missing_is_said(tmp_path, camera_file):
    root = tmp_path / "scene"
    write_image(root / "rgb" / "a.png", texture(SIZE))
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=r"scene: no depth\. Pass --depth"):
        import_recording(root, out, RecordingOptions(camera=camera_file))
    write_image(root / "depth" / "x.png", depth_mm(0))
    write_image(root / "depth" / "y.png", depth_mm(0))
    with pytest.raises(UsageError, match=r"scene: no camera\. Pass --camera FILE"):
        import_recording(root, out, RecordingOptions())
    with pytest.raises(DataError, match=r"1 colour images, but 2 depth images .* names do not match"):
        import_recording(root, out, RecordingOptions(camera=camera_file))
    with pytest.raises(UsageError, match=r"--depth: .*nowhere does not exist"):
        import_recording(root, out, RecordingOptions(camera=camera_file, depth=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match=r"missing\.bag does not exist"):
        import_recording(tmp_path / "missing.bag", out, RecordingOptions())
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UsageError, match=r"notes\.txt: expected a bag \(\.bag, \.db3, \.mcap"):
        import_recording(tmp_path / "notes.txt", out, RecordingOptions())
    with pytest.raises(UsageError, match=r"is no recording: neither rosbag2's metadata\.yaml nor"):
        import_recording(tmp_path, out, RecordingOptions())
    assert not out.exists()


def test_depth_that_is_a_picture_and_unreadable_files(tmp_path):
    root = tmp_path / "scene"
    for index in range(3):
        write_image(root / "rgb" / f"{index}.png", texture(SIZE, index))
        write_image(root / "depth" / f"{index}.png", depth_mm(index))
    np.savetxt(root / "cam_K.txt", K)
    write_image(root / "depth" / "1.png", texture(SIZE))
    (root / "rgb" / "2.png").write_bytes(b"\x89PNG cut")
    summary = import_recording(root, tmp_path / "out", RecordingOptions())
    assert summary.num_frames == 1
    reasons = " ".join(summary.skipped)
    assert "expected depth as one channel of 16 bits or float, got 3 of uint8" in reasons
    assert "2.png: unreadable image" in reasons
    write_image(root / "depth" / "0.png", texture(SIZE))
    with pytest.raises(DataError, match=r"no frame could be read: .*one channel of 16 bits"):
        import_recording(root, tmp_path / "none", RecordingOptions())


def test_registered_depth_of_another_size_and_cameras_of_another_resolution(tmp_path):
    root = tmp_path / "scene"
    write_image(root / "rgb" / "0.png", texture(SIZE))
    write_image(root / "depth" / "0.png", depth_mm(0)[::2, ::2])
    np.savetxt(root / "cam_K.txt", K)
    with pytest.raises(DataError, match="is 80x60, the colour image 160x120"):
        import_recording(root, tmp_path / "out", RecordingOptions())
    (root / "big.json").write_text(json.dumps({"cam_K": K.ravel().tolist(), "width": 640, "height": 480}))
    with pytest.raises(DataError, match="calibrated for 640x480 pixels, but its images are 160x120"):
        import_recording(root, tmp_path / "out", RecordingOptions(camera=root / "big.json"))


def test_float_depth_in_millimetres_is_refused(tmp_path, camera_file):
    root = tmp_path / "scene"
    write_image(root / "rgb" / "0.png", texture(SIZE))
    (root / "depth").mkdir()
    np.save(root / "depth" / "0.npy", depth_mm(0).astype(np.float32))
    with pytest.raises(DataError, match=r"depth in floats must be metres: median 9\d\d"):
        import_recording(root, tmp_path / "out", RecordingOptions(camera=camera_file))
