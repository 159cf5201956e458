"""The crop cache: decoded once, read in any order, within its budget, made anew for other data."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from small_roots import colour_image, write_bop, write_image

from selfpose6d.crops import store as store_module
from selfpose6d.crops.crop import NetworkCrop, crop_instance, pack_crop, record_dtype
from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.selection import Selection


@pytest.fixture
def root(tmp_path):
    return write_bop(tmp_path / "set", {1: 3, 4: 2}, split="train")


@pytest.fixture
def cache(tmp_path):
    return CacheOptions(tmp_path / "cache")


def open_train(root, **selection):
    return DataOptions(root, "train", Selection(**selection)).open()


def test_every_instance_is_there_once_and_equals_a_fresh_crop(root, cache):
    dataset = open_train(root)
    store = open_crop_store(dataset, 32, cache)
    assert len(store) == 10
    assert len({store.key(n) for n in range(10)}) == 10
    for frame_id in dataset.frame_ids():
        frame = dataset.load_frame(frame_id)
        for instance in frame.instances:
            crop = crop_instance(frame, instance, 32)
            assert isinstance(crop, NetworkCrop)
            index = next(n for n in range(10) if store.key(n) == instance.key)
            assert store.read(np.array([index])).tobytes() == pack_crop(crop).tobytes()


def test_records_come_in_the_order_asked_for(root, cache):
    store = open_crop_store(open_train(root), 32, cache)
    numbers = np.array([7, 2, 2, 9])
    assert np.array_equal(store.read(numbers)["key"], store.keys[numbers])


def test_frames_are_decoded_once(root, cache):
    decoded = []
    for _ in range(2):
        open_crop_store(open_train(root), 32, cache, lambda: decoded.append(1))
    assert len(decoded) == 5


def test_of_several_that_need_the_same_crops_one_decodes_and_the_others_wait(root, cache):
    decoded = []
    with ThreadPoolExecutor(3) as pool:
        opened = [
            pool.submit(open_crop_store, open_train(root), 32, cache, lambda: decoded.append(1))
            for _ in range(3)
        ]
        stores = [one.result(timeout=60) for one in opened]
    assert len(decoded) == 5
    records = {store.read(np.arange(10)).tobytes() for store in stores}
    assert len(records) == 1


def test_a_changed_image_or_another_size_or_selection_is_decoded_anew(root, cache):
    first = open_crop_store(open_train(root), 32, cache)
    write_image(root / "train" / "000001" / "rgb" / "000002.png", colour_image(77)[:, ::-1] // 2)
    changed = open_crop_store(open_train(root), 32, cache)
    assert not np.array_equal(first.read(np.arange(10))["rgb"], changed.read(np.arange(10))["rgb"])
    assert open_crop_store(open_train(root), 64, cache).crop_px == 64
    assert len(open_crop_store(open_train(root, objects=(2,)), 32, cache)) == 5


def test_what_cannot_be_read_is_reported_and_left_out(root, cache):
    (root / "train" / "000001" / "depth" / "000002.png").unlink()
    store = open_crop_store(open_train(root), 32, cache)
    assert len(store) == 8
    assert [skipped.key[1:4] for skipped in store.skipped] == [(1, 2, 1), (1, 2, 2)]
    assert "missing file" in store.skipped[0].reason


def test_without_a_usable_instance_the_reasons_are_named(root, cache):
    for path in root.glob("train/*/depth/*.png"):
        write_image(path, np.zeros((48, 64), np.uint16))
    with pytest.raises(UsageError, match=r"no usable instance.*the depth image has no known depth"):
        open_crop_store(open_train(root), 32, cache)


def test_a_budget_that_is_too_small_is_an_error_and_leaves_nothing(root, tmp_path):
    cache = CacheOptions(tmp_path / "cache", budget_bytes=4 * record_dtype(32).itemsize)
    with pytest.raises(UsageError, match="Raise --cache-gb"):
        open_crop_store(open_train(root), 32, cache)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_longest_unused_crops_make_room(root, tmp_path):
    roomy = CacheOptions(tmp_path / "cache")
    for index, obj_id in enumerate((1, 2)):
        open_crop_store(open_train(root, objects=(obj_id,)), 32, roomy)
        done = max((tmp_path / "cache").glob("*/done.json"), key=os.path.getmtime)
        os.utime(done, (index, index))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    size = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())
    tight = CacheOptions(tmp_path / "cache", budget_bytes=int(1.3 * size))
    open_crop_store(open_train(root, scenes=(4,)), 32, tight)
    kept = [json.loads(path.read_text())["instances"] for path in (tmp_path / "cache").glob("*/done.json")]
    assert sorted(kept) == [4, 5]


def test_a_killed_decoding_leaves_no_half_cache(root, cache):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_crop_store(open_train(root), 32, cache, stop)
    assert len(open_crop_store(open_train(root), 32, cache)) == 10


def test_real_frames(ycbv_sample, tmp_path):
    dataset = DataOptions(ycbv_sample, "test", Selection(limit=3)).open()
    store = open_crop_store(dataset, 96, CacheOptions(tmp_path))
    assert len(store) == sum(len(dataset.instance_keys(frame_id)) for frame_id in dataset.frame_ids())
    records = store.read(np.arange(len(store)))
    assert ((records["middle_m"] > 0.4) & (records["middle_m"] < 1.5)).all()


def test_a_cut_off_cache_is_named(root, cache):
    store = open_crop_store(open_train(root), 32, cache)
    (records,) = cache.root.glob("*/records.bin")
    os.truncate(records, records.stat().st_size - 100)
    with pytest.raises(DataError, match=r"records\.bin is cut off\. Remove its folder"):
        store.read(np.array([9]))


@pytest.mark.parametrize("stopped_after", [1, 3])
def test_decoding_that_was_stopped_goes_on_behind_the_last_whole_frame(
    root, cache, tmp_path, monkeypatch, stopped_after
):
    (root / "train" / "000001" / "depth" / "000001.png").unlink()
    whole = open_crop_store(open_train(root), 32, CacheOptions(tmp_path / "other"))
    decoded, cut = [], store_module._cut_frame

    def stop_later() -> None:
        decoded.append(1)
        if len(decoded) == stopped_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_crop_store(open_train(root), 32, cache, stop_later)
    (part,) = cache.root.glob(".*.part")
    for path in part.iterdir():  # what a kill leaves of the next frame
        with path.open("ab") as file:
            file.write(b"9 9")
    cut_now = []
    monkeypatch.setattr(store_module, "_cut_frame", lambda *args: cut_now.append(args[1]) or cut(*args))
    shown = []
    store = open_crop_store(open_train(root), 32, cache, lambda: shown.append(1))
    assert len(cut_now) == 5 - stopped_after
    assert len(shown) == 5
    assert np.array_equal(store.keys, whole.keys)
    assert store.read(np.arange(len(store))).tobytes() == whole.read(np.arange(len(whole))).tobytes()
    assert [skipped.key for skipped in store.skipped] == [skipped.key for skipped in whole.skipped]
    assert len(store.skipped) == 2
    (folder,) = (path for path in cache.root.iterdir() if not path.name.startswith("."))
    assert sorted(path.name for path in folder.iterdir()) == [
        "done.json",
        "keys.npy",
        "records.bin",
        "skipped.jsonl",
    ]


def test_what_nobody_goes_on_with_makes_room(root, tmp_path):
    cache = CacheOptions(tmp_path / "cache", budget_bytes=12 * record_dtype(32).itemsize)
    abandoned = tmp_path / "cache" / ".0123.part"
    abandoned.mkdir(parents=True)
    (abandoned / "records.bin").write_bytes(bytes(5 * record_dtype(32).itemsize))
    open_crop_store(open_train(root), 32, cache)
    assert not abandoned.exists()
