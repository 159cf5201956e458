"""BOP roots: real and small ones; every fault named; poses never matter."""

import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import numpy as np
import pytest
from small_roots import CAM_K, change_json, masks, scene_gt_entry, write_bop, write_image, write_json

from selfpose6d.cli.main import main
from selfpose6d.datasets.bop.dataset import BopDataset
from selfpose6d.datasets.bop.scene import BopScene, list_frames, read_cameras, read_object_ids
from selfpose6d.datasets.camera_entry import StatedCamera
from selfpose6d.datasets.file_cache import FileCache
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, UsageError
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import Frame, InstanceKey


def assert_same_frames(first: Frame, second: Frame) -> None:
    for name in ("rgb", "depth_m", "K"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert [i.key for i in first.instances] == [i.key for i in second.instances]
    for a, b in zip(first.instances, second.instances, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)
    assert first.skipped == second.skipped


def test_real_frames(ycbv_sample):
    dataset = DataOptions(ycbv_sample).open()
    assert dataset.layout == "bop"
    assert len(dataset.frame_ids()) == 15
    assert dataset.frame_ids()[0] == (0, 1)
    assert dataset.object_ids == tuple(range(1, 22))
    frame = dataset.load_frame(dataset.frame_ids()[0])
    assert [i.key for i in frame.instances] == [
        InstanceKey("test", 0, 1, 8, 0),
        InstanceKey("test", 0, 1, 14, 1),
        InstanceKey("test", 0, 1, 21, 2),
    ]
    assert [int(i.mask.sum()) for i in frame.instances] == [18265, 20100, 22265]
    assert frame.rgb.shape == (480, 640, 3)
    assert frame.K[0, 0] == pytest.approx(1066.778)
    assert 0.3 < np.median(frame.depth_m[frame.instances[0].mask]) < 1.0
    assert frame.skipped == ()


def test_real_mesh_is_in_metres(ycbv_sample):
    info = json.loads((ycbv_sample / "models" / "models_info.json").read_text())
    mesh = DataOptions(ycbv_sample).open().load_mesh(2)
    assert mesh.diameter_m == pytest.approx(info["2"]["diameter"] / 1000, rel=1e-3)


@pytest.fixture
def root(tmp_path):
    return write_bop(tmp_path / "set", {2: 3, 11: 2})


def test_no_pose_is_read(root):
    """Nonsense for every pose, no scene_gt_info.json: frames and fingerprint stay what they are."""
    before = DataOptions(root).open()
    frames = [before.load_frame(frame_id) for frame_id in before.frame_ids()]
    nonsense = {"cam_R_m2c": ["no", None], "cam_t_m2c": {"obj_id": 77}}
    for scene in (root / "test").iterdir():
        (scene / "scene_gt_info.json").unlink()
        change_json(
            scene / "scene_gt.json",
            lambda gt: [entry.update(nonsense) for entries in gt.values() for entry in entries],
        )
    after = DataOptions(root).open()
    for frame in frames:
        assert_same_frames(frame, after.load_frame(FrameId(frame.scene_id, frame.im_id)))
    assert after.fingerprint() == before.fingerprint()


def test_no_pose_of_the_real_sample_is_read(ycbv_sample, tmp_path):
    """The same on real frames, with the rotations of other objects in every entry."""
    root = tmp_path / "copy"
    shutil.copytree(ycbv_sample, root, copy_function=os.symlink)
    for scene in (root / "test").iterdir():
        content = json.loads((scene / "scene_gt.json").read_text())
        for entries in content.values():
            for entry in entries:
                entry["cam_R_m2c"], entry["cam_t_m2c"] = [float("nan")] * 9, [1e9, -1e9, 0]
        for name in ("scene_gt.json", "scene_gt_info.json"):
            (scene / name).unlink()
        write_json(scene / "scene_gt.json", content)
    real, copy = DataOptions(ycbv_sample).open(), DataOptions(root).open()
    assert real.frame_ids() == copy.frame_ids()
    for frame_id in real.frame_ids()[::4]:
        assert_same_frames(real.load_frame(frame_id), copy.load_frame(frame_id))


def test_listing_and_selection(root):
    assert DataOptions(root).open().frame_ids() == ((2, 1), (2, 2), (2, 3), (11, 1), (11, 2))
    chosen = DataOptions(root, selection=Selection(scenes=(11,), objects=(2,), limit=1)).open()
    assert chosen.frame_ids() == ((11, 1),)
    assert chosen.object_ids == (2,)
    assert [i.key.inst_id for i in chosen.load_frame(FrameId(11, 1)).instances] == [1]
    assert chosen.instance_keys(FrameId(11, 1)) == (InstanceKey("test", 11, 1, 2, 1),)


def test_unselected_scenes_are_not_read(root):
    (root / "test/000002/scene_camera.json").write_text("broken")
    dataset = DataOptions(root, selection=Selection(scenes=(11,))).open()
    assert dataset.load_frame(FrameId(11, 2)).K[0, 2] == CAM_K[2]


def test_masks_depth_and_camera(root):
    frame = DataOptions(root).open().load_frame(FrameId(2, 1))
    for instance, mask in zip(frame.instances, masks(), strict=True):
        np.testing.assert_array_equal(instance.mask, mask > 0)
    assert np.median(frame.depth_m[frame.instances[0].mask]) == pytest.approx(0.5)
    np.testing.assert_array_equal(frame.K.reshape(-1), CAM_K)


def test_intrinsics_and_depth_scale_are_those_of_the_image(root):
    def change(cameras):
        cameras["2"] = {"cam_K": [50.0, 0, 1, 0, 60.0, 2, 0, 0, 1], "depth_scale": 0.1, "cam_R_w2c": [0]}

    change_json(root / "test/000002/scene_camera.json", change)
    dataset = DataOptions(root).open()
    first, second = (dataset.load_frame(FrameId(2, im_id)) for im_id in (1, 2))
    assert (first.K[0, 0], second.K[0, 0], second.K[1, 1]) == (100, 50, 60)
    np.testing.assert_allclose(second.depth_m, first.depth_m / 10, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_other_image_formats(tmp_path, suffix):
    dataset = DataOptions(write_bop(tmp_path, {0: 1}, suffix=suffix)).open()
    assert dataset.load_frame(FrameId(0, 1)).rgb.shape == (48, 64, 3)


def test_grey_images(root):
    scene = root / "test/000002"
    (scene / "rgb").rename(scene / "gray")
    write_image(scene / "gray/000001.png", np.full((48, 64), 9, np.uint8))
    assert (DataOptions(root).open().load_frame(FrameId(2, 1)).rgb == 9).all()


def test_several_instances_of_an_object(root):
    change_json(root / "test/000002/scene_gt.json", lambda gt: gt["1"][1].update(obj_id=1))
    frame = DataOptions(root).open().load_frame(FrameId(2, 1))
    assert [(i.key.obj_id, i.key.inst_id) for i in frame.instances] == [(1, 0), (1, 1)]


def test_an_instance_that_cannot_be_used_is_skipped_with_the_reason(root):
    scene = root / "test/000002"
    (scene / "mask_visib/000001_000000.png").unlink()
    write_image(scene / "mask_visib/000002_000000.png", np.ones((10, 10), np.uint8))
    write_image(scene / "mask_visib/000003_000000.png", np.zeros((48, 64), np.uint8))
    change_json(scene / "scene_gt.json", lambda gt: gt["3"].append(scene_gt_entry(7)))
    dataset = DataOptions(root).open()
    frames = [dataset.load_frame(FrameId(2, im_id)) for im_id in (1, 2, 3)]
    reasons = [skipped.reason for frame in frames for skipped in frame.skipped]
    expected = ["missing file", "10x10 pixels", "empty mask of object 1", "no model for object 7"]
    assert [part in reason for part, reason in zip(expected, reasons, strict=True)] == [True] * 4
    assert [len(frame.instances) for frame in frames] == [1, 1, 1]
    assert frames[2].skipped[1].key == InstanceKey("test", 2, 3, 7, 2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rgb/000001.png", r"rgb/000001\.png: missing file"),
        ("depth/000001.png", r"depth/000001\.png: missing file"),
        ("scene_camera.json", r"scene_camera\.json: missing file"),
    ],
)
def test_a_frame_that_cannot_be_read_says_why_and_is_still_listed(root, name, reason):
    (root / "test/000002" / name).unlink()
    dataset = DataOptions(root).open()
    assert (2, 1) in dataset.frame_ids()
    with pytest.raises(DataError, match=reason):
        dataset.load_frame(FrameId(2, 1))
    assert len(dataset.load_frame(FrameId(11, 1)).instances) == 2
    assert len(dataset.instance_keys(FrameId(2, 1))) == 2


@pytest.mark.parametrize(
    ("camera", "reason"),
    [
        ({"cam_K": CAM_K}, "depth_scale must be positive"),
        ({"cam_K": CAM_K, "depth_scale": -1}, "depth_scale must be positive"),
        ({"cam_K": CAM_K[:4], "depth_scale": 1}, "cam_K must be 9 numbers"),
        ({"cam_K": ["x"] * 9, "depth_scale": 1}, "cam_K must be 9 numbers"),
        ({"cam_K": [0] * 9, "depth_scale": 1}, "positive focal lengths"),
        ({"cam_K": CAM_K, "depth_scale": 1000}, "must be in metres"),
        ({}, "depth_scale must be positive"),
        (None, "no camera for image 1"),
    ],
)
def test_camera_faults(root, camera, reason):
    def change(cameras):
        cameras.pop("1")
        cameras |= {"1": camera} if camera is not None else {}

    change_json(root / "test/000002/scene_camera.json", change)
    with pytest.raises(DataError, match=reason):
        DataOptions(root).open().load_frame(FrameId(2, 1))


def test_depth_of_another_size(root):
    write_image(root / "test/000002/depth/000001.png", np.full((24, 32), 500, np.uint16))
    with pytest.raises(DataError, match="32x24 pixels, but the colour image is 64x48"):
        DataOptions(root).open().load_frame(FrameId(2, 1))


def test_broken_scene_gt(root):
    path = root / "test/000002/scene_gt.json"
    change_json(path, lambda gt: gt["1"][0].pop("obj_id"))
    with pytest.raises(DataError, match="image 1 is not a list of entries with an integer obj_id"):
        DataOptions(root).open().load_frame(FrameId(2, 2))
    path.write_text('{"1": [')
    with pytest.raises(DataError, match=r"scene_gt\.json: not BOP's form"):
        DataOptions(root).open().load_frame(FrameId(2, 2))


def test_opening_says_what_was_looked_for_and_found(root, tmp_path):
    with pytest.raises(UsageError, match=r"looked for .*train/NNNNNN/.*Splits with scenes: test"):
        DataOptions(root, "train").open()
    with pytest.raises(UsageError, match=r"--objects 9: no such model.*which has 1 2"):
        DataOptions(root, selection=Selection(objects=(9,))).open()
    with pytest.raises(UsageError, match=r"with --scenes 5: the split has 5 frames in scenes 2 11"):
        DataOptions(root, selection=Selection(scenes=(5,))).open()
    with pytest.raises(UsageError, match="does not exist"):
        DataOptions(root / "nowhere").open()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/readme.txt").touch()
    with pytest.raises(UsageError, match=r"looked for a BOP root.*found readme\.txt"):
        DataOptions(tmp_path / "other").open()
    shutil.rmtree(root / "models")
    with pytest.raises(UsageError, match=r"no models: looked for .*found no such folder\. Pass --models DIR"):
        DataOptions(root).open()
    for scene in (root / "test").iterdir():
        shutil.rmtree(scene / "mask_visib")
    with pytest.raises(DataError, match=r"no masks: looked for mask_visib.*Pass --detections FILE"):
        DataOptions(root).open()


def test_fingerprint_is_of_the_content_not_of_the_place(root, tmp_path):
    before = DataOptions(root, selection=Selection(limit=1)).open().fingerprint()
    moved = root.rename(tmp_path / "moved")
    assert DataOptions(moved).open().fingerprint() == before
    (moved / "test/000011/rgb/000001.png").write_bytes(b"another picture")
    assert DataOptions(moved).open().fingerprint() != before


def test_frames_without_images_are_listed_from_the_files(root):
    scene = root / "test/000002"
    for folder in ("rgb", "depth"):
        shutil.rmtree(scene / folder)
    assert list_frames(BopScene(scene)) == [1, 2, 3]
    (scene / "scene_camera.json").unlink()
    assert list_frames(BopScene(scene)) == [1, 2, 3]
    (scene / "scene_gt.json").unlink()
    assert list_frames(BopScene(scene)) == []


def test_file_cache_is_bounded(tmp_path):
    read = []
    for i in range(3):
        write_json(tmp_path / f"{i}.json", {str(k): [] for k in range(3)})

    def counting(path):
        read.append(path.stem)
        return read_object_ids(path)

    cache = FileCache(counting, max_items=5)
    for i in (0, 0, 1, 1, 0):
        cache.get(tmp_path / f"{i}.json")
    assert read == ["0", "1", "0"]


def test_file_cache_without_a_limit_keeps_the_last_four_files(tmp_path):
    read = []
    cache = FileCache(lambda path: read.append(path.name) or [path.name])
    for name in "abcdabcdea":
        cache.get(tmp_path / name)
    assert "".join(read) == "abcdea"


def test_file_cache_reads_different_files_at_once_and_each_once(tmp_path):
    both, read = Barrier(2, timeout=20), []

    def meeting(path):
        read.append(path.name)
        both.wait()
        return [path.name]

    cache = FileCache(meeting)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: cache.get(tmp_path / name), "abab"))
    assert found == [["a"], ["b"], ["a"], ["b"]]
    assert sorted(read) == ["a", "b"]


def test_file_cache_tries_a_file_again_that_could_not_be_read(tmp_path):
    cache = FileCache(read_object_ids)
    for _ in range(2):
        with pytest.raises(DataError, match="missing file"):
            cache.get(tmp_path / "a.json")
    write_json(tmp_path / "a.json", {"1": []})
    assert cache.get(tmp_path / "a.json") == {1: ()}


def test_parsing_keeps_object_ids_alone(root):
    scene = root / "test/000002"
    assert read_object_ids(scene / "scene_gt.json") == {1: (1, 2), 2: (1, 2), 3: (1, 2)}
    camera = read_cameras(scene / "scene_camera.json")[1]
    assert camera == ({"cam_K": CAM_K}, 1.0, StatedCamera())


def test_data_sets_can_be_sent_to_other_processes(root):
    dataset = DataOptions(root).open()
    dataset.load_frame(FrameId(2, 1))
    copy = pickle.loads(pickle.dumps(dataset))
    assert isinstance(copy, BopDataset)
    assert_same_frames(copy.load_frame(FrameId(2, 2)), dataset.load_frame(FrameId(2, 2)))


def test_the_only_split_is_taken_but_not_for_training(tmp_path):
    root = write_bop(tmp_path / "root", {0: 1}, split="train")
    assert DataOptions(root).open("test").split == "train"
    (root / "train").rename(root / "test")
    with pytest.raises(UsageError, match="Splits with scenes: test"):
        DataOptions(root).open("train")


@pytest.mark.parametrize("digits", [3, 4, 5, 8, 1])
@pytest.mark.parametrize("suffix", [".png", ".PNG", ".Png"])
def test_numbers_of_other_widths_and_suffixes_of_any_case_are_read(tmp_path, digits, suffix):
    """`0001.png` and `0001_0000.PNG`, as other tools write them, in place of six digits."""
    plain, root = write_bop(tmp_path / "plain", {2: 2}), tmp_path / "renamed"
    shutil.copytree(plain, root)
    for path in (root / "test/000002").glob("*/*.png"):
        numbers = "_".join(f"{int(part):0{digits}d}" for part in path.stem.split("_"))
        path.rename(path.with_name(numbers + suffix))
    there, here = DataOptions(root).open(), DataOptions(plain).open()
    assert there.frame_ids() == here.frame_ids()
    for frame_id in here.frame_ids():
        assert_same_frames(there.load_frame(frame_id), here.load_frame(frame_id))
    assert main(["validate", str(root)]) == 0
    stamps = list(there.frame_stamps())
    assert not any("missing" in stamp for stamp in stamps)


def test_depth_as_arrays_of_metres(tmp_path):
    plain, root = write_bop(tmp_path / "plain", {2: 2}), tmp_path / "arrays"
    shutil.copytree(plain, root)
    for path in (root / "test/000002/depth").glob("*.png"):
        np.save(
            path.with_suffix(".npy"), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 1000
        )
        path.unlink()
    change_json(
        root / "test/000002/scene_camera.json",
        lambda cameras: [camera.update(depth_scale=1000) for camera in cameras.values()],
    )
    frames = [DataOptions(one).open().load_frame(FrameId(2, 1)) for one in (plain, root)]
    np.testing.assert_allclose(frames[0].depth_m, frames[1].depth_m, rtol=1e-6)
