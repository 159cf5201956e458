"""Images of meshes: every number format gives the same levels, and what cannot be read is named."""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from six_colours import atlas, encoded

from selfpose6d.meshes.assets import Assets

GREY = atlas()[..., 0]
MESH = Path("mesh.obj")


def decoded(content: bytes) -> np.ndarray | None:
    return Assets(MESH).decode(content, "a")


def opencv_png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def converted(mode: str, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(atlas())
    (image.quantize(8) if mode == "P" else image.convert(mode)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        encoded(atlas()),
        opencv_png(atlas()[..., ::-1].astype(np.uint16) * 257),
        converted("RGBA"),
        converted("P"),
        converted("CMYK", "JPEG", quality=98),
        converted("CMYK", "TIFF"),
        converted("RGB", "TGA"),
        converted("RGB", "PPM"),
        converted("RGB", "BMP"),
    ],
    ids=["png", "16 bits", "alpha", "palette", "cmyk jpeg", "cmyk tiff", "tga", "ppm", "bmp"],
)
def test_levels_of_colour_images(content):
    rgb = decoded(content)
    assert rgb is not None
    # JPEG rounds
    np.testing.assert_allclose(rgb, atlas(), atol=12)


@pytest.mark.parametrize(
    "content",
    [
        opencv_png(GREY),
        opencv_png(GREY.astype(np.uint16) * 257),
        encoded(np.stack([GREY, 0 * GREY], axis=-1)),
        encoded((GREY / np.float32(255)).astype(np.float32), "TIFF"),
    ],
    ids=["8 bits", "16 bits", "with alpha", "floats"],
)
def test_levels_of_grey_images(content):
    rgb = decoded(content)
    assert rgb is not None
    np.testing.assert_allclose(rgb, np.repeat(GREY[..., None], 3, axis=2), atol=1)


def test_the_orientation_of_a_photo_is_left_out():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    file = io.BytesIO()
    Image.fromarray(atlas()).save(file, "JPEG", exif=exif, quality=95)
    rgb = decoded(file.getvalue())
    assert rgb is not None
    assert rgb.shape == atlas().shape


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no image of a format that is read"),
        (b"\xabKTX 20\xbb\r\n\x1a\n", "KTX2 is not read, expected PNG or JPEG"),
        (b"#?RADIANCE\n", "Radiance HDR is not read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a format that is read"),
        (encoded(atlas())[:-40], "truncated|broken"),
    ],
)
def test_what_cannot_be_read_is_named(content, message):
    assets = Assets(MESH)
    assert assets.decode(content, "print.png") is None
    assert re.search(f"print.png cannot be read .*({message})", assets.notes[0])


def test_an_image_that_unpacks_to_gigabytes_is_refused_without_a_warning_of_another_library():
    """A PNG header of 60,000 x 60,000 pixels, 100 bytes long."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    for side in (60_000, 12_000):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
        assets = Assets(MESH)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert assets.decode(content, "bomb.png") is None
        assert "pixels" in assets.notes[0]


def test_names_outside_a_file_system_are_only_missing(tmp_path):
    for name in ("\0", "a" * 5000, "", '""', "..", "../..", "/", "C:\\"):
        assets = Assets(tmp_path / "a.obj")
        assert assets.find(name) is None
        assert "is named but not there" in assets.notes[0]


def test_a_note_is_made_once(tmp_path):
    assets = Assets(tmp_path / "a.obj")
    for _ in range(3):
        assert assets.image("gone.png") is None
    assert len(assets.notes) == 1
