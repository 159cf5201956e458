"""Images and arrays as bytes and files. What a file says of its size is looked at before memory is taken for it."""

import io
import math
import warnings
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from selfpose6d.files import open_file, write_whole

MAX_PIXELS = 1 << 26
"""Of an image: 8192 x 8192, more than any RGB-D camera has. A few kilobytes can unpack to gigabytes."""
MAX_ARRAY_BYTES = 8 * MAX_PIXELS
"""Of a NumPy file: so many pixels of the widest numbers."""

_PNG = b"\x89PNG\r\n\x1a\n"
TIFF_ORDER: dict[bytes, Literal["little", "big"]] = {b"II*\0": "little", b"MM\0*": "big"}
_TIFF_SIZE_TAGS, _TIFF_SHORT = (256, 257), 3
"""Image width and height; and the type of number that takes two bytes (TIFF 6.0, section 2)."""
_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_BMP, _RIFF, _WEBP = b"BM", b"RIFF", b"WEBP"
_WEBP_LOSSLESS = b"VP8L"
"""Name of the chunk that holds the pixels; another one holds those that WebP has changed."""
# of 100: keeps pages with many pictures small
JPEG_QUALITY = 88
WEBP_QUALITY = 78


def decode_image(
    encoded: UInt8[np.ndarray, "bytes"], flags: int
) -> Shaped[np.ndarray, "height width *channels"]:
    """An image file's pixels as OpenCV reads them by its `flags` (`cv2.IMREAD_...`).

    Raises:
        ValueError: it is none, cut off, or larger than `MAX_PIXELS`.
    """
    require_decodable(encoded)
    try:
        image = cv2.imdecode(encoded, flags)
    except cv2.error as error:
        raise ValueError(f"{len(encoded)} bytes, {error.err}") from None
    if image is None:
        raise ValueError(f"{len(encoded)} bytes")
    return image


def require_decodable(encoded: UInt8[np.ndarray, "bytes"]) -> None:
    """Refuse an image file that is empty, cut off, of no known format, or larger than `MAX_PIXELS`.

    Raises:
        ValueError: says which.
    """
    content = encoded.tobytes()
    if not content:
        raise ValueError("0 bytes")
    if _is_cut_off(content):
        raise ValueError(f"{len(content)} bytes, cut off")
    width, height = _stated_size(content)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width}x{height} pixels, more than the {MAX_PIXELS} that are read")


def _is_cut_off(content: bytes) -> bool:
    """OpenCV decodes the beginning of a JPEG whose end is missing and fills up with grey; of a PNG with black.

    BMP and WebP state their length.
    """
    if content.startswith(_PNG):
        return not _has_png_end(content)
    if content.startswith(_BMP):
        return int.from_bytes(content[2:6], "little") > len(content)
    if content.startswith(_RIFF):
        return int.from_bytes(content[4:8], "little") + 8 > len(content)
    return content.startswith(_JPEG) and _JPEG_END not in content[len(content) // 2 :]


def _has_png_end(content: bytes) -> bool:
    """Whether the chunks lead to a whole IEND chunk; programs write other bytes behind it.

    Reference: PNG specification, chunk layout: length, name, data, CRC of four bytes.
    """
    start = len(_PNG)
    while start + 12 <= len(content):
        if content[start + 4 : start + 8] == b"IEND":
            return True
        start += 12 + int.from_bytes(content[start : start + 4], "big")
    return False


def is_lossy(content: bytes) -> bool:
    """Whether an image file's compression changes values: JPEG, and WebP that is not marked as lossless."""
    is_webp = content.startswith(_RIFF) and content[8:12] == _WEBP
    return content.startswith(_JPEG) or (is_webp and _WEBP_LOSSLESS not in content)


def _stated_size(content: bytes) -> tuple[int, int]:
    """Width and height as the file's first bytes say them."""
    if content.startswith(_PNG) and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    if content[:4] in TIFF_ORDER:  # Pillow does not open those of several floats a pixel
        return _tiff_size(content)
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None  # ours is compared by the caller
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                return image.size
    except Exception:  # Pillow raises many kinds for a broken file
        raise ValueError(f"{len(content)} bytes, of no known image format") from None
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _tiff_size(content: bytes) -> tuple[int, int]:
    """As the first directory of a TIFF file says."""
    order = TIFF_ORDER[content[:4]]
    directory, size = int.from_bytes(content[4:8], order), {}
    for entry in range(int.from_bytes(content[directory : directory + 2], order)):
        start = directory + 2 + 12 * entry
        tag, kind = (int.from_bytes(content[start + k : start + k + 2], order) for k in (0, 2))
        if tag in _TIFF_SIZE_TAGS:
            num_bytes = 2 if kind == _TIFF_SHORT else 4
            size[tag] = int.from_bytes(content[start + 8 : start + 8 + num_bytes], order)
    if len(size) < len(_TIFF_SIZE_TAGS):
        raise ValueError(f"{len(content)} bytes, a TIFF file that does not say its size")
    return size[_TIFF_SIZE_TAGS[0]], size[_TIFF_SIZE_TAGS[1]]


def read_npy(path: Path) -> np.ndarray:
    """The array of a NumPy file; one of objects, which could run code, is refused.

    Raises:
        OSError: there is no such file, or it is no file.
        ValueError: it is broken, of objects, or larger than `MAX_ARRAY_BYTES`.
    """
    with open_file(path) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = read_header[version](file)
            size = math.prod(shape) * dtype.itemsize
            if dtype.hasobject or size < 0 or size > MAX_ARRAY_BYTES:
                raise ValueError(f"an array of {dtype} and shape {shape}")
            file.seek(0)
            return np.load(file, allow_pickle=False)
        except Exception as error:  # its header is a line of Python: NumPy raises many kinds for a broken one
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ValueError(f"not a NumPy file that is read: {reason}") from None


def to_png(image: Shaped[np.ndarray, "height width *channels"]) -> bytes:
    """Lossless: RGB, or one channel of 8 or 16 bits."""
    return _encode(".png", image, [])


def mask_to_png(mask: Bool[np.ndarray, "height width"]) -> bytes:
    """One channel, 255 in the mask."""
    return to_png(np.uint8(255) * mask)


def to_jpeg(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A tenth of the PNG's size, for pages that hold many pictures."""
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def to_webp(rgb: UInt8[np.ndarray, "height width 3"], quality: int = WEBP_QUALITY) -> bytes:
    """Two thirds of the JPEG's size; browsers show it, few other programs do. `quality` is 0 to 100."""
    return _encode(".webp", rgb, [cv2.IMWRITE_WEBP_QUALITY, quality])


def write_png(path: Path, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write the image and its folder; the file appears whole or not at all."""
    write_whole(path, to_png(rgb))


def _encode(suffix: str, image: np.ndarray, options: list[int]) -> bytes:
    bgr_or_grey = np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)
    done, encoded = cv2.imencode(suffix, bgr_or_grey, options)
    if not done:
        raise ValueError(f"cannot encode an image of shape {image.shape} as {suffix}")
    return encoded.tobytes()
