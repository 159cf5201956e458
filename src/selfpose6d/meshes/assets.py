"""The files beside a mesh file: found under the names that exporters write, images read to RGB, and what is not."""

import io
import os
import re
import unicodedata
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from selfpose6d.files import read_whole
from selfpose6d.meshes.tiles import MAX_TEXELS, reduce_texture

MAX_DECODED_PX = 2**27
"""Of an image, 0.5 GB while it is decoded; JPEGs are decoded smaller."""
_READ_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "TGA", "GIF", "PPM", "JPEG2000", "AVIF", "DDS", "PCX", "SGI",
)  # fmt: skip
_NAMED_FORMATS = {
    b"\xabKTX 20\xbb": "KTX2",
    b"\xabKTX 11\xbb": "KTX",
    b"sB": "Basis Universal",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"#?RGBE": "Radiance HDR",
    b"8BPS": "Photoshop",
}
"""Image formats by their first bytes that are named, not read."""


class Assets:
    """What a mesh file refers to, and notes on what of it cannot be read; a mesh without it has no colour there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._images: dict[tuple[str, Path], UInt8[np.ndarray, "rows columns 3"] | None] = {}

    def note(self, text: str) -> None:
        """Remember what a person should know, once."""
        if text not in self.notes:
            self.notes.append(text)

    def find(self, name: str, folder: Path | None = None) -> Path | None:
        """The file that a name means, in `folder` or beside the mesh; a note where there is none.

        Names may be quoted, have backslashes, another letter case, or a path that was right on another machine.
        """
        wanted = name.strip().strip("\"'").strip()
        for place in dict.fromkeys((folder or self.path.parent, self.path.parent)):
            if wanted and (found := _find_in(place, wanted)) is not None:
                return found
        self.note(f"{name or 'a file without a name'} is named but not there; its colours count as unknown")
        return None

    def image(self, name: str, folder: Path | None = None) -> UInt8[np.ndarray, "rows columns 3"] | None:
        """The colours of an image file; None with a note where they cannot be had."""
        key = (name, folder or self.path.parent)
        if key not in self._images:
            path = self.find(name, folder)
            self._images[key] = None if path is None else self.decode(read_whole(path), path.name)
        return self._images[key]

    def decode(self, content: bytes, name: str) -> UInt8[np.ndarray, "rows columns 3"] | None:
        """The colours of an encoded image; None with a note where it cannot be read."""
        kind = next((kind for start, kind in _NAMED_FORMATS.items() if content.startswith(start)), None)
        try:
            if kind is not None:
                raise ValueError(f"{kind} is not read, expected PNG or JPEG")
            return _decode(content)
        except Exception as error:  # Pillow's plugins raise many kinds on broken files
            self.note(f"{name} cannot be read ({_in_one_line(error)}); its colours count as unknown")
            return None


def _decode(content: bytes) -> UInt8[np.ndarray, "rows columns 3"]:
    """RGB of an image file's bytes. Alpha, colour profiles and orientation are left out, as renderers of meshes do."""
    from PIL import Image

    Image.init()
    formats = [name for name in _READ_FORMATS if name in Image.OPEN]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(content), formats=formats) as image:
            if image.width * image.height > MAX_TEXELS:
                image.draft("RGB", (image.width // 2, image.height // 2))
            if image.width * image.height > MAX_DECODED_PX:
                raise ValueError(f"{image.width} x {image.height} pixels, at most {MAX_DECODED_PX} are read")
            image.load()
            if image.mode.startswith(("I", "F")):
                rgb = np.repeat(_grey_levels(np.asarray(image))[..., None], 3, axis=2)
            else:
                rgb = np.asarray(image.convert("RGB"), np.uint8)
    if not rgb.size:
        raise ValueError("no pixels")
    return reduce_texture(rgb, MAX_TEXELS)


def _grey_levels(values: np.ndarray) -> UInt8[np.ndarray, "rows columns"]:
    """Levels 0-255 of one channel of 16 bits, or of floats 0-1."""
    scale = 255.0 if values.dtype.kind == "f" else 255 / 65535
    return np.rint(np.clip(np.nan_to_num(values.astype(np.float64)) * scale, 0, 255)).astype(np.uint8)


def _find_in(folder: Path, name: str) -> Path | None:
    """The file as named, else by the longest end of its path that is there, in any letter case.

    Nothing is looked for above the folder beside the mesh's (`../textures/`): a file of others names no other files.
    """
    steps = [step for step in re.split(r"[\\/]+", name) if step not in ("", ".")]
    tails = (steps[start:] for start in range(len(steps)))
    try:
        return next((path for tail in tails if (path := _walk(folder, tail)) is not None), None)
    except (OSError, ValueError):  # names that no file system takes
        return None


def _walk(folder: Path, steps: list[str]) -> Path | None:
    if ".." in steps[1:]:
        return None
    path = folder
    for step in steps:
        if step == "..":
            path = Path(os.path.abspath(path)).parent
        elif (path / step).exists():
            path = path / step
        elif path.is_dir():
            same = [entry for entry in sorted(path.iterdir()) if _folded(entry.name) == _folded(step)]
            if not same:
                return None
            path = same[0]
        else:
            return None
    return path if path.is_file() else None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _in_one_line(error: Exception) -> str:
    """Without the address of a buffer that Pillow prints."""
    text = re.sub(r"cannot identify image file <.*>", "no image of a format that is read", str(error))
    return " ".join(text.split())[:160] or type(error).__name__
