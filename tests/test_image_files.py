"""Encoded images come back as they were."""

import cv2
import numpy as np
import pytest

from selfpose6d.image_files import decode_image, to_jpeg, to_png, write_png


@pytest.fixture
def image() -> np.ndarray:
    rows, columns = np.mgrid[:40, :60]
    return np.stack([rows * 6, columns * 4, np.full_like(rows, 30)], axis=-1).astype(np.uint8)


def decoded(encoded: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_png_is_lossless_and_red_stays_red(image):
    np.testing.assert_array_equal(decoded(to_png(image)), image)


@pytest.mark.parametrize("num_bytes", [1, 100, 100_000])
def test_bytes_behind_a_png_do_not_make_it_cut_off(image, num_bytes):
    content = to_png(image)
    more = np.frombuffer(content + bytes(num_bytes), np.uint8)
    np.testing.assert_array_equal(decode_image(more, cv2.IMREAD_COLOR)[..., ::-1], image)
    for cut in (len(content) - 1, len(content) - 12, len(content) // 2, 30):
        with pytest.raises(ValueError, match="cut off"):
            decode_image(np.frombuffer(content[:cut], np.uint8), cv2.IMREAD_COLOR)


def test_jpeg_is_close(image):
    assert np.abs(decoded(to_jpeg(image)).astype(int) - image).mean() < 4


def test_file_appears_whole_in_a_new_folder(image, tmp_path):
    write_png(tmp_path / "overlays" / "000001_000002.png", image)
    assert [path.name for path in (tmp_path / "overlays").iterdir()] == ["000001_000002.png"]
    np.testing.assert_array_equal(decoded((tmp_path / "overlays" / "000001_000002.png").read_bytes()), image)
