"""Drawn images as bytes and files."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from selfpose6d.files import write_whole

JPEG_QUALITY = 88


def to_png(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Lossless."""
    return _encode(".png", rgb, [])


def to_jpeg(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """A tenth of the PNG's size, for pages that hold many pictures."""
    return _encode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def write_png(path: Path, rgb: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write the image and its folder; the file appears whole or not at all."""
    write_whole(path, to_png(rgb))


def _encode(suffix: str, rgb: np.ndarray, options: list[int]) -> bytes:
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), options)
    if not done:
        raise ValueError(f"cannot encode an image of shape {rgb.shape} as {suffix}")
    return encoded.tobytes()
