import cv2
import numpy as np
import pytest
from small_roots import colour_image, write_image

from selfpose6d.datasets.images import (
    images_by_stem,
    read_depth,
    read_labels,
    read_mask,
    read_rgb,
)
from selfpose6d.datasets.inputs import image_input, image_path
from selfpose6d.errors import DataError


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_rgb_keeps_channel_order(tmp_path, suffix):
    image = np.zeros((4, 5, 3), np.uint8)
    image[..., 0] = 200
    write_image(tmp_path / f"red{suffix}", image)
    assert (read_rgb(tmp_path / f"red{suffix}") == image).all()


def test_grey_and_16_bit_and_alpha_become_three_8_bit_channels(tmp_path):
    write_image(tmp_path / "grey.png", np.full((4, 5), 7, np.uint8))
    write_image(tmp_path / "deep.tif", np.full((4, 5), 77 * 257, np.uint16))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((4, 5, 4), 7, np.uint8))
    for name, level in (("grey.png", 7), ("deep.tif", 77), ("alpha.png", 7)):
        assert (read_rgb(tmp_path / name) == np.full((4, 5, 3), level, np.uint8)).all()


def test_exif_orientation_is_ignored(tmp_path):
    """A phone's JPEG that says "rotate me" keeps the pixels that the intrinsics belong to."""
    path = tmp_path / "rotated.jpg"
    write_image(path, colour_image(0))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    encoded = path.read_bytes()
    path.write_bytes(encoded[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + encoded[2:])
    assert cv2.imread(str(path)).shape == (64, 48, 3)
    assert read_rgb(path).shape == (48, 64, 3)


def test_depth_in_metres_with_unknown_as_zero(tmp_path):
    write_image(tmp_path / "d.png", np.array([[0, 5000], [12345, 1]], np.uint16))
    np.testing.assert_allclose(read_depth(tmp_path / "d.png", 1e-4), [[0, 0.5], [1.2345, 1e-4]], rtol=1e-6)
    write_image(tmp_path / "f.tif", np.array([[np.nan, -1.0], [np.inf, 2.0]], np.float32))
    np.testing.assert_array_equal(read_depth(tmp_path / "f.tif", 0.5), [[0, 0], [0, 1]])


def test_depth_saved_as_a_picture_is_refused(tmp_path):
    write_image(tmp_path / "eight.png", np.ones((4, 5), np.uint8))
    write_image(tmp_path / "colour.png", colour_image(0))
    for name in ("eight.png", "colour.png"):
        with pytest.raises(DataError, match=f"{name}: expected one channel of 16 bits"):
            read_depth(tmp_path / name, 1e-3)


def test_a_mask_of_another_size_is_refused(tmp_path):
    write_image(tmp_path / "m.png", np.array([[0, 255], [255, 0]], np.uint8))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", (2, 2)), [[False, True], [True, False]])
    with pytest.raises(DataError, match="2x2 pixels, but the colour image is 4x3"):
        read_mask(tmp_path / "m.png", (3, 4))


def test_labels_of_16_bits(tmp_path):
    write_image(tmp_path / "l.png", np.array([[300, 0]], np.uint16))
    assert read_labels(tmp_path / "l.png").tolist() == [[300, 0]]
    write_image(tmp_path / "f.tif", np.full((2, 2), 0.5, np.float32))
    with pytest.raises(DataError, match="expected integer labels"):
        read_labels(tmp_path / "f.tif")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda b: b[: len(b) // 2], "cut off"),
        (lambda b: b"", "0 bytes"),
        (lambda b: b"not an image" * 10, "unreadable image"),
    ],
)
def test_broken_files_name_path_reason_and_remedy(tmp_path, damage, reason):
    path = tmp_path / "x.png"
    write_image(path, colour_image(0))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=rf"x\.png: .*{reason}.*Copy or export the file again"):
        read_rgb(path)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: missing file\. Restore it"):
        read_rgb(tmp_path / "gone.png")


def test_finding_files_by_stem(tmp_path):
    for name in ("b.jpg", "a.tif", "b.png", ".hidden.png", "note.txt"):
        (tmp_path / name).touch()
    assert {s: p.name for s, p in images_by_stem(tmp_path).items()} == {"a": "a.tif", "b": "b.png"}
    assert image_path(image_input(tmp_path, "a")).name == "a.tif"
    assert image_path(image_input(tmp_path, "c")).name == "c.png"
    assert images_by_stem(tmp_path / "nowhere") == {}
