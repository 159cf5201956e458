import os
import shutil
import warnings

import numpy as np
import pytest
from scipy.io import savemat
from small_roots import DISTANCE_M, colour_image, masks, write_models, write_ycb, write_ycb_meta

from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.ycb_video.files import read_image_set
from selfpose6d.errors import DataError, UsageError
from selfpose6d.selection import FrameId
from selfpose6d.types import InstanceKey


@pytest.fixture
def original(shared_data):
    return shared_data / "ycbv-original-layout"


def test_real_frames(original, ycbv_sample):
    dataset = DataOptions(original, "train", models=ycbv_sample / "models").open()
    assert dataset.layout == "ycb-video"
    assert dataset.frame_ids() == ((1, 1), (1, 3))
    frame = dataset.load_frame(FrameId(1, 1))
    assert [i.key for i in frame.instances] == [InstanceKey("train", 1, 1, i, i) for i in (1, 2, 3, 5)]
    assert [int(i.mask.sum()) for i in frame.instances] == [18739, 27964, 12672, 6382]
    assert frame.depth_m.max() == pytest.approx(1.937)
    assert frame.K[1, 2] == pytest.approx(241.3109)


def test_synthetic_split(original, ycbv_sample):
    dataset = DataOptions(original, "data_syn", models=ycbv_sample / "models").open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    assert sorted(i.key.obj_id for i in frame.instances) == [7, 8, 11, 18, 20]
    assert frame.rgb.shape == (480, 640, 3)


def test_a_split_without_a_frame_on_disk_takes_what_is_there_and_says_so(original, ycbv_sample):
    with pytest.warns(UserWarning, match=r"none of the 2949 frames of .*keyframe\.txt.*taking all 2"):
        dataset = DataOptions(original, models=ycbv_sample / "models").open()
    assert dataset.frame_ids() == ((1, 1), (1, 3))
    assert dataset.split == "test"


def test_both_cameras(tmp_path):
    root = write_ycb(tmp_path)
    dataset = DataOptions(root, "all").open()
    focal = [dataset.load_frame(frame_id).K[0, 0] for frame_id in dataset.frame_ids()]
    assert focal == [100, 200]


def test_images_models_and_masks(tmp_path):
    dataset = DataOptions(write_ycb(tmp_path)).open()
    frame = dataset.load_frame(FrameId(60, 3))
    np.testing.assert_array_equal(frame.rgb, colour_image(3))
    np.testing.assert_allclose(frame.depth_m, DISTANCE_M, rtol=1e-6)
    for instance, mask in zip(frame.instances, masks(), strict=True):
        np.testing.assert_array_equal(instance.mask, mask > 0)
    assert dataset.object_ids == tuple(range(1, 22))
    assert dataset.models.files[21].name == "061_foam_brick"


def test_named_meshes_are_in_metres(tmp_path):
    root = write_ycb(tmp_path)
    obj = root / "models/002_master_chef_can/textured.obj"
    obj.write_text("v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0 0 0.1\nf 1 2 3\nf 1 2 4\nf 1 3 4\nf 2 3 4\n")
    (root / "models/002_master_chef_can/textured.ply").unlink()
    mesh = DataOptions(root).open().load_mesh(1)
    assert mesh.diameter_m == pytest.approx(0.1 * 2**0.5, rel=1e-4)


def test_poses_and_boxes_are_not_read(tmp_path):
    """Metas whose poses and vertex maps are nonsense and no box file give the same frame."""
    root = write_ycb(tmp_path / "a", ((1, 1),))
    frame = DataOptions(root).open().load_frame(FrameId(1, 1))
    write_ycb_meta(
        root / "data/0001/000001", 1, poses="nonsense", center=[[0]], rotation_translation_matrix="x"
    )
    again = DataOptions(root).open().load_frame(FrameId(1, 1))
    np.testing.assert_array_equal(frame.depth_m, again.depth_m)
    assert [i.key for i in frame.instances] == [i.key for i in again.instances]


def test_splits_are_image_sets(tmp_path):
    root = write_ycb(tmp_path, ((1, 1), (1, 2), (48, 5)))
    sets = root / "image_sets"
    sets.mkdir()
    (sets / "keyframe.txt").write_text("0048/000005\n0049/000001\n")
    (sets / "train.txt").write_text("0001/000002\ndata_syn/000001\n\n")
    assert DataOptions(root).open().frame_ids() == ((48, 5),)
    assert DataOptions(root, "keyframe").open().frame_ids() == ((48, 5),)
    assert DataOptions(root, "train").open().frame_ids() == ((1, 2),)
    assert len(DataOptions(root, "all").open().frame_ids()) == 3
    assert read_image_set(sets / "train.txt") == {(1, 2)}
    with pytest.raises(UsageError, match=r"no split 'val'.*found keyframe\.txt train\.txt"):
        DataOptions(root, "val").open()
    with pytest.raises(UsageError, match=r"no frames: .*data_syn, found no such folder"):
        DataOptions(root, "data_syn").open()


@pytest.mark.parametrize("split", ["train", "test"])
def test_splits_without_a_list_are_the_same_frames_and_say_so(tmp_path, split):
    root = write_ycb(tmp_path)
    with pytest.warns(
        UserWarning, match=f"split {split} has no list in .*image_sets: taking all 2 frames.*--scenes"
    ):
        dataset = DataOptions(root, split).open()
    assert dataset.frame_ids() == ((1, 1), (60, 3))
    (root / "image_sets").mkdir()
    (root / "image_sets" / "keyframe.txt").write_text("0060/000003\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error" if split == "test" else "ignore")
        dataset = DataOptions(root, split).open()
    assert dataset.frame_ids() == (((60, 3),) if split == "test" else ((1, 1), (60, 3)))


def test_all_frames_are_all_without_a_warning(tmp_path):
    root = write_ycb(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(DataOptions(root, "all").open().frame_ids()) == 2


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda stem: os.unlink(f"{stem}-meta.mat"), r"meta\.mat: missing file"),
        (lambda stem: os.unlink(f"{stem}-depth.png"), r"depth\.png: missing file"),
        (lambda stem: write_ycb_meta(stem, 1, factor_depth=0), "factor_depth must be positive"),
        (lambda stem: savemat(f"{stem}-meta.mat", {"x": 1}), "lacks cls_indexes"),
        (lambda stem: open(f"{stem}-meta.mat", "w").close(), "unreadable MATLAB file"),
    ],
)
def test_frame_faults(tmp_path, damage, reason):
    root = write_ycb(tmp_path, ((1, 1), (1, 2)))
    damage(root / "data/0001/000001")
    dataset = DataOptions(root).open()
    with pytest.raises(DataError, match=reason):
        dataset.load_frame(FrameId(1, 1))
    assert len(dataset.load_frame(FrameId(1, 2)).instances) == 2


def test_class_without_pixels_and_without_model(tmp_path):
    root = write_ycb(tmp_path, ((1, 1),))
    write_ycb_meta(root / "data/0001/000001", 1, cls_indexes=[[2], [5], [7], [99]])
    frame = DataOptions(root).open().load_frame(FrameId(1, 1))
    assert [(s.key.obj_id, s.reason.split(". ")[0].split(": ")[-1][:20]) for s in frame.skipped] == [
        (7, "empty mask of object"),
        (99, "found ids 1 2 3 4 5 "),
    ]


def test_bop_models_by_option(tmp_path):
    root = write_ycb(tmp_path / "set", ((1, 1),))
    shutil.rmtree(root / "models")
    write_models(tmp_path / "models", (2, 5))
    dataset = DataOptions(root, models=tmp_path / "models").open()
    assert dataset.load_mesh(5).diameter_m == pytest.approx(0.1 * 3**0.5, rel=1e-4)
    assert not dataset.load_frame(FrameId(1, 1)).skipped
