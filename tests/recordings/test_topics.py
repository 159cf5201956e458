"""Which topics are taken, by the names and encodings of the usual drivers."""

import pytest

from selfpose6d.errors import DataError
from selfpose6d.recordings.topics import ImageTopic, choose_image_topics, choose_info_topic


def topics(**encodings: str) -> list[ImageTopic]:
    """Topics by name, `__` for a slash."""
    return [
        ImageTopic("/" + name.replace("__", "/"), encoding, "", (640, 480), 10)
        for name, encoding in encodings.items()
    ]


def chosen(**encodings: str) -> tuple[str, str]:
    """The names that are taken where nothing is named."""
    colour, depth = choose_image_topics(topics(**encodings), None, None)
    return colour.name, depth.name


def test_realsense_driver():
    """The aligned depth before the sensor's, colour before infrared, raw before compressed."""
    names = chosen(
        camera__color__image_raw="rgb8",
        camera__color__image_raw__compressed="rgb8",
        camera__depth__image_rect_raw="16uc1",
        camera__depth__image_rect_raw__compressedDepth="16uc1",
        camera__aligned_depth_to_color__image_raw="16uc1",
        camera__infra1__image_rect_raw="mono8",
    )
    assert names == ("/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw")


def test_azure_kinect_and_kinect_v2():
    names = chosen(
        rgb__image_raw="bgra8",
        depth__image_raw="32fc1",
        depth_to_rgb__image_raw="32fc1",
        ir__image_raw="mono16",
    )
    assert names == ("/rgb/image_raw", "/depth_to_rgb/image_raw")
    names = chosen(
        kinect2__qhd__image_color="bgr8",
        kinect2__qhd__image_color_rect="bgr8",
        kinect2__qhd__image_depth_rect="16uc1",
        kinect2__sd__image_ir="16uc1",
    )
    assert names == ("/kinect2/qhd/image_color_rect", "/kinect2/qhd/image_depth_rect")


def test_zed_and_oak():
    assert chosen(zed__rgb__image_rect_color="bgra8", zed__depth__depth_registered="32fc1") == (
        "/zed/rgb/image_rect_color",
        "/zed/depth/depth_registered",
    )
    assert chosen(oak__rgb__image_raw="bgr8", oak__stereo__image_raw="16uc1") == (
        "/oak/rgb/image_raw",
        "/oak/stereo/image_raw",
    )


def test_names_that_only_look_like_infrared():
    assert chosen(iris__rgb="rgb8", iris__depth="16uc1") == ("/iris/rgb", "/iris/depth")


def test_grey_images_where_there_is_no_colour():
    assert chosen(cam__left="mono8", cam__depth="16uc1")[0] == "/cam/left"
    assert chosen(cam__left="mono8", cam__rgb="rgb8", cam__depth="16uc1")[0] == "/cam/rgb"


def test_two_cameras_are_not_guessed_between():
    with pytest.raises(
        DataError, match=r"several depth topics fit: /left/depth \(16uc1 640x480, 10 messages\), /right/depth"
    ):
        chosen(left__rgb="rgb8", left__depth="16uc1", right__rgb="rgb8", right__depth="16uc1")


def test_the_stream_of_a_compressed_topic_can_be_named():
    there = topics(a__rgb__compressed="rgb8", b__rgb__compressed="rgb8", a__depth="16uc1")
    assert choose_image_topics(there, "/b/rgb", None)[0].name == "/b/rgb/compressed"
    assert choose_image_topics(there, "/b/rgb/compressed", None)[0].name == "/b/rgb/compressed"


@pytest.mark.parametrize(
    ("image", "info"),
    [
        ("/camera/color/image_raw", "/camera/color/camera_info"),
        ("/camera/color/image_raw/compressed", "/camera/color/camera_info"),
        ("/kinect2/qhd/image_color", "/kinect2/qhd/camera_info"),
        ("/sim/camera/image", "/sim/camera/camera_info"),
        ("/sim/camera", "/sim/camera/camera_info"),
        ("/device_0/sensor_1/Color_0/image/data", "/device_0/sensor_1/Color_0/info/camera_info"),
        ("/device_0/sensor_1/Color_0/image/data/compressed", "/device_0/sensor_1/Color_0/image/camera_info"),
    ],
)
def test_the_camera_info_beside_the_images(image, info):
    topic = ImageTopic(image, "rgb8", "", (640, 480), 10)
    assert choose_info_topic(topic, ["/other/camera_info", info], None, "colour") == info
    assert choose_info_topic(topic, ["/other/camera_info"], None, "colour") is None
    assert (
        choose_info_topic(topic, ["/other/camera_info"], "/other/camera_info", "colour")
        == "/other/camera_info"
    )
