"""Records: what is packed comes back."""

import numpy as np
import pytest
from crop_frames import frame

from selfpose6d.crops.batch import decode_records
from selfpose6d.crops.crop import NetworkCrop, crop_instance, pack_crop, record_dtype
from selfpose6d.errors import UsageError


def test_a_crop_comes_back_with_its_depth_to_a_few_hundredths_of_a_millimetre():
    scene = frame()
    crop = crop_instance(scene, scene.instances[0], 32)
    assert isinstance(crop, NetworkCrop)
    record = pack_crop(crop)
    back = decode_records(record)
    assert tuple(record["key"][0]) == crop.key[1:]
    assert back.obj_id.tolist() == [crop.key.obj_id]
    assert back.box_px[0].tolist() == [crop.box.left_px, crop.box.top_px, crop.box.side_px]
    assert np.array_equal((255 * back.rgb[0].permute(1, 2, 0)).round().numpy(), crop.rgb)
    assert np.array_equal(back.mask[0].numpy(), crop.mask)
    assert np.array_equal(record["K"][0], crop.K)
    depth_m = back.depth_m[0].numpy()
    assert np.abs(depth_m - crop.depth_m).max() < 2e-5
    assert np.array_equal(depth_m > 0, crop.depth_m > 0)


def test_the_middle_is_the_masks_median_depth():
    scene = frame()
    crop = crop_instance(scene, scene.instances[0], 32)
    assert isinstance(crop, NetworkCrop)
    assert pack_crop(crop)["middle_m"][0] == pytest.approx(np.median(crop.depth_m[crop.mask]))


def test_a_record_takes_about_five_bytes_a_pixel():
    assert 5 * 96 * 96 < record_dtype(96).itemsize < 5.3 * 96 * 96


def test_a_size_that_cannot_be_packed_is_refused():
    with pytest.raises(UsageError, match="multiple of 8"):
        record_dtype(90)
