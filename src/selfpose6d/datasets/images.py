"""Image files to arrays, and the camera fields that they need. Every failure names path, reason and remedy."""

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Integer, UInt8

from selfpose6d.checks import size_text
from selfpose6d.errors import DataError
from selfpose6d.meshes.units import METRES_PER_MM

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_RGB_FLAGS = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
_RAW_FLAGS = cv2.IMREAD_UNCHANGED


def data_error(path: Path | str, reason: str, remedy: str) -> DataError:
    """The error of one file: where, what is wrong, how to mend it."""
    return DataError(f"{path}: {reason}. {remedy}")


def read_rgb(path: Path) -> UInt8[np.ndarray, "height width 3"]:
    """A colour or grey image as 8-bit RGB. EXIF orientation is ignored: the intrinsics fit the stored pixels.

    Raises:
        DataError: the file is missing or cannot be decoded.
    """
    return _decode(path, _RGB_FLAGS)


def read_depth(path: Path, metres_per_unit: float) -> np.ndarray:
    """A depth image in metres, float32 (height, width); 0 where the depth is unknown.

    Raises:
        DataError: the file is missing, cannot be decoded, or holds a picture instead of depth.
    """
    raw = _decode(path, _RAW_FLAGS)
    if raw.ndim != 2 or raw.dtype == np.uint8:
        reason = (
            f"expected one channel of 16 bits or float, got {raw.shape[2:] or (1,)} channels of {raw.dtype}"
        )
        remedy = "Save the depth as a 16-bit single-channel PNG, not as a coloured or 8-bit picture."
        raise data_error(path, reason, remedy)
    depth_m = raw.astype(np.float32) * np.float32(metres_per_unit)
    return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))


def intrinsics_of(cam_K: object, name: str) -> Float[np.ndarray, "3 3"]:
    """BOP's `cam_K` (9 numbers, row-major, or 3 rows) as a matrix.

    Raises:
        DataError: it is anything else.
    """
    try:
        return np.asarray(cam_K, np.float64).reshape(3, 3)
    except (ValueError, TypeError):
        raise data_error(name, f"cam_K must be 9 numbers, got {cam_K}", "Correct the camera file.") from None


def metres_per_depth_unit(depth_scale: object, name: str) -> float:
    """What one unit of a depth image is in metres; `depth_scale` is in millimetres.

    Raises:
        DataError: it is no positive number.
    """
    if not isinstance(depth_scale, int | float) or not math.isfinite(depth_scale) or depth_scale <= 0:
        raise data_error(
            name,
            f"depth_scale must be positive, in mm per depth unit, got {depth_scale}",
            "Correct it: 1.0 for millimetre images, 0.1 for YCB-Video's.",
        )
    return float(depth_scale) * METRES_PER_MM


def read_labels(path: Path) -> Integer[np.ndarray, "height width"]:
    """An image of integer labels (0 is background), first channel.

    Raises:
        DataError: the file is missing, cannot be decoded, or is not of integers.
    """
    raw = _decode(path, _RAW_FLAGS)
    if not np.issubdtype(raw.dtype, np.integer):
        raise data_error(path, f"expected integer labels, got {raw.dtype}", "Save it as an 8- or 16-bit PNG.")
    return raw if raw.ndim == 2 else np.ascontiguousarray(raw[..., 0])


def read_mask(path: Path, shape: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """A mask file: every pixel that is not 0.

    Raises:
        DataError: the file is missing, cannot be decoded, or is not of the image's `shape` (height, width).
    """
    return require_shape(read_labels(path), shape, path) > 0


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


def find_image(folder: Path, stem: str) -> Path:
    """The first existing file of this name among `SUFFIXES`; `<stem>.png` where there is none."""
    candidates = (folder / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), folder / f"{stem}{SUFFIXES[0]}")


def list_images(folder: Path) -> Iterator[Path]:
    """The image files of a folder, in no order; none when there is no such folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.suffix.lower() in SUFFIXES and path.stem[0] != ".":
            yield path


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        encoded = np.fromfile(path, np.uint8)
    except FileNotFoundError:
        raise data_error(path, "missing file", "Restore it, or leave the frame out with --frames.") from None
    except OSError as error:
        raise data_error(path, str(error.strerror or error), "Check the path and its permissions.") from error
    cut_off = path.suffix.lower() == ".png" and b"IEND" not in encoded[-64:].tobytes()
    image = None if cut_off or not len(encoded) else cv2.imdecode(encoded, flags)
    if image is None:
        reason = f"unreadable image ({len(encoded)} bytes{', cut off' if cut_off else ''})"
        raise data_error(path, reason, "Copy or export the file again.")
    return image
