"""Whatever a crop follows from makes new crops when it changes; other changes, and no change, keep them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_roots import (
    change_json,
    colour_image,
    masks,
    scene_gt_entry,
    write_bop,
    write_capture,
    write_image,
    write_models,
    write_ycb,
    write_ycb_meta,
)

from selfpose6d.crops.store import CacheOptions, CropStore, open_crop_store
from selfpose6d.datasets import images
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.selection import FrameId, Selection

BOX = [22, 14, 20, 20]


def bop(root: Path) -> DataOptions:
    return DataOptions(write_bop(root, {1: 2, 4: 1}, split="train"), "train")


def grey_bop(root: Path) -> DataOptions:
    options = bop(root)
    for scene in (root / "train").iterdir():
        (scene / "rgb").rename(scene / "gray")
    return options


def detected(root: Path) -> DataOptions:
    options = bop(root)
    write_detections(root, BOX)
    return DataOptions(root, options.split, detections=root / "detections.json")


def capture(root: Path) -> DataOptions:
    write_models(root / "models", (1, 2))
    return DataOptions(write_capture(root))


def labelled_capture(root: Path) -> DataOptions:
    options = capture(root)
    shutil.rmtree(root / "masks")
    for name in "ab":
        write_image(root / "masks" / f"{name}.png", (masks()[0] > 0).astype(np.uint8))
    return options


def ycb(root: Path) -> DataOptions:
    return DataOptions(write_ycb(root), "all")


def write_detections(root: Path, box: list[int]) -> None:
    row = {"scene_id": 1, "image_id": 1, "category_id": 1, "score": 0.5, "bbox": box}
    (root / "detections.json").write_text(json.dumps([row]))


def every(pattern: str, change: Callable[[Path], None]) -> Callable[[Path], None]:
    """The change of every file of a root that fits."""

    def apply(root: Path) -> None:
        paths = sorted(root.glob(pattern))
        assert paths, pattern
        for path in paths:
            change(path)

    return apply


def read_image(path: Path) -> np.ndarray:
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return image


def erode(path: Path) -> None:
    write_image(path, cv2.erode(read_image(path), np.ones((3, 3), np.uint8)))


def touch(path: Path) -> None:
    """Another time, the same content."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def double_depth(path: Path) -> None:
    """Another content; the size may be the same."""
    write_image(path, 2 * read_image(path))


def in_scenes(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        for path in root.glob("train/*/scene_camera.json"):
            time_ns = path.stat().st_mtime_ns
            change_json(path, lambda cameras: [change(camera) for camera in cameras.values()])
            os.utime(path, ns=(time_ns, time_ns))  # as a copy that keeps times leaves it

    return apply


def halve_scale(camera: dict) -> None:
    camera["depth_scale"] /= 2


def double_fx(camera: dict) -> None:
    camera["cam_K"][0] *= 2


def in_metas(**changes: object) -> Callable[[Path], None]:
    return lambda root: write_ycb_meta(root / "data" / "0060" / "000003", 60, **changes)


def rename_objects(root: Path) -> None:
    change_json(root / "train" / "000001" / "scene_gt.json", lambda rows: rows["1"][0].update(obj_id=2))


def add_instance(root: Path) -> None:
    change_json(root / "train" / "000001" / "scene_gt.json", lambda rows: rows["1"].append(scene_gt_entry(1)))


CHANGES = {
    "bop: depth_scale": (bop, in_scenes(halve_scale)),
    "bop: fx": (bop, in_scenes(double_fx)),
    "bop: masks": (bop, every("train/*/mask_visib/*.png", erode)),
    "bop: one mask": (bop, every("train/000004/mask_visib/000001_000001.png", touch)),
    "bop: a depth image touched": (bop, every("train/000001/depth/000002.png", touch)),
    "bop: depth": (bop, every("train/*/depth/*.png", double_depth)),
    "bop: a depth image gone": (bop, every("train/000001/depth/000002.png", Path.unlink)),
    "bop: a colour image": (bop, every("train/000004/rgb/000001.png", touch)),
    "bop: object ids": (bop, rename_objects),
    "bop: an instance more": (bop, add_instance),
    "bop: cameras unreadable": (bop, lambda root: (root / "train/000001/scene_camera.json").write_text("{")),
    "bop: a model less": (bop, every("models/obj_000002.ply", Path.unlink)),
    "grey bop: images": (grey_bop, every("train/*/gray/*.png", touch)),
    "grey bop: an empty rgb/": (grey_bop, lambda root: (root / "train/000001/rgb").mkdir()),
    "detections: boxes": (detected, lambda root: write_detections(root, [23, 14, 20, 20])),
    "detections: depth": (detected, every("train/000001/depth/000001.png", touch)),
    "capture: depth_scale": (capture, lambda root: change_json(root / "camera.json", halve_scale)),
    "capture: fx": (capture, lambda root: change_json(root / "camera.json", double_fx)),
    "capture: masks": (capture, every("masks/1/*.png", erode)),
    "capture: a second instance": (
        capture,
        lambda root: write_image(root / "masks" / "1" / "a_1.png", masks()[1]),
    ),
    "capture: depth": (capture, every("depth/a.png", touch)),
    "capture: another object": (capture, lambda root: (root / "masks" / "1").rename(root / "masks" / "2")),
    "capture: another colour file": (
        capture,
        lambda root: write_image(root / "rgb" / "a.png", colour_image(9)),
    ),
    "labelled capture: masks": (labelled_capture, every("masks/*.png", erode)),
    "ycb: factor_depth": (ycb, in_metas(factor_depth=np.array([[5000]], np.uint16))),
    "ycb: fx": (ycb, in_metas(intrinsic_matrix=np.diag([300.0, 200.0, 1.0]))),
    "ycb: classes": (ycb, in_metas(cls_indexes=np.array([[2], [6]], np.uint8))),
    "ycb: masks": (ycb, every("data/*/*-label.png", erode)),
    "ycb: depth": (ycb, every("data/0001/*-depth.png", touch)),
    "ycb: colour": (ycb, every("data/0060/*-color.png", touch)),
}


def open_store(options: DataOptions, cache: CacheOptions) -> tuple[CropStore, int]:
    """The crops, and the number of frames that were decoded for them."""
    decoded = []
    store = open_crop_store(options.open(), 32, cache, lambda: decoded.append(1))
    return store, len(decoded)


@pytest.mark.parametrize(("make", "change"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_what_is_read_makes_new_crops(make, change, tmp_path):
    cache = CacheOptions(tmp_path / "cache")
    options = make(tmp_path / "set")
    frames = len(options.open().frame_ids())
    assert open_store(options, cache)[1] == frames
    assert open_store(options, cache)[1] == 0, "nothing had changed"
    change(tmp_path / "set")
    assert open_store(options, cache)[1] == frames


def test_the_new_crops_have_the_new_depth_and_camera(tmp_path):
    cache, options = CacheOptions(tmp_path / "cache"), bop(tmp_path / "set")
    before = open_store(options, cache)[0].read(np.arange(6))
    in_scenes(halve_scale)(options.dataset)
    in_scenes(double_fx)(options.dataset)
    after = open_store(options, cache)[0].read(np.arange(6))
    np.testing.assert_allclose(after["middle_m"], before["middle_m"] / 2)
    np.testing.assert_allclose(after["K"][:, 0, 0], 2 * before["K"][:, 0, 0])


def test_poses_amodal_masks_and_meshes_of_the_same_size_change_no_crop(tmp_path):
    cache, options = CacheOptions(tmp_path / "cache"), bop(tmp_path / "set")
    open_store(options, cache)
    scene = options.dataset / "train" / "000001"
    change_json(scene / "scene_gt.json", lambda rows: rows["1"][0].update(cam_t_m2c=[1, 2, 3]))
    write_image(scene / "mask" / "000001_000000.png", masks()[0])
    touch(options.dataset / "models" / "obj_000001.ply")
    assert open_store(options, cache)[1] == 0


@pytest.mark.parametrize("make", [bop, capture, ycb])
def test_the_same_data_set_elsewhere_has_the_same_crops(make, tmp_path):
    cache, options = CacheOptions(tmp_path / "cache"), make(tmp_path / "set")
    open_store(options, cache)
    shutil.copytree(tmp_path / "set", tmp_path / "copy")  # keeps the times
    assert open_store(DataOptions(tmp_path / "copy", options.split), cache)[1] == 0


@pytest.mark.parametrize("make", [bop, grey_bop, detected, capture, ycb])
def test_the_key_opens_no_image(make, tmp_path, monkeypatch):
    dataset = make(tmp_path / "set").open()

    def refuse(path: Path) -> None:
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(images, "_read_bytes", refuse)
    assert len(set(dataset.frame_stamps())) == len(dataset.frame_ids())


def test_frames_that_are_not_selected_do_not_count(tmp_path):
    cache, options = CacheOptions(tmp_path / "cache"), bop(tmp_path / "set")
    part = DataOptions(options.dataset, "train", Selection(scenes=(4,)))
    open_store(part, cache)
    touch(options.dataset / "train/000001/depth/000001.png")
    assert open_store(part, cache)[1] == 0


def test_what_a_frame_is_read_from_has_the_file_that_is_read(tmp_path):
    """Of a JPEG and a PNG the PNG is read, as `image_path` says; a link counts by what it points to."""
    dataset = bop(tmp_path / "set").open()
    scene = dataset.root / "train" / "000001"
    (scene / "depth" / "000001.png").rename(tmp_path / "elsewhere.png")
    (scene / "depth" / "000001.png").symlink_to(tmp_path / "elsewhere.png")
    write_image(scene / "rgb" / "000001.jpg", colour_image(1))
    first = next(dataset.frame_stamps())
    assert "rgb/000001.png:" in first
    assert "000001.jpg" not in first
    touch(tmp_path / "elsewhere.png")
    second = next(dataset.frame_stamps())
    assert second != first
    (tmp_path / "elsewhere.png").unlink()
    assert "depth/000001.png:missing" in next(dataset.frame_stamps())
    with pytest.raises(DataError, match="missing file"):
        dataset.load_frame(FrameId(1, 1))
