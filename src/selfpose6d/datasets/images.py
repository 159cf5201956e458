"""Image files to arrays. Every failure names path, reason and remedy."""

import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from jaxtyping import Bool, Integer, UInt8

from selfpose6d.checks import size_text, without_unknown_depth
from selfpose6d.datasets.image_values import StoredImage, object_ids_of, object_pixels_of, rgb_of
from selfpose6d.datasets.missing_files import why_missing
from selfpose6d.errors import DataError
from selfpose6d.files import read_whole
from selfpose6d.image_files import TIFF_ORDER, decode_image, is_lossy, read_npy, require_decodable

Content = TypeVar("Content")
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
DEPTH_SUFFIXES = (*SUFFIXES, ".npy")
_PNG_GREY, _PNG_PALETTE = 0, 3
"""Colour types in a PNG's header."""
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = (0, 1)
"""EXIF orientations that turn nothing."""


def data_error(path: Path | str, reason: str, remedy: str) -> DataError:
    """The error of one file: where, what is wrong, how to mend it."""
    return DataError(f"{path}: {reason}. {remedy}")


def read_rgb(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A colour or grey image as 8-bit RGB (`rgb_of`). EXIF orientation is ignored, and a warning says so: intrinsics,
    depth and masks fit the stored pixels.

    Raises:
        DataError: the file is missing, cannot be decoded, or holds no colours.
    """
    encoded = _read_bytes(path)
    if (orientation := _exif_orientation(encoded)) not in _UPRIGHT:
        warnings.warn(
            f"images of {path.parent} have EXIF orientation {orientation}, which is ignored: depth, masks and camera "
            "are taken to fit the pixels as they are stored. Store them upright where they do not.",
            stacklevel=2,
        )
    return _meaning(path, rgb_of, _decode_stored(path, encoded), "Export it as 8-bit RGB.")


def read_depth(path: Path, metres_per_unit: float) -> np.ndarray:
    """A depth image in metres, float32 (height, width); 0 where the depth is unknown (`without_unknown_depth`).

    Images with one channel, of integers of more than 8 bits or of floats, also as `.npy`, where a list of one image
    counts as the image; three equal channels count as one.

    Raises:
        DataError: the file is missing, cannot be decoded, or holds a picture instead of depth.
    """
    raw = (
        _read_array(path) if path.suffix.lower() == ".npy" else _decode_stored(path, _read_bytes(path)).values
    )
    if raw.ndim == 3 and len(raw) == 1:
        raw = raw[0]
    if raw.ndim == 3 and (raw == raw[..., :1]).all():
        raw = raw[..., 0]
    if raw.ndim != 2 or raw.dtype.kind not in "iuf" or raw.dtype.itemsize == 1:
        reason = (
            f"expected one channel of 16 bits or float, got {raw.shape[2:] or (1,)} channels of {raw.dtype}"
        )
        remedy = "Save the depth as a 16-bit single-channel PNG, not as a coloured or 8-bit picture."
        raise data_error(path, reason, remedy)
    if raw.dtype.kind != "u" and np.any(raw < 0) and not np.any(raw > 0):
        reason = f"all depths are negative, down to {np.nanmin(raw):.4g}, as along OpenGL's axes"
        raise data_error(path, reason, "Save the distance in front of the camera as a positive number.")
    return without_unknown_depth(raw, metres_per_unit)


def read_labels(path: Path) -> Integer[np.ndarray, "height width"]:
    """An image of integer labels, 0 is background (`object_ids_of`): of a palette image the index.

    Raises:
        DataError: the file is missing, cannot be decoded, or holds no labels.
    """
    remedy = "Save it losslessly (PNG) with the object's id as grey value or palette index."
    return _meaning(path, object_ids_of, _decode_stored(path, _read_bytes(path)), remedy)


def read_mask(path: Path, shape: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The pixels of the object that a mask file shows (`object_pixels_of`).

    Raises:
        DataError: the file is missing, cannot be decoded, or is not of the image's `shape` (height, width).
    """
    return require_shape(read_object_pixels(path), shape, path)


def read_object_pixels(path: Path) -> Bool[np.ndarray, "height width"]:
    """`read_mask` of a file whose size nothing is compared with.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    return object_pixels_of(_decode_stored(path, _read_bytes(path)))


def require_shape(image: np.ndarray, shape: tuple[int, int], path: Path | str) -> np.ndarray:
    """Return `image`, or say that it is not of the colour image's `shape` (height, width).

    Raises:
        DataError: another size.
    """
    if image.shape[:2] != shape:
        reason = f"{size_text(image.shape[:2])}, but the colour image is {size_text(shape)}"
        raise data_error(path, reason, "Export it again at the colour image's size, without crop.")
    return image


def images_by_stem(folder: Path) -> dict[str, Path]:
    """The image files of a folder by name without suffix, sorted; empty when there is no such folder.

    Where two files share a stem, the first suffix of `SUFFIXES` wins (`validate` reports it).
    """
    preferred_last = sorted(list_images(folder), key=lambda path: -SUFFIXES.index(path.suffix.lower()))
    by_stem = {path.stem: path for path in preferred_last}
    return dict(sorted(by_stem.items()))


def cased(suffixes: tuple[str, ...]) -> Iterator[str]:
    """The suffixes in the cases that programs write, the usual one first: `.png`, `.PNG`, `.Png`."""
    for change in (str.lower, str.upper, str.title):
        yield from map(change, suffixes)


def list_images(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> Iterator[Path]:
    """The image files of a folder, in no order; none when there is no such folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix.lower() in suffixes and path.stem[0] != ".":
            yield path


def _meaning(path: Path, read: Callable[[StoredImage], Content], image: StoredImage, remedy: str) -> Content:
    try:
        return read(image)
    except ValueError as error:
        raise data_error(path, str(error), remedy) from None


def _read_bytes(path: Path) -> np.ndarray:
    """The content of a file that is an image, as far as its first and last bytes say."""
    try:
        encoded = np.frombuffer(read_whole(path), np.uint8)
    except FileNotFoundError:
        raise data_error(path, *why_missing(path)) from None
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error
    try:
        require_decodable(encoded)
    except ValueError as error:
        raise data_error(path, *_why_undecodable(encoded, str(error))) from None
    return encoded


def _decode_stored(path: Path, encoded: np.ndarray) -> StoredImage:
    """The file's own values: a palette's indices and small greys are not turned into colours."""
    head = encoded[:26].tobytes()
    is_png = head.startswith(b"\x89PNG")
    may_be_indexed = (is_png and len(head) == 26 and head[25] == _PNG_PALETTE) or head[:4] in TIFF_ORDER
    if may_be_indexed and (indexed := _palette_image(encoded)) is not None:
        return indexed
    try:
        values = decode_image(encoded, cv2.IMREAD_UNCHANGED)
    except ValueError as error:
        raise data_error(path, *_why_undecodable(encoded, str(error))) from None
    if values.ndim == 3:
        values = cv2.cvtColor(values, cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB)
    elif is_png and head[25] == _PNG_GREY and head[24] < 8:
        values //= 255 // (2 ** head[24] - 1)  # decoded to the full range
    return StoredImage(values, lossy=is_lossy(encoded.tobytes()))


def _palette_image(encoded: np.ndarray) -> StoredImage | None:
    """Indices and colours of an image with a palette; None for other images and for broken ones."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(encoded.tobytes())) as image:
            if image.mode != "P":
                return None
            index = np.asarray(image)
            palette = np.zeros((256, 4), np.uint8)
            colours = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
            palette[: len(colours), :3], palette[: len(colours), 3] = colours, 255
            alpha = image.info.get("transparency")
            if isinstance(alpha, bytes):
                palette[: len(alpha), 3] = np.frombuffer(alpha, np.uint8)
            elif isinstance(alpha, int):
                palette[alpha, 3] = 0
    except (OSError, ValueError, SyntaxError, EOFError):
        return None
    return StoredImage(index, palette)


def _why_undecodable(encoded: np.ndarray, why: str) -> tuple[str, str]:
    """Reason and remedy."""
    if encoded[:40].tobytes().startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the image itself", "Fetch it with git lfs pull."
    return f"unreadable image ({why})", "Copy or export the file again."


def _read_array(path: Path) -> np.ndarray:
    try:
        return read_npy(path)
    except FileNotFoundError:
        raise data_error(path, *why_missing(path)) from None
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error
    except ValueError as error:
        raise data_error(path, f"unreadable .npy file ({error})", "Save it again with numpy.save.") from None


def _exif_orientation(encoded: np.ndarray) -> int:
    """EXIF's orientation of a JPEG or PNG, 1 where it says none."""
    from PIL import Image

    head = encoded[:65536].tobytes()
    if b"Exif\0\0" not in head and b"eXIf" not in head:
        return 1
    try:
        with Image.open(io.BytesIO(encoded.tobytes())) as image:
            return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except (OSError, ValueError, SyntaxError, TypeError):
        return 1
