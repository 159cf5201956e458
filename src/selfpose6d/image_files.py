"""Images as bytes and files."""

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from selfpose6d.files import write_whole

# of 100: keeps pages with many pictures small
JPEG_QUALITY = 88
WEBP_QUALITY = 78


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
