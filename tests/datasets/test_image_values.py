"""What masks, label images and colour images of annotation tools and cameras hold, by their formats' rules."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from small_roots import colour_image, masks, write_capture, write_image, write_models

from selfpose6d.datasets.images import read_depth, read_labels, read_mask, read_rgb
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError

SHAPE = (48, 64)
FIRST, SECOND = (mask > 0 for mask in masks())
ZERO = np.zeros(SHAPE, np.uint8)
WHITE = np.uint8(255) * FIRST
COLOUR = colour_image(3) // 2 + 60


def voc_palette() -> list[int]:
    """Pascal VOC's colour map, as labelme, DAVIS and XMem write it."""
    palette = []
    for index in range(256):
        rgb, bits = [0, 0, 0], index
        for shift in range(7, -1, -1):
            for channel in range(3):
                rgb[channel] |= (bits >> channel & 1) << shift
            bits >>= 3
        palette += rgb
    return palette


def indexed(index: np.ndarray, palette: list[int], path: Path, **options: object) -> None:
    image = Image.fromarray(index.astype(np.uint8), "P")
    image.putpalette(palette)
    image.save(path, **options)


def stack(*channels: np.ndarray) -> np.ndarray:
    return np.stack(channels, -1)


def soft(sigma_px: float) -> np.ndarray:
    return cv2.GaussianBlur(WHITE, (0, 0), sigma_px)


def save(image: np.ndarray | Image.Image, mode: str | None = None, **options: object):
    """Writes it with Pillow, as the annotation tools do."""
    of_mode = image if isinstance(image, Image.Image) else Image.fromarray(image, mode)
    return lambda path: of_mode.save(path, **options)


EXACT_MASKS = {
    "grey-255.png": save(WHITE),
    "grey-1.png": save(FIRST.astype(np.uint8)),
    "one-bit.png": save(FIRST),
    "one-bit.tif": save(FIRST),
    "sixteen-bits.png": save(np.uint16(65535) * FIRST),
    "sixteen-bits-1.png": save(FIRST.astype(np.uint16)),
    "floor-of-3.png": save(np.maximum(WHITE, 3)),
    "red.png": save(stack(WHITE, ZERO, ZERO)),
    "green.png": save(stack(ZERO, WHITE, ZERO)),
    "blue.png": save(stack(ZERO, ZERO, WHITE)),
    "dark-red.png": save(stack(WHITE // 4, ZERO, ZERO)),
    "rgba-cutout.png": save(np.dstack([COLOUR, WHITE])),
    "rgba-opaque.png": save(stack(WHITE, WHITE, WHITE, np.full(SHAPE, 255, np.uint8))),
    "rgba-half-opaque-overlay.png": save(np.dstack([COLOUR, WHITE // 2])),
    "la-cutout.png": save(stack(COLOUR[..., 0], WHITE), "LA"),
    "rgb-cutout.png": save(COLOUR * FIRST[..., None]),
    "palette-1.png": lambda path: indexed(FIRST, voc_palette(), path),
    "palette-1.tif": lambda path: indexed(FIRST, voc_palette(), path),
    "palette-5-of-4-bits.png": lambda path: indexed(FIRST * 5, voc_palette()[:48], path, bits=4),
    "palette-without-colours.png": lambda path: indexed(FIRST, [0] * 768, path),
    "palette-white-first.png": lambda path: indexed(~FIRST * 1, [255, 255, 255, 0, 0, 0], path),
    "palette-transparent.png": lambda path: indexed(FIRST, [255, 255, 255, 255, 0, 0], path, transparency=0),
    "palette-of-greys.png": lambda path: save(Image.fromarray(WHITE).convert("P"))(path),
}


@pytest.mark.parametrize("name", EXACT_MASKS)
def test_masks_of_annotation_tools_show_the_same_pixels(tmp_path, name):
    EXACT_MASKS[name](tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name, SHAPE), FIRST)


@pytest.mark.parametrize("sigma_px", [0.7, 1.0, 2.0])
def test_soft_masks_are_cut_at_half(tmp_path, sigma_px):
    grey = soft(sigma_px)
    save(grey)(tmp_path / "grey.png")
    save(np.dstack([COLOUR, grey]))(tmp_path / "alpha.png")
    save(stack(grey, ZERO, ZERO))(tmp_path / "red.png")
    cv2.imwrite(str(tmp_path / "float.tif"), grey.astype(np.float32) / 255)
    cv2.imwrite(str(tmp_path / "deep.png"), grey.astype(np.uint16) * 257)
    for name in ("grey.png", "alpha.png", "red.png", "float.tif", "deep.png"):
        np.testing.assert_array_equal(read_mask(tmp_path / name, SHAPE), grey > 127, err_msg=name)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_jpeg_masks_are_cut_at_half(tmp_path, quality):
    save(WHITE, quality=quality)(tmp_path / "grey.jpg")
    read = read_mask(tmp_path / "grey.jpg", SHAPE)
    np.testing.assert_array_equal(read, cv2.imread(str(tmp_path / "grey.jpg"), 0) > 127)
    assert np.count_nonzero(read != FIRST) <= 8
    save(stack(WHITE, ZERO, ZERO), quality=quality)(tmp_path / "red.jpg")
    assert np.count_nonzero(read_mask(tmp_path / "red.jpg", SHAPE) != FIRST) <= 0.1 * FIRST.sum()


def test_the_outlines_that_voc_marks_belong_to_no_object(tmp_path):
    ring = cv2.dilate(WHITE, np.ones((5, 5))) > 0
    index = np.where(FIRST, 4, np.where(ring, 255, 0))
    indexed(index, voc_palette(), tmp_path / "void.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "void.png", SHAPE), FIRST)
    np.testing.assert_array_equal(read_labels(tmp_path / "void.png"), FIRST * 4)


def test_a_picture_of_a_yellow_object_on_black_shows_the_whole_object(tmp_path):
    shade = np.linspace(0.1, 1, 64)[None, :, None] * np.array([250, 210, 40]) + colour_image(4) / 32
    save((np.clip(shade, 1, 255) * FIRST[..., None]).astype(np.uint8))(tmp_path / "cutout.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "cutout.png", SHAPE), FIRST)


LABELS = FIRST * 2 + SECOND * 3
LABEL_IMAGES = {
    "grey.png": save(LABELS.astype(np.uint8)),
    "sixteen-bits.png": save(LABELS.astype(np.uint16)),
    "palette.png": lambda path: indexed(LABELS, voc_palette(), path),
    "palette-of-2-bits.png": lambda path: indexed(LABELS, voc_palette()[:12], path, bits=2),
    "palette.tif": lambda path: indexed(LABELS, voc_palette(), path),
    "three-equal-channels.png": save(stack(*[LABELS.astype(np.uint8)] * 3)),
    "rgba.png": save(
        stack(*[np.where(LABELS, LABELS, 9).astype(np.uint8)] * 3, np.uint8(255) * (LABELS > 0))
    ),
    "la.png": save(stack(LABELS.astype(np.uint8), np.full(SHAPE, 255, np.uint8)), "LA"),
    "float.tif": lambda path: cv2.imwrite(str(path), LABELS.astype(np.float32)),
    "int32.tif": lambda path: cv2.imwrite(str(path), LABELS.astype(np.int32)),
}


@pytest.mark.parametrize("name", LABEL_IMAGES)
def test_label_images_of_annotation_tools_hold_the_same_labels(tmp_path, name):
    LABEL_IMAGES[name](tmp_path / name)
    np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS)


def test_one_bit_labels_are_0_and_1(tmp_path):
    save(FIRST)(tmp_path / "one-bit.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "one-bit.png"), FIRST * 1)


@pytest.mark.parametrize(
    ("write", "name", "reason"),
    [
        (save(LABELS.astype(np.uint8)), "x.jpg", "JPEG and lossy WebP change values"),
        (save(stack(WHITE, ZERO, ZERO)), "x.png", r"colours are no labels, got \(0, 0, 0\), \(255, 0, 0\)"),
        (lambda path: cv2.imwrite(str(path), np.float32(LABELS / 2)), "x.tif", "float32 with fractions"),
    ],
)
def test_images_without_labels_are_refused(tmp_path, write, name, reason):
    write(tmp_path / name)
    with pytest.raises(DataError, match=rf"{name}: .*{reason}.*\. Save it losslessly \(PNG\)"):
        read_labels(tmp_path / name)


def instances(root: Path) -> tuple[list[tuple[int, int]], list[str]]:
    """Object and pixels of the usable instances, and why the others are not."""
    dataset = DataOptions(root, models=root.parent / "models").open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    found = [(instance.key.obj_id, int(instance.mask.sum())) for instance in frame.instances]
    return found, [skipped.reason for skipped in frame.skipped]


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (np.full(SHAPE, 255, np.uint8), "the mask covers the whole image"),
        (255 - WHITE, "the mask looks inverted: it holds 87% of the image and 100% of its border"),
        (np.full((*SHAPE, 3), 255, np.uint8), "the mask covers the whole image"),
        (ZERO, "empty mask of object 1"),
    ],
)
def test_masks_that_outline_nothing_are_skipped_with_the_reason(tmp_path, mask, reason):
    root = write_capture(tmp_path / "set", ("a",))
    write_models(tmp_path / "models")
    write_image(root / "masks" / "1" / "a.png", mask)
    found, skipped = instances(root)
    assert not found
    assert reason in skipped[0]


def test_a_label_of_the_background_is_no_object(tmp_path):
    """Labels 1 for the table and 2 for the object: the table's is refused, the object's read."""
    root = write_capture(tmp_path / "set", ("a",))
    write_models(tmp_path / "models")
    (root / "masks" / "1" / "a.png").unlink()
    (root / "masks" / "1").rmdir()
    write_image(root / "masks" / "a.png", np.where(FIRST, 2, 1).astype(np.uint8))
    found, skipped = instances(root)
    assert found == [(2, FIRST.sum())]
    assert "looks inverted" in skipped[0]


RGB = colour_image(5)
RGB_8 = RGB.astype(np.uint16)


@pytest.mark.parametrize(
    ("write", "name", "tolerance"),
    [
        (lambda path: write_image(path, RGB_8 * 257), "sixteen.png", 0),
        (lambda path: write_image(path, RGB_8 * 257), "sixteen.tif", 0),
        (lambda path: write_image(path, RGB_8 * 16), "twelve-bits.png", 1),
        (lambda path: write_image(path, RGB_8 * 4), "ten-bits.png", 1),
        (lambda path: write_image(path, RGB_8), "eight-in-sixteen.png", 0),
        (lambda path: write_image(path, np.float32(RGB / 255)), "float.tif", 0),
        (save(np.dstack([RGB, WHITE])), "rgba.png", 0),
        (save(Image.fromarray(RGB).convert("CMYK"), quality=100), "cmyk.jpg", 60),
        (save(Image.fromarray(RGB).convert("CMYK")), "cmyk.tif", 1),
    ],
)
def test_colours_of_other_depths_are_8_bit_rgb(tmp_path, write, name, tolerance):
    write(tmp_path / name)
    read = read_rgb(tmp_path / name)
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - RGB).max() <= tolerance


@pytest.mark.parametrize(
    ("values", "got"),
    [(np.full((4, 5, 3), 900, np.float32), "up to 900"), (np.full((4, 5), 7, np.int32), "int32")],
)
def test_values_that_are_no_colours_are_refused(tmp_path, values, got):
    write_image(tmp_path / "x.tif", values)
    with pytest.raises(DataError, match=rf"x\.tif: expected colours of .*{got}.*Export it as 8-bit RGB"):
        read_rgb(tmp_path / "x.tif")


def test_exif_orientation_is_said_to_be_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("x.jpg", "x.png"):
        Image.fromarray(RGB).save(tmp_path / name, exif=exif)
        with pytest.warns(UserWarning, match="EXIF orientation 6, which is ignored"):
            assert read_rgb(tmp_path / name).shape == RGB.shape


DEPTH_M = np.linspace(0.5, 1.5, 48 * 64).reshape(SHAPE).astype(np.float32)
HOLES = FIRST & (np.arange(64) % 2 == 0)


@pytest.mark.parametrize("unknown", [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e10, 65.535, 65535.0, 10.0, 4.0])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_what_floats_fill_unknown_depth_with_is_unknown(tmp_path, suffix, unknown):
    values = np.where(HOLES, np.float32(unknown), DEPTH_M).astype(np.float32)
    write = np.save if suffix == ".npy" else lambda path, image: cv2.imwrite(str(path), image)
    write(tmp_path / f"d{suffix}", values)
    read = read_depth(tmp_path / f"d{suffix}", 1.0)
    read[read > 20] = 0  # beyond any camera's range: the frame's door leaves it out
    np.testing.assert_allclose(read, np.where(HOLES, 0, DEPTH_M), rtol=1e-6)


@pytest.mark.parametrize("metres_per_unit", [1e-3, 1e-4, 2.5e-4])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_the_largest_number_of_16_bits_is_unknown_in_every_unit(tmp_path, dtype, metres_per_unit):
    units = np.rint(DEPTH_M / metres_per_unit).astype(dtype)
    suffix = ".png" if dtype == np.uint16 else ".tif"
    cv2.imwrite(str(tmp_path / f"d{suffix}"), np.where(HOLES, dtype(65535), units))
    read = read_depth(tmp_path / f"d{suffix}", metres_per_unit)
    np.testing.assert_allclose(read, np.where(HOLES, 0, DEPTH_M), atol=metres_per_unit)


def test_a_wall_and_coarse_steps_are_no_far_plane(tmp_path):
    wall = np.where(FIRST, 0.5, 1.9).astype(np.float32)
    steps = np.rint(np.linspace(2, 8, 48 * 64).reshape(SHAPE) / 0.3).astype(np.float32) * np.float32(0.3)
    only = np.where(FIRST, 3.0, 0).astype(np.float32)
    for depth_m in (wall, steps, only):
        np.save(tmp_path / "d.npy", depth_m)
        np.testing.assert_array_equal(read_depth(tmp_path / "d.npy", 1.0), depth_m)


def test_depth_in_three_equal_channels_is_depth(tmp_path):
    units = np.rint(DEPTH_M * 1e3).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "d.png"), stack(units, units, units))
    np.testing.assert_allclose(read_depth(tmp_path / "d.png", 1e-3), DEPTH_M, atol=1e-3)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999), }".ljust(
                128
            ),
            "npy",
        ),
        (b"", "unreadable .npy"),
        (b"no array", "unreadable .npy"),
    ],
)
def test_broken_arrays_are_named(tmp_path, content, reason):
    (tmp_path / "d.npy").write_bytes(content)
    with pytest.raises(DataError, match=rf"d\.npy: .*{reason}.*numpy\.save"):
        read_depth(tmp_path / "d.npy", 1.0)


def test_arrays_that_would_run_code_are_refused(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    (tmp_path / "d.npy").write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"unreadable \.npy file"):
        read_depth(tmp_path / "d.npy", 1.0)


def test_a_git_lfs_pointer_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\nIEND"
    )
    with pytest.raises(
        DataError, match=r"a Git LFS pointer, not the image itself\. Fetch it with git lfs pull"
    ):
        read_rgb(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ("a_0001.exr", r"there is a_0001\.exr, and \.exr is not read\. Convert it"),
        (
            "depth_0001.png",
            r"no file of this name; there is depth_0001\.png\. Give the images of a frame one name",
        ),
        ("a_0002.png", "missing file. Restore it"),
    ],
)
def test_what_lies_beside_a_missing_file_is_named(tmp_path, there, reason):
    (tmp_path / there).touch()
    with pytest.raises(DataError, match=rf"a_0001\.png: .*{reason}"):
        read_depth(tmp_path / "a_0001.png", 1.0)


def test_a_link_to_nowhere_is_named(tmp_path):
    (tmp_path / "a.png").symlink_to(tmp_path / "gone" / "a.png")
    with pytest.raises(DataError, match=r"missing file: a link to .*gone/a\.png, which does not exist"):
        read_rgb(tmp_path / "a.png")


def test_a_file_that_may_not_be_read_is_not_missing(tmp_path, monkeypatch):
    """As any user but root meets it."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    for name in ("a.png", "a.npy"):
        with pytest.raises(
            DataError, match=rf"{name}: Permission denied\. Check the path and its permissions"
        ):
            read_depth(tmp_path / name, 1.0)
