"""Records: what is packed comes back."""

import numpy as np
import pytest
from crop_frames import frame

from selfpose6d.crops.crop import Crop, crop_instance
from selfpose6d.crops.record import pack_crop, record_dtype, unpack_crop
from selfpose6d.errors import UsageError


def test_a_crop_comes_back_with_its_depth_to_a_few_hundredths_of_a_millimetre():
    scene = frame()
    crop = crop_instance(scene, scene.instances[0], 32)
    assert isinstance(crop, Crop)
    back = unpack_crop(pack_crop(crop), "train")
    assert back.key == crop.key
    assert back.box == crop.box
    assert np.array_equal(back.rgb, crop.rgb)
    assert np.array_equal(back.mask, crop.mask)
    assert np.array_equal(back.K, crop.K)
    assert np.abs(back.depth_m - crop.depth_m).max() < 2e-5
    assert np.array_equal(back.depth_m > 0, crop.depth_m > 0)


def test_the_middle_is_the_masks_median_depth():
    scene = frame()
    crop = crop_instance(scene, scene.instances[0], 32)
    assert isinstance(crop, Crop)
    assert pack_crop(crop)["middle_m"][0] == pytest.approx(np.median(crop.depth_m[crop.mask]))


def test_a_record_takes_about_five_bytes_a_pixel():
    assert 5 * 96 * 96 < record_dtype(96).itemsize < 5.3 * 96 * 96


def test_a_size_that_cannot_be_packed_is_refused():
    with pytest.raises(UsageError, match="multiple of 8"):
        record_dtype(90)
