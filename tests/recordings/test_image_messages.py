"""Every encoding of ROS images, by hand-made messages."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from selfpose6d.errors import DataError
from selfpose6d.recordings.image_messages import colour_of, depth_of, encoding_of, jpeg_of

RGB = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
DEPTH = np.random.default_rng(1).integers(300, 5000, (6, 8)).astype(np.uint16)


def message(pixels: np.ndarray, encoding: str, **other) -> SimpleNamespace:
    """An `Image` with tight rows."""
    step = pixels[0].nbytes
    data = np.frombuffer(pixels.tobytes(), np.uint8)
    fields = {
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "is_bigendian": 0,
        "step": step,
        "data": data,
    }
    return SimpleNamespace(encoding=encoding, **{**fields, **other})


def compressed(data: bytes, form: str) -> SimpleNamespace:
    """A `CompressedImage`."""
    return SimpleNamespace(format=form, data=np.frombuffer(data, np.uint8))


ALPHA = np.full((6, 8, 1), 9, np.uint8)
WIDE = RGB.astype(np.uint16) * 256 + 77


@pytest.mark.parametrize(
    ("encoding", "pixels"),
    [
        ("rgb8", RGB),
        ("RGB8", RGB),
        ("bgr8", RGB[..., ::-1]),
        ("8UC3", RGB[..., ::-1]),
        ("rgba8", np.concatenate([RGB, ALPHA], -1)),
        ("bgra8", np.concatenate([RGB[..., ::-1], ALPHA], -1)),
        ("rgb16", WIDE),
        ("bgr16", WIDE[..., ::-1]),
    ],
)
def test_colour_encodings(encoding, pixels):
    np.testing.assert_array_equal(colour_of(message(np.ascontiguousarray(pixels), encoding)), RGB)


def test_grey_becomes_three_equal_channels():
    rgb = colour_of(message(RGB[..., 0].copy(), "mono8"))
    np.testing.assert_array_equal(rgb, np.repeat(RGB[..., :1], 3, -1))


@pytest.mark.parametrize(
    ("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("YUYV", "yuyv")]
)
def test_yuv_of_two_pixels_by_hand(encoding, order):
    """Red beside dark red: by ITU-R BT.601, Y 81 U 90 V 240 is (255, 0, 0)."""
    y, u, v = (81, 40), 90, 240
    row = {"uyvy": (u, y[0], v, y[1]), "yuyv": (y[0], u, y[1], v)}[order]
    pixels = np.array(row, np.uint8).reshape(1, 2, 2)
    bright, dark = colour_of(message(pixels, encoding))[0].astype(int)
    assert abs(bright - (254, 0, 0)).max() <= 3
    assert 190 < dark[0] < 220
    assert dark[1:].max() == 0


@pytest.mark.parametrize(
    ("encoding", "pattern"),
    [("bayer_rggb8", "RGGB"), ("bayer_bggr8", "BGGR"), ("bayer_gbrg8", "GBRG"), ("bayer_grbg8", "GRBG")],
)
def test_bayer_patterns_are_named_by_their_first_row(encoding, pattern):
    colour = {"R": 200, "G": 100, "B": 30}
    tile = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    rgb = colour_of(message(np.tile(tile, (8, 8)), encoding))
    assert rgb[8, 8].tolist() == [200, 100, 30]


def test_row_padding_and_byte_order():
    padded = np.pad(DEPTH, ((0, 0), (0, 5)), constant_values=7)
    np.testing.assert_array_equal(depth_of(message(padded, "16UC1", width=8)), DEPTH)
    short = message(padded, "16UC1", width=8)
    short.data = short.data[:-10]  # the last row's padding is left out
    np.testing.assert_array_equal(depth_of(short), DEPTH)
    swapped = message(DEPTH.astype(">u2"), "16UC1", is_bigendian=1)
    np.testing.assert_array_equal(depth_of(swapped), DEPTH)
    floats = (DEPTH / 1000).astype(">f4")
    np.testing.assert_array_equal(depth_of(message(floats, "32FC1", is_bigendian=1)), floats)
    assert depth_of(message(floats, "32FC1", is_bigendian=1)).dtype.isnative


def test_images_that_are_cut_off_or_of_another_kind():
    cut = message(DEPTH, "16UC1")
    cut.data = cut.data[:-1]
    with pytest.raises(DataError, match=r"expected 6 rows of 16 bytes .* got 95 bytes"):
        depth_of(cut)
    with pytest.raises(DataError, match="'rgb8' is no depth"):
        depth_of(message(RGB, "rgb8"))
    with pytest.raises(DataError, match="'16UC1' is no colour image"):
        colour_of(message(DEPTH, "16UC1"))
    with pytest.raises(DataError, match="yuv422 image of 3x2 pixels cannot be converted"):
        colour_of(message(np.zeros((2, 3, 2), np.uint8), "yuv422"))
    with pytest.raises(DataError, match="no pixels"):
        colour_of(message(RGB, "rgb8", height=0))
    with pytest.raises(DataError, match="cannot be decoded"):
        colour_of(compressed(b"\xff\xd8nothing", "jpeg"))


def test_compressed_colours():
    smooth = cv2.resize(RGB, (80, 60), interpolation=cv2.INTER_CUBIC)
    png = cv2.imencode(".png", smooth[..., ::-1])[1].tobytes()
    jpeg = cv2.imencode(".jpg", smooth[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    np.testing.assert_array_equal(colour_of(compressed(png, "png")), smooth)
    np.testing.assert_array_equal(colour_of(compressed(png, "rgb8; png compressed bgr8")), smooth)
    np.testing.assert_array_equal(colour_of(compressed(png, "rgb8; png compressed rgb8")), smooth[..., ::-1])
    for form in ("jpeg", "rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8"):
        assert np.abs(colour_of(compressed(jpeg, form)).astype(int) - smooth).mean() < 4


def test_a_jpeg_that_is_cut_off_is_not_filled_with_grey():
    smooth = cv2.resize(RGB, (80, 60), interpolation=cv2.INTER_CUBIC)
    jpeg = cv2.imencode(".jpg", smooth)[1].tobytes()
    assert colour_of(compressed(jpeg + bytes(20), "jpeg")).shape == (60, 80, 3)  # padding does no harm
    with pytest.raises(DataError, match="cannot be decoded"):
        colour_of(compressed(jpeg[: len(jpeg) * 3 // 4], "jpeg"))
    with pytest.raises(DataError, match="cannot be decoded"):
        colour_of(compressed(b"", "jpeg"))


def test_which_jpegs_can_be_kept():
    jpeg = cv2.imencode(".jpg", RGB)[1].tobytes()
    assert jpeg_of(compressed(jpeg, "rgb8; jpeg compressed bgr8")) == jpeg
    assert jpeg_of(compressed(jpeg, "rgb8; jpeg compressed rgb8")) is None
    assert jpeg_of(compressed(cv2.imencode(".png", RGB)[1].tobytes(), "png")) is None
    assert jpeg_of(message(RGB, "rgb8")) is None


def test_compressed_depth():
    png = cv2.imencode(".png", DEPTH)[1].tobytes()
    header = struct.pack("<iff", 0, 0, 0)
    for form in ("16UC1; compressedDepth", "16UC1; compressedDepth png", "mono16; compressedDepth png"):
        sent = compressed(header + png, form)
        np.testing.assert_array_equal(depth_of(sent), DEPTH)
    sent = compressed(png, "16UC1; png compressed ")
    assert encoding_of(sent) == "16uc1"
    np.testing.assert_array_equal(depth_of(sent), DEPTH)
    with pytest.raises(DataError, match="cut off"):
        depth_of(compressed(header, "16UC1; compressedDepth png"))
    eight_bit = cv2.imencode(".png", DEPTH.astype(np.uint8))[1].tobytes()
    with pytest.raises(DataError, match="expected a 16-bit PNG of one channel"):
        depth_of(compressed(header + eight_bit, "16UC1; compressedDepth png"))


def test_quantised_float_depth():
    """As compressed_depth_image_transport encodes it: a / z + b, with a = q (q + 1), b = 1 - a / z_max."""
    z = np.linspace(0.4, 4, 48, dtype=np.float32).reshape(6, 8)
    z[0, 0] = np.nan
    a = 100.0 * 101
    b = 1 - a / 10
    code = np.nan_to_num(a / z + b).astype(np.uint16)
    png = cv2.imencode(".png", code)[1].tobytes()
    sent = compressed(struct.pack("<iff", 0, a, b) + png, "32FC1; compressedDepth png")
    assert encoding_of(sent) == "32fc1"
    depth_m = depth_of(sent)
    assert depth_m[0, 0] == 0
    known = np.isfinite(z)
    # one step of inverse depth, 1 / a, is z * z / a of depth
    assert (np.abs(depth_m - z)[known] <= (z * z / a)[known] * 1.02 + 1e-6).all()


def test_rvl_by_hand():
    """Two zeros; two values: 5 (+5, as 10: nibbles 1010 and 0001) and 3 (-2, as 3: nibble 0011)."""
    code = struct.pack("<ii", 4, 1) + bytes([0x00, 0x30, 0xA1, 0x22])
    sent = compressed(struct.pack("<iff", 1, 0, 0) + code, "16UC1; compressedDepth rvl")
    assert depth_of(sent).tolist() == [[0, 0, 5, 3]]
    cut = compressed(
        struct.pack("<iff", 1, 0, 0) + struct.pack("<ii", 4, 4) + code[8:], "16UC1; compressedDepth rvl"
    )
    with pytest.raises(DataError, match="cut off"):
        depth_of(cut)
