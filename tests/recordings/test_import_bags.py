"""Bags to capture folders, each bag written by the test: pixels, cameras, depth, pairs, and what is refused."""

import json
import os
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="skipped: rosbags is not installed")

from box_scene import T_COLOUR_DEPTH, camera, depth_of_rays, rays_of, texture
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
    static_transform,
    write_bag,
)

from selfpose6d.datasets.capture.dataset import CaptureDataset
from selfpose6d.datasets.images import read_rgb
from selfpose6d.datasets.model_files import ModelFiles
from selfpose6d.errors import DataError, UsageError
from selfpose6d.recordings.bag_messages import open_bag
from selfpose6d.recordings.import_recording import import_recording
from selfpose6d.recordings.options import RecordingOptions
from selfpose6d.selection import FrameId, Selection

FORMS = ("ros1", "sqlite3", "mcap")
SIZE = (160, 120)


def frame(seed: int, base_mm: int = 700) -> tuple[np.ndarray, np.ndarray]:
    """Colour, and depth in millimetres that differs at every pixel; unknown in one corner."""
    depth = (base_mm + 10 * seed + np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[::-1]) % 1000).astype(np.uint16)
    depth[:5, :5] = 0
    return texture(SIZE, seed), depth


def read_depth_m(out, name: str) -> np.ndarray:
    """As the capture folder's reader does, from the written unit."""
    scale = json.loads((out / "camera.json").read_text())["depth_scale"]
    return cv2.imread(str(out / "depth" / name), cv2.IMREAD_UNCHANGED) * scale / 1000


def colours(out) -> list[np.ndarray]:
    """All written colour images."""
    return [read_rgb(path) for path in sorted((out / "rgb").iterdir())]


@pytest.mark.parametrize("form", FORMS)
def test_pixels_camera_and_depth_of_every_form(tmp_path, form):
    frames = [frame(seed) for seed in range(3)]
    bag = write_bag(tmp_path, form, rgbd_messages(frames))
    out = tmp_path / "out"
    summary = import_recording(bag, out, RecordingOptions())
    assert summary.num_frames == 3
    assert summary.num_alone == {"colour": 0, "depth": 0}
    for name, (rgb, depth) in zip(("000000.png", "000001.png", "000002.png"), frames, strict=True):
        np.testing.assert_array_equal(read_rgb(out / "rgb" / name), rgb)
        np.testing.assert_array_equal(read_depth_m(out, name), depth / 1000)
    camera_json = json.loads((out / "camera.json").read_text())
    assert camera_json["cam_K"] == K_COLOUR.ravel().tolist()
    assert camera_json["depth_scale"] == 1.0
    record = json.loads((out / "recording.json").read_text())
    assert record["colour_from"] == "/camera/color/image_raw"
    assert record["frames"]["000001"]["colour_stamp_ns"] == START_NS + NS_PER_S // 30
    assert record["frames"]["000001"]["depth_stamp_ns"] == START_NS + NS_PER_S // 30 + 10**6


def test_the_capture_folder_is_a_data_set(tmp_path):
    rgb, depth = frame(1)
    bag = write_bag(tmp_path, "mcap", rgbd_messages([(rgb, depth)]))
    import_recording(bag, tmp_path / "out", RecordingOptions())

    (tmp_path / "out" / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "out" / "masks" / "000000.png"), np.ones(SIZE[::-1], np.uint8))
    dataset = CaptureDataset(tmp_path / "out", "all", Selection(), ModelFiles(tmp_path, {}), None)
    np.testing.assert_allclose(dataset.read_depth(FrameId(0, 0)), depth / 1000, atol=1e-6)
    np.testing.assert_array_equal(dataset.read_intrinsics(FrameId(0, 0)), K_COLOUR)


def test_floats_are_metres_and_sentinels_unknown(tmp_path):
    rgb, depth = frame(0)
    depth_m = (depth / 1000).astype(np.float32)
    depth_m[20, 20:24] = np.nan, np.inf, 1e10, -1
    bag = write_bag(tmp_path, "ros1", rgbd_messages([(rgb, depth_m)], "32FC1"))
    import_recording(bag, tmp_path / "out", RecordingOptions())
    written_m = read_depth_m(tmp_path / "out", "000000.png")
    assert (written_m[20, 20:24] == 0).all()
    depth_m[20, 20:24] = 0
    np.testing.assert_allclose(written_m, depth_m, atol=0.000126)


def test_the_largest_16_bit_value_is_unknown_and_units_can_be_said(tmp_path):
    rgb, depth = frame(0)
    depth[30, 30] = 65535
    bag = write_bag(tmp_path, "sqlite3", rgbd_messages([(rgb, depth)]))
    import_recording(bag, tmp_path / "out", RecordingOptions(depth_scale=0.1))
    written_m = read_depth_m(tmp_path / "out", "000000.png")
    assert written_m[30, 30] == 0
    assert written_m[40, 40] == pytest.approx(depth[40, 40] / 10000)


def test_compressed_images_of_image_transport(tmp_path):
    rgb, depth = frame(0)
    header = struct.pack("<iff", 0, 0.0, 0.0)
    messages = [
        camera_info("/cam/color/camera_info", START_NS, K_COLOUR, SIZE),
        camera_info("/cam/aligned_depth_to_color/camera_info", START_NS, K_COLOUR, SIZE),
        compressed(
            "/cam/color/image_raw/compressed", START_NS, encoded(rgb, ".png"), "rgb8; png compressed bgr8"
        ),
        compressed(
            "/cam/aligned_depth_to_color/image_raw/compressedDepth",
            START_NS,
            header + encoded(depth, ".png"),
            "16UC1; compressedDepth png",
        ),
    ]
    out = tmp_path / "out"
    import_recording(write_bag(tmp_path, "mcap", messages), out, RecordingOptions())
    np.testing.assert_array_equal(colours(out)[0], rgb)
    np.testing.assert_array_equal(read_depth_m(out, "000000.png"), depth / 1000)


def test_jpeg_files_are_kept_as_they_are_unless_the_lens_bends(tmp_path):
    rgb, depth = frame(0)
    jpeg = encoded(cv2.GaussianBlur(rgb, (0, 0), 2), ".jpg")
    messages = [m for m in rgbd_messages([(rgb, depth)]) if m.topic != "/camera/color/image_raw"]
    messages.append(
        compressed("/camera/color/image_raw/compressed", START_NS, jpeg, "rgb8; jpeg compressed bgr8")
    )
    bag = write_bag(tmp_path, "mcap", messages)
    import_recording(bag, tmp_path / "kept", RecordingOptions())
    assert (tmp_path / "kept" / "rgb" / "000000.jpg").read_bytes() == jpeg
    np.testing.assert_array_equal(read_depth_m(tmp_path / "kept", "000000.png"), depth / 1000)
    lens = {
        "fx": 150.0,
        "fy": 151.0,
        "cx": 79.5,
        "cy": 59.5,
        "distortion_model": "plumb_bob",
        "d": [0.1, 0, 0, 0, 0],
    }
    (tmp_path / "lens.json").write_text(json.dumps(lens))
    options = RecordingOptions(camera=tmp_path / "lens.json", aligned=True)
    import_recording(bag, tmp_path / "undistorted", options)
    assert [path.name for path in (tmp_path / "undistorted" / "rgb").iterdir()] == ["000000.png"]


def test_an_encoding_that_is_not_known_is_said(tmp_path):
    rgb, depth = frame(0)
    messages = rgbd_messages([(rgb, depth)])
    odd = [
        image(m.topic, m.stamp_ns, rgb, "nv24") if m.topic == "/camera/color/image_raw" else m
        for m in messages
    ]
    with pytest.raises(
        DataError, match=r"no colour topic.*Unreadable: /camera/color/image_raw: encoding 'nv24'"
    ):
        import_recording(write_bag(tmp_path, "mcap", odd), tmp_path / "out", RecordingOptions())


def test_images_without_a_stamp_have_the_time_of_recording(tmp_path):
    rgb, depth = frame(0)
    info = [camera_info(f"/c/{name}/camera_info", 0, K_COLOUR, SIZE) for name in ("color", "depth")]
    images = [image("/c/color/image_raw", 0, rgb, "rgb8"), image("/c/depth/image_raw", 0, depth, "16UC1")]
    recorded = [
        Sent(m.topic, m.kind, START_NS + step, m.fields, m.frame_id, header_stamp_ns=0)
        for step, m in enumerate((*info, *images))
    ]
    import_recording(write_bag(tmp_path, "ros1", recorded), tmp_path / "out", RecordingOptions())
    record = json.loads((tmp_path / "out" / "recording.json").read_text())
    assert record["frames"]["000000"]["colour_stamp_ns"] == START_NS + 2


@pytest.mark.parametrize("mode", ["MESSAGE", "FILE"])
def test_compressed_rosbag2(tmp_path, mode):
    """Messages or whole files in Zstandard, as `ros2 bag record --compression-mode` writes them."""
    frames = [frame(seed) for seed in range(2)]
    bag = write_bag(tmp_path, "sqlite3", rgbd_messages(frames), mode)
    assert import_recording(bag, tmp_path / "out", RecordingOptions()).num_frames == 2
    np.testing.assert_array_equal(colours(tmp_path / "out")[1], frames[1][0])


def two_cameras(extrinsics: list[Sent], frames=("colour", "depth")) -> tuple[list[Sent], np.ndarray]:
    """A bag of the box scene with depth in its own camera; what the colour camera sees."""
    colour_size, depth_size = (320, 240), (212, 160)
    K_colour, K_depth = camera(310, colour_size), camera(200, depth_size)
    depth_m, _ = depth_of_rays(rays_of(K_depth, depth_size), T_COLOUR_DEPTH)
    true_m, _ = depth_of_rays(rays_of(K_colour, colour_size), np.eye(4))
    messages = [
        *extrinsics,
        camera_info("/c/color/camera_info", START_NS, K_colour, colour_size, frames[0]),
        camera_info("/c/depth/camera_info", START_NS, K_depth, depth_size, frames[1]),
        image("/c/color/image_raw", START_NS, texture(colour_size), "rgb8", frame_id=frames[0]),
        image("/c/depth/image_raw", START_NS, depth_m.astype(np.float32), "32FC1", frame_id=frames[1]),
    ]
    return messages, true_m


def assert_aligned(out, true_m: np.ndarray) -> None:
    """Nearly everywhere as the colour camera sees it."""
    depth_m = read_depth_m(out, "000000.png")
    inner = np.zeros(true_m.shape, bool)
    inner[40:-40, 50:-50] = True
    known = inner & (depth_m > 0)
    assert known.sum() > 0.9 * inner.sum()
    assert np.percentile(np.abs(depth_m - true_m)[known], 96) < 0.0002


@pytest.mark.parametrize("form", FORMS)
def test_depth_is_aligned_by_static_transforms(tmp_path, form):
    """The chain: base to colour, base to link, link to depth; colour and depth are two steps from each other."""
    T_base_colour = np.eye(4)
    T_base_colour[:3, :3] = cv2.Rodrigues(np.array([0.3, -1.2, 0.4]))[0]
    T_base_colour[:3, 3] = 0.1, 0.2, 0.3
    T_base_link = np.eye(4)
    T_base_link[:3, 3] = 0.5, 0, 0
    T_link_depth = np.linalg.inv(T_base_link) @ T_base_colour @ T_COLOUR_DEPTH
    transforms = [
        static_transform("base", "colour", T_base_colour),
        static_transform("base", "link", T_base_link),
        static_transform("link", "depth", T_link_depth),
    ]
    messages, true_m = two_cameras(transforms)
    summary = import_recording(write_bag(tmp_path, form, messages), tmp_path / "out", RecordingOptions())
    assert "/tf_static" in summary.alignment
    assert_aligned(tmp_path / "out", true_m)


def test_depth_is_aligned_by_an_extrinsics_file(tmp_path):
    messages, true_m = two_cameras([])
    bag = write_bag(tmp_path, "sqlite3", messages)
    text = tmp_path / "T.txt"
    np.savetxt(text, T_COLOUR_DEPTH)
    import_recording(bag, tmp_path / "text", RecordingOptions(extrinsics=text))
    assert_aligned(tmp_path / "text", true_m)
    realsense = {
        "rotation": T_COLOUR_DEPTH[:3, :3].T.ravel().tolist(),
        "translation": T_COLOUR_DEPTH[:3, 3].tolist(),
    }
    (tmp_path / "T.json").write_text(json.dumps(realsense))
    import_recording(bag, tmp_path / "json", RecordingOptions(extrinsics=tmp_path / "T.json"))
    assert_aligned(tmp_path / "json", true_m)


def test_missing_extrinsics_are_refused(tmp_path):
    messages, _ = two_cameras([])
    bag = write_bag(tmp_path, "mcap", messages)
    with pytest.raises(DataError, match=r"no transform between their frames\. Pass --extrinsics"):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recording"]


def test_one_frame_with_two_resolutions_needs_no_transform(tmp_path):
    """Drivers that register depth at half the size: the same frame, another matrix."""
    rgb, depth = frame(0)
    half = K_COLOUR.copy()
    half[0], half[1] = half[0] / 2 - [0, 0, 0.25], half[1] / 2 - [0, 0, 0.25]
    depth = np.full((60, 80), 800, np.uint16)
    messages = [
        camera_info("/c/color/camera_info", START_NS, K_COLOUR, SIZE),
        camera_info("/c/depth/camera_info", START_NS, half, (80, 60)),
        image("/c/color/image_raw", START_NS, rgb, "rgb8"),
        image("/c/depth/image_raw", START_NS, depth, "16UC1"),
    ]
    out = tmp_path / "out"
    import_recording(write_bag(tmp_path, "ros1", messages), out, RecordingOptions())
    depth_m = read_depth_m(out, "000000.png")
    np.testing.assert_allclose(depth_m, 0.8, atol=1e-6)


def test_every_nth_frame_the_sharpest_of_each_step(tmp_path):
    frames = [frame(seed) for seed in range(7)]
    sharp = {1, 5, 6}
    shown = [
        (rgb if i in sharp else cv2.GaussianBlur(rgb, (0, 0), 3), depth)
        for i, (rgb, depth) in enumerate(frames)
    ]
    bag = write_bag(tmp_path, "mcap", rgbd_messages(shown))
    import_recording(bag, tmp_path / "sharp", RecordingOptions(every=3))
    for written, index in zip(colours(tmp_path / "sharp"), (1, 5, 6), strict=True):
        np.testing.assert_array_equal(written, frames[index][0])
    np.testing.assert_array_equal(read_depth_m(tmp_path / "sharp", "000001.png"), frames[5][1] / 1000)
    import_recording(bag, tmp_path / "first", RecordingOptions(every=3, sharpest=False))
    for written, index in zip(colours(tmp_path / "first"), (0, 3, 6), strict=True):
        np.testing.assert_array_equal(written, shown[index][0])
    assert import_recording(bag, tmp_path / "two", RecordingOptions(max_frames=2)).num_frames == 2


def test_images_without_a_partner_are_counted(tmp_path):
    messages = rgbd_messages([frame(seed) for seed in range(6)])
    # the depth of the second frame comes 40 ms late, that of the fifth is missing
    depths = [m for m in messages if m.topic == "/camera/depth/image_raw"]
    late = Sent(depths[1].topic, depths[1].kind, depths[1].stamp_ns + 16 * 10**6, depths[1].fields)
    messages[messages.index(depths[1])] = late
    messages.remove(depths[4])
    summary = import_recording(
        write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions(max_gap_ms=5.0)
    )
    assert summary.num_frames == 4
    assert summary.num_alone == {"colour": 2, "depth": 1}


def test_no_pairs_at_all(tmp_path):
    messages = [
        Sent(
            m.topic,
            m.kind,
            m.stamp_ns + (50 * 10**6 if m.topic.startswith("/camera/depth/im") else 0),
            m.fields,
        )
        for m in rgbd_messages([frame(0)])
    ]
    bag = write_bag(tmp_path, "ros1", messages)
    with pytest.raises(
        DataError, match=r"within 20 ms \(1 colour, 1 depth images, the closest 51\.0 ms apart\)"
    ):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    assert import_recording(bag, tmp_path / "out", RecordingOptions(max_gap_ms=60.0)).num_frames == 1


def test_lens_distortion_is_taken_out_of_both_images(tmp_path):
    """A white square at known rays, drawn where the lens shows it, is where the pinhole camera shows it afterwards."""
    K, size, d = camera(260, (320, 240)), (320, 240), np.array([-0.28, 0.09, 0.001, -0.002, 0.0])
    ray = np.array([0.35, -0.25, 1.0])
    u, v = np.rint(cv2.projectPoints(ray[None], np.zeros(3), np.zeros(3), K, d)[0].ravel()).astype(int)
    rgb, depth = np.full((240, 320, 3), 30, np.uint8), np.full((240, 320), 1500, np.uint16)
    rgb[v - 2 : v + 3, u - 2 : u + 3] = 255
    depth[v - 2 : v + 3, u - 2 : u + 3] = 900
    messages = [
        camera_info("/c/color/camera_info", START_NS, K, size, d=d),
        camera_info("/c/depth/camera_info", START_NS, K, size, d=d),
        image("/c/color/image_raw", START_NS, rgb, "rgb8"),
        image("/c/depth/image_raw", START_NS, depth, "16UC1"),
    ]
    out = tmp_path / "out"
    import_recording(write_bag(tmp_path, "sqlite3", messages), out, RecordingOptions())
    depth_m = read_depth_m(out, "000000.png")
    assert set(np.unique(depth_m).tolist()) <= {0.0, 0.9, 1.5}
    for found in (colours(out)[0][..., 0] > 150, depth_m == 0.9):
        rows, columns = np.nonzero(found)
        expected = K @ ray
        assert columns.mean() == pytest.approx(expected[0], abs=0.6)
        assert rows.mean() == pytest.approx(expected[1], abs=0.6)
    assert abs(u - expected[0]) > 4


def test_depth_that_is_rectified_already_stays_where_it_is(tmp_path):
    """One matrix for both, a lens of the colour camera only: only colour is undistorted."""
    rgb, depth = frame(0)
    depth = np.where(np.arange(160) < 80, 700, 900).astype(np.uint16) * np.ones((120, 1), np.uint16)
    messages = [
        camera_info("/c/color/camera_info", START_NS, K_COLOUR, SIZE, d=np.array([-0.2, 0.05, 0, 0, 0])),
        camera_info("/c/aligned_depth_to_color/camera_info", START_NS, K_COLOUR, SIZE),
        image("/c/color/image_raw", START_NS, rgb, "rgb8"),
        image("/c/aligned_depth_to_color/image_raw", START_NS, depth, "16UC1"),
    ]
    import_recording(write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions())
    np.testing.assert_allclose(read_depth_m(tmp_path / "out", "000000.png"), depth / 1000, atol=1e-9)
    assert np.abs(colours(tmp_path / "out")[0].astype(int) - rgb).max() > 20


def test_unreadable_messages_are_skipped_and_counted(tmp_path):
    messages = rgbd_messages([frame(seed) for seed in range(4)])
    depths = [index for index, m in enumerate(messages) if m.topic == "/camera/depth/image_raw"]
    cut = messages[depths[1]]
    messages[depths[1]] = Sent(
        cut.topic, cut.kind, cut.stamp_ns, {**cut.fields, "data": cut.fields["data"][:999]}
    )
    summary = import_recording(write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions())
    assert summary.num_frames == 3
    [(reason, count)] = summary.skipped.items()
    assert count == 1
    assert "expected 120 rows of 320 bytes" in reason


def test_nothing_readable(tmp_path):
    messages = rgbd_messages([frame(0)])
    for index, m in enumerate(messages):
        if m.topic == "/camera/depth/image_raw":
            messages[index] = Sent(m.topic, m.kind, m.stamp_ns, {**m.fields, "data": m.fields["data"][:9]})
    with pytest.raises(DataError, match="no depth topic"):
        import_recording(write_bag(tmp_path, "ros1", messages), tmp_path / "out", RecordingOptions())


def test_a_bag_that_is_cut_off(tmp_path):
    bag = write_bag(tmp_path, "ros1", rgbd_messages([frame(0)]))
    bag.write_bytes(bag.read_bytes()[:20000])
    with pytest.raises(DataError, match=r"no readable bag .*rosbag reindex"):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    bag.write_bytes(b"")
    with pytest.raises(DataError, match=r"recording\.bag: no readable bag"):
        import_recording(bag, tmp_path / "out", RecordingOptions())


@pytest.mark.parametrize(
    "name", ["recording.bag", "recording.mcap", "recording.db3", "recording/metadata.yaml"]
)
def test_a_pipe_is_no_bag(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / name)
    path = tmp_path / name.removesuffix("/metadata.yaml")
    with pytest.raises(DataError, match=r"no readable bag .*not a file but a pipe"), open_bag(path):
        pass


def test_a_bag_that_is_damaged_in_the_middle(tmp_path):
    """What comes before the damage is imported, and the damage is said."""
    bag = write_bag(tmp_path, "ros1", rgbd_messages([frame(seed) for seed in range(12)]))
    content = bytearray(bag.read_bytes())
    middle = len(content) * 2 // 3
    content[middle : middle + 100000] = bytes(100000)
    bag.write_bytes(content)
    summary = import_recording(bag, tmp_path / "out", RecordingOptions())
    assert 3 <= summary.num_frames < 12
    assert summary.skipped


def test_several_topics_that_fit_are_all_named(tmp_path):
    rgb, depth = frame(0)
    messages = [
        *rgbd_messages([(rgb, depth)]),
        camera_info("/wrist/color/camera_info", START_NS, K_COLOUR, SIZE),
        image("/wrist/color/image_raw", START_NS, rgb[::-1], "rgb8"),
    ]
    bag = write_bag(tmp_path, "mcap", messages)
    with pytest.raises(
        DataError, match=r"several colour topics fit: /camera/color/image_raw.*/wrist/color/image_raw"
    ):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    import_recording(bag, tmp_path / "out", RecordingOptions(colour_topic="/wrist/color/image_raw"))
    np.testing.assert_array_equal(colours(tmp_path / "out")[0], rgb[::-1])
    with pytest.raises(
        UsageError, match=r"no image topic /wrong\. The recording has: /camera/color/image_raw \(rgb8"
    ):
        import_recording(bag, tmp_path / "other", RecordingOptions(colour_topic="/wrong"))
    with pytest.raises(UsageError, match=r"/camera/color/image_raw .* holds no depth images"):
        import_recording(bag, tmp_path / "other", RecordingOptions(depth_topic="/camera/color/image_raw"))


@pytest.mark.parametrize("form", FORMS)
def test_empty_recordings(tmp_path, form):
    with pytest.raises(DataError, match="no images in this recording; it holds nothing"):
        import_recording(write_bag(tmp_path, form, []), tmp_path / "out", RecordingOptions())
    (tmp_path / "empty.mcap").write_bytes(b"")
    with pytest.raises(
        DataError, match=r"no readable bag \(.* seems to be empty\)\. A recording that was cut off: mcap"
    ):
        import_recording(tmp_path / "empty.mcap", tmp_path / "out", RecordingOptions())


def test_out_may_be_the_current_folder_or_a_link(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "bag", "ros1", rgbd_messages([frame(0)]))
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "here")
    import_recording(bag, Path("."), RecordingOptions())
    assert (tmp_path / "here" / "camera.json").is_file()
    import_recording(bag, tmp_path / "link", RecordingOptions())
    assert (tmp_path / "there" / "camera.json").is_file()


def test_no_images_and_no_camera(tmp_path):
    other = [Sent("/chatter", "std_msgs/msg/String", START_NS, {"data": "hello"})]
    with pytest.raises(
        DataError, match=r"no images in this recording; it holds /chatter \(std_msgs/msg/String\)"
    ):
        import_recording(write_bag(tmp_path, "sqlite3", other), tmp_path / "out", RecordingOptions())
    messages = [m for m in rgbd_messages([frame(0)]) if "info" not in m.topic]
    bag = write_bag(tmp_path / "two", "mcap", messages)
    with pytest.raises(DataError, match=r"no camera is known.*--camera FILE"):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    K = tmp_path / "cam_K.txt"
    np.savetxt(K, K_COLOUR)
    assert import_recording(bag, tmp_path / "out", RecordingOptions(camera=K)).num_frames == 1


def test_an_uncalibrated_camera_is_refused_and_a_file_takes_its_place(tmp_path):
    messages = [
        camera_info(m.topic, m.stamp_ns, np.zeros((3, 3)), SIZE) if "info" in m.topic else m
        for m in rgbd_messages([frame(0)])
    ]
    bag = write_bag(tmp_path, "ros1", messages)
    with pytest.raises(DataError, match=r"/camera/color/camera_info: .* the camera is not calibrated\. Pass"):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    np.savetxt(tmp_path / "K.txt", K_COLOUR)
    options = RecordingOptions(camera=tmp_path / "K.txt", aligned=True)
    assert import_recording(bag, tmp_path / "out", options).num_frames == 1


def test_extrinsics_topic_of_the_realsense_driver(tmp_path):
    """realsense2_camera publishes librealsense's rotation, column by column, without a header."""
    R, t = T_COLOUR_DEPTH[:3, :3], T_COLOUR_DEPTH[:3, 3]
    sent = Sent(
        "/c/extrinsics/depth_to_color",
        "realsense2_camera_msgs/msg/Extrinsics",
        START_NS,
        {"rotation": R.T.ravel(), "translation": t.copy()},
    )
    messages, true_m = two_cameras([sent])
    summary = import_recording(write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions())
    assert "/c/extrinsics/depth_to_color" in summary.alignment
    assert_aligned(tmp_path / "out", true_m)


def test_only_depth(tmp_path):
    messages = [m for m in rgbd_messages([frame(0)]) if "color/image" not in m.topic]
    with pytest.raises(
        DataError, match=r"no colour topic\. Image topics of the recording: /camera/depth/image_raw"
    ):
        import_recording(write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions())


def test_rectified_topics_have_the_projection_matrix_and_no_distortion(tmp_path):
    rgb, depth = frame(0)
    P = np.array([[140.0, 0, 78, 0], [0, 141, 58, 0], [0, 0, 1, 0]])
    messages = [
        camera_info(
            "/c/rgb/camera_info", START_NS, K_COLOUR, SIZE, d=np.array([0.1, 0, 0, 0, 0.0]), p=P.ravel()
        ),
        image("/c/rgb/image_rect_color", START_NS, rgb, "rgb8"),
        image("/c/depth_registered/image_rect", START_NS, depth, "16UC1"),
    ]
    import_recording(write_bag(tmp_path, "ros1", messages), tmp_path / "out", RecordingOptions())
    camera_json = json.loads((tmp_path / "out" / "camera.json").read_text())
    assert camera_json["cam_K"] == P[:, :3].ravel().tolist()
    np.testing.assert_array_equal(colours(tmp_path / "out")[0], rgb)


def test_binning_and_crop_of_camera_info(tmp_path):
    """A camera info of the whole sensor, images of its middle at half the resolution."""
    rgb, depth = frame(0)
    K = np.array([[300.0, 0, 300], [0, 302, 200], [0, 0, 1]])
    info = {"binning_x": 2, "binning_y": 2, "roi": (140, 80, 240, 320)}  # x and y offset, height, width
    messages = [
        camera_info("/c/color/camera_info", START_NS, K, (640, 480), **info),
        image("/c/color/image_raw", START_NS, rgb, "rgb8"),
        image("/c/depth_registered/image_raw", START_NS, depth, "16UC1"),
    ]
    import_recording(write_bag(tmp_path, "mcap", messages), tmp_path / "out", RecordingOptions())
    cam_K = json.loads((tmp_path / "out" / "camera.json").read_text())["cam_K"]
    # of a ray: sensor pixel (u, v) becomes ((u - 140 + 0.5) / 2 - 0.5, (v - 80 + 0.5) / 2 - 0.5)
    assert cam_K == [150, 0, (300 - 140 + 0.5) / 2 - 0.5, 0, 151, (200 - 80 + 0.5) / 2 - 0.5, 0, 0, 1]


def test_out_must_be_new_or_of_the_same_and_a_stopped_import_goes_on(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "bag", "ros1", rgbd_messages([frame(0), frame(1)]))
    out = tmp_path / "out"
    out.mkdir()
    first = import_recording(bag, out, RecordingOptions())
    with pytest.raises(UsageError, match="exists and is not empty"):
        import_recording(bag, out, RecordingOptions(every=2))
    images = {path: path.stat().st_mtime_ns for path in out.rglob("*.*")}
    assert import_recording(bag, out, RecordingOptions()).num_frames == first.num_frames == 2
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.*")} == images
    from selfpose6d.recordings import import_recording as module

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_camera", interrupted)
    with pytest.raises(KeyboardInterrupt):
        import_recording(bag, tmp_path / "other", RecordingOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.part", "bag", "out"]
    monkeypatch.undo()
    monkeypatch.setattr(module, "_write_frame", interrupted)  # no frame is made twice
    import_recording(bag, tmp_path / "other", RecordingOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "other", "out"]
    for path in out.rglob("*.*"):
        assert (tmp_path / "other" / path.relative_to(out)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("left", [[".out.lock"], [".out.lock", ".out.lock.json"], [".out.lock.json"]])
def test_a_lock_that_a_kill_left_at_the_very_end_is_cleared_by_the_same_call(tmp_path, left):
    bag = write_bag(tmp_path / "bag", "ros1", rgbd_messages([frame(0)]))
    import_recording(bag, tmp_path / "out", RecordingOptions())
    for name in left:
        (tmp_path / name).write_text("{")
    assert import_recording(bag, tmp_path / "out", RecordingOptions()).num_frames == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bag", "out"]


def test_nothing_is_left_of_a_recording_that_gives_no_frame(tmp_path):
    bag = tmp_path / "empty.bag"
    bag.write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(DataError):
        import_recording(bag, tmp_path / "out", RecordingOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.bag"]
