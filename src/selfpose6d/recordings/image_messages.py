"""ROS images to arrays: `sensor_msgs/Image` in its encodings, JPEG and PNG of `CompressedImage`, `compressedDepth`."""

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from selfpose6d.errors import DataError
from selfpose6d.image_files import decode_image
from selfpose6d.recordings.rvl_kernels import decode_rvl

DEPTH_ENCODINGS = ("16uc1", "mono16", "32fc1", "64fc1", "z16")
GREY_ENCODINGS = ("mono8", "8uc1", "y8")
# names in lower case, of ROS and of RealSense recordings: data type, channels, OpenCV's conversion to RGB
_COLOUR: dict[str, tuple[type, int, int | None]] = {
    "rgb8": (np.uint8, 3, None),
    "bgr8": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "8uc3": (np.uint8, 3, cv2.COLOR_BGR2RGB),
    "rgba8": (np.uint8, 4, cv2.COLOR_RGBA2RGB),
    "bgra8": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "8uc4": (np.uint8, 4, cv2.COLOR_BGRA2RGB),
    "rgb16": (np.uint16, 3, None),
    "bgr16": (np.uint16, 3, cv2.COLOR_BGR2RGB),
    "mono8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "8uc1": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "y8": (np.uint8, 1, cv2.COLOR_GRAY2RGB),
    "yuv422": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (np.uint8, 2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    "yuyv": (np.uint8, 2, cv2.COLOR_YUV2RGB_YUY2),
    # OpenCV names the pattern by the second row's second and third pixel, ROS by the first row's first two
    "bayer_rggb8": (np.uint8, 1, cv2.COLOR_BayerBG2RGB),
    "bayer_bggr8": (np.uint8, 1, cv2.COLOR_BayerRG2RGB),
    "bayer_gbrg8": (np.uint8, 1, cv2.COLOR_BayerGR2RGB),
    "bayer_grbg8": (np.uint8, 1, cv2.COLOR_BayerGB2RGB),
}
_DEPTH: dict[str, type] = {
    "16uc1": np.uint16,
    "mono16": np.uint16,
    "z16": np.uint16,
    "32fc1": np.float32,
    "64fc1": np.float64,
}
_JPEG_START, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"
_DEPTH_HEADER = struct.Struct("<iff")
"""Before the PNG of `compressedDepth`: the format's number and the two parameters of quantised floats."""


@dataclass(frozen=True)
class ColourImage:
    """A decoded colour image; `jpeg` is its file where it came as one."""

    rgb: UInt8[np.ndarray, "height width 3"]
    jpeg: bytes | None = None


def jpeg_or_none(data: bytes) -> bytes | None:
    """The data where they are a JPEG file."""
    return data if data.startswith(_JPEG_START) else None


def jpeg_of(message: Any) -> bytes | None:
    """The JPEG file of a `CompressedImage`, where it shows the right colours by itself."""
    if hasattr(message, "encoding") or _is_swapped(message):
        return None
    return jpeg_or_none(message.data.tobytes())


def encoding_of(message: Any) -> str:
    """The encoding in lower case; of a compressed image, that of the image before it was compressed."""
    if hasattr(message, "encoding"):
        return message.encoding.strip().lower()
    first, _, rest = message.format.lower().partition(";")
    if "compresseddepth" in rest:
        return first.strip()
    # a topic of PNGs may hold depth: "16UC1; png compressed", as image_transport's plain `compressed` writes it
    return first.strip() if first.strip() in DEPTH_ENCODINGS and "png" in rest else "rgb8"


def is_colour(encoding: str) -> bool:
    """Whether images of this encoding show colours, or a grey value per pixel."""
    return encoding in _COLOUR


def colour_of(message: Any) -> UInt8[np.ndarray, "height width 3"]:
    """RGB of an `Image` or `CompressedImage`.

    Raises:
        DataError: the encoding is not known, or the data are cut off or broken.
    """
    if not hasattr(message, "encoding"):
        return _decompressed_colour(message)
    encoding = encoding_of(message)
    if encoding not in _COLOUR:
        raise DataError(
            f"encoding {message.encoding!r} is no colour image: expected one of {', '.join(_COLOUR)}"
        )
    dtype, channels, conversion = _COLOUR[encoding]
    pixels = _pixels(message, dtype, channels)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if conversion is None:
        return np.ascontiguousarray(pixels)
    try:
        return cv2.cvtColor(pixels, conversion)
    except cv2.error as error:  # two pixels share a colour in YUV, four in a Bayer pattern: odd sizes
        size = f"{message.width}x{message.height}"
        raise DataError(
            f"{message.encoding} image of {size} pixels cannot be converted ({error.err})"
        ) from None


def depth_of(message: Any) -> np.ndarray:
    """Depth (height, width) of an `Image` or `CompressedImage`: uint16 in the sensor's unit, or floats in metres.

    Raises:
        DataError: the encoding is not known, or the data are cut off or broken.
    """
    if not hasattr(message, "encoding"):
        return _decompressed_depth(message)
    encoding = encoding_of(message)
    if encoding not in _DEPTH:
        raise DataError(f"encoding {message.encoding!r} is no depth: expected one of {', '.join(_DEPTH)}")
    return _pixels(message, _DEPTH[encoding], 1)


def _pixels(message: Any, dtype: type, channels: int) -> np.ndarray:
    """The rows without their padding, in this machine's byte order."""
    order = ">" if message.is_bigendian else "<"
    stored = np.dtype(dtype).newbyteorder(order)
    height, width, row = message.height, message.width, message.width * channels * stored.itemsize
    step = message.step or row
    data = np.asarray(message.data, np.uint8)
    if not height or not width:
        raise DataError("the image has no pixels")
    if step < row or len(data) < step * (height - 1) + row:
        raise DataError(
            f"expected {height} rows of {row} bytes ({message.encoding}, {width} pixels wide), got {len(data)} bytes "
            f"in rows of {step}"
        )
    missing = step * height - len(data)  # of the last row's padding, which some drivers leave out
    padded = data[: step * height] if missing <= 0 else np.pad(data, (0, missing))
    pixels = np.ascontiguousarray(padded.reshape(height, step)[:, :row]).view(stored)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return pixels.reshape(shape).astype(dtype, copy=False)


def _decompressed_colour(message: Any) -> np.ndarray:
    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    data = np.asarray(message.data, np.uint8)
    try:
        rgb = decode_image(data, flags)
    except ValueError as error:
        raise DataError(f"{message.format!r} image cannot be decoded ({error})") from None
    return np.ascontiguousarray(rgb[..., ::-1]) if _is_swapped(message) else rgb


def _is_swapped(message: Any) -> bool:
    """Who compresses RGB values as if they were BGR says so."""
    return "compressed rgb" in message.format.lower()


def _decompressed_depth(message: Any) -> np.ndarray:
    data, form = np.asarray(message.data, np.uint8), message.format.lower()
    if "compresseddepth" not in form:
        return _decoded_png(data, message.format)
    if len(data) <= _DEPTH_HEADER.size:
        raise DataError(f"compressedDepth image of {len(data)} bytes is cut off")
    _, quantum_a, quantum_b = _DEPTH_HEADER.unpack(data[: _DEPTH_HEADER.size].tobytes())
    code = data[_DEPTH_HEADER.size :]
    values = _decoded_rvl(code) if "rvl" in form else _decoded_png(code, message.format)
    if encoding_of(message) != "32fc1":
        return values
    # inverse depth in equal steps; 0 is unknown
    inverse = (values.astype(np.float32) - np.float32(quantum_b)) / np.float32(quantum_a or 1)
    known = (values > 0) & (inverse > 0)
    return np.where(known, 1 / np.where(known, inverse, 1), np.float32(0)).astype(np.float32)


def _decoded_png(code: np.ndarray, form: str) -> np.ndarray:
    try:
        values = decode_image(np.ascontiguousarray(code), cv2.IMREAD_UNCHANGED)
    except ValueError as error:
        raise DataError(f"{form!r} depth: expected a 16-bit PNG of one channel, got {error}") from None
    if values.ndim != 2 or values.dtype != np.uint16:
        got = f"{values.shape} of {values.dtype}"
        raise DataError(f"{form!r} depth: expected a 16-bit PNG of one channel, got {got}")
    return values


def _decoded_rvl(code: np.ndarray) -> np.ndarray:
    if len(code) < 8:
        raise DataError("RVL depth image is cut off")
    width, height = struct.unpack("<ii", code[:8].tobytes())
    if not (0 < width <= 1 << 14 and 0 < height <= 1 << 14):
        raise DataError(f"RVL depth image of {width}x{height} pixels")
    words = np.frombuffer(code[8 : 8 + (len(code) - 8) // 4 * 4].tobytes(), "<u4").astype(np.int64)
    pixels = np.zeros(width * height, np.uint16)
    if not decode_rvl(words, pixels):
        raise DataError("RVL depth image is cut off")
    return pixels.reshape(height, width)
