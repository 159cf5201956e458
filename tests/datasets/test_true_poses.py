import json
import shutil

import numpy as np
import pytest
from scipy.io import savemat
from scipy.spatial.transform import Rotation
from small_roots import (
    change_json,
    scene_gt_entry,
    write_bop,
    write_capture,
    write_image,
    write_json,
    write_ycb,
    write_ycb_meta,
)

from selfpose6d.datasets.bop import true_poses
from selfpose6d.datasets.bop.layout import BOP
from selfpose6d.datasets.ground_truth import count_or_one
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.errors import DataError, UsageError
from selfpose6d.selection import Selection
from selfpose6d.types import InstanceKey


@pytest.fixture
def root(tmp_path):
    root = write_bop(tmp_path / "set", {2: 3})
    change_json(
        root / "test/000002/scene_gt.json",
        lambda gt: gt.update({"1": [scene_gt_entry(1, (10, -20, 500))] * 2}),
    )
    return root


def counting(poses):
    return [pose.key[1:] for pose in poses if pose.counts]


def ratio_inside(frame, dataset, pose):
    """How many of the model's vertices project into the mask of their own instance."""
    [mask] = [i.mask for i in frame.instances if i.key == pose.key]
    points_m = (
        dataset.load_mesh(pose.key.obj_id).vertices_m @ pose.T_cam_obj[:3, :3].T + pose.T_cam_obj[:3, 3]
    )
    uv = np.rint((points_m @ frame.K.T)[:, :2] / points_m[:, 2:]).astype(int)
    uv = uv[((uv >= 0) & (uv < [640, 480])).all(axis=1)]
    return mask[uv[:, 1], uv[:, 0]].mean()


@pytest.mark.parametrize(
    ("folder", "split", "count", "least"),
    [
        ("ycbv-sample", "test", 50, 0.65),
        ("ycbv-original-layout", "train", 8, 0.65),
        ("ycbv-original-layout", "data_syn", 5, 0.25),
    ],
)
def test_real_poses_put_the_model_into_its_mask(shared_data, folder, split, count, least):
    """The key of every true pose is that of the instance it belongs to; metres, object to camera."""
    poses = load_ground_truth(shared_data / folder, split)
    assert len(counting(poses)) == len(poses) == count
    dataset = DataOptions(shared_data / folder, split, models=shared_data / "ycbv-sample/models").open()
    frame = dataset.load_frame(dataset.frame_ids()[0])
    first = [pose for pose in poses if pose.key[1:3] == (frame.scene_id, frame.im_id)]
    ratios = [ratio_inside(frame, dataset, pose) for pose in first]
    assert min(ratios) > least
    assert np.mean(ratios) > 0.7


def test_pose_in_metres(root):
    pose = load_ground_truth(root)[1]
    assert pose.key == InstanceKey("test", 2, 1, 1, 1)
    np.testing.assert_allclose(pose.T_cam_obj[:3, 3], [0.01, -0.02, 0.5])


def test_selection_is_that_of_the_data_set(root):
    selection = Selection(objects=(2,), limit=2)
    assert counting(load_ground_truth(root, selection=selection)) == [(2, 2, 2, 1)]
    assert DataOptions(root, selection=selection).open().frame_ids() == ((2, 1), (2, 2))


def test_all_counts_masks_that_are_not_empty(root):
    masks = root / "test/000002/mask_visib"
    write_image(masks / "000001_000000.png", np.zeros((48, 64), np.uint8))
    (masks / "000002_000000.png").unlink()
    (masks / "000003_000000.png").write_bytes(b"unreadable: its instance is a miss")
    assert counting(load_ground_truth(root)) == [(2, 1, 1, 1), (2, 2, 2, 1), (2, 3, 1, 0), (2, 3, 2, 1)]


def test_all_counts_everything_without_images_or_masks(root):
    write_image(root / "test/000002/mask_visib/000001_000000.png", np.zeros((48, 64), np.uint8))
    assert len(counting(load_ground_truth(root))) == 5
    shutil.rmtree(root / "test/000002/rgb")
    assert len(counting(load_ground_truth(root))) == 6
    for folder in ("depth", "mask_visib", "../../models"):
        shutil.rmtree(root / "test/000002" / folder)
    assert len(counting(load_ground_truth(root))) == 6


def test_annotated_ones_all_count_and_no_mask_is_read(root, monkeypatch):
    write_image(root / "test/000002/mask_visib/000001_000000.png", np.zeros((48, 64), np.uint8))
    monkeypatch.setattr("selfpose6d.datasets.ground_truth.read_labels", lambda path: pytest.fail(str(path)))
    assert len(counting(load_ground_truth(root, targets="annotated"))) == 6


def write_targets(root, rows):
    names = ("scene_id", "im_id", "obj_id", "inst_count")
    write_json(root / "test_targets_bop19.json", [dict(zip(names, row, strict=True)) for row in rows])


def test_bop19_targets_are_the_default_where_the_file_is(root):
    write_targets(root, [(2, 1, 1, 2), (2, 3, 2, 1), (9, 9, 9, 1)])
    poses = load_ground_truth(root)
    assert counting(poses) == [(2, 1, 1, 0), (2, 1, 1, 1), (2, 3, 2, 1)]
    assert len(poses) == 6
    assert len(counting(load_ground_truth(root, targets="all"))) == 6


def test_bop19_takes_the_most_visible_instances(root):
    write_targets(root, [(2, 1, 1, 1)])
    small = np.zeros((48, 64), np.uint8)
    small[0, :5] = 1
    write_image(root / "test/000002/mask_visib/000001_000000.png", small)
    assert counting(load_ground_truth(root, targets="bop19")) == [(2, 1, 1, 1)]


def test_bop19_goes_by_the_visible_fraction_where_it_is_known(root):
    """As BOP does: the second shows more pixels, of the first a larger part is visible."""
    write_targets(root, [(2, 1, 1, 1)])
    small = np.zeros((48, 64), np.uint8)
    small[0, :5] = 1
    write_image(root / "test/000002/mask_visib/000001_000000.png", small)
    info = {"1": [{"visib_fract": 0.9}, {"visib_fract": 0.4}]}
    write_json(root / "test/000002/scene_gt_info.json", info)
    assert counting(load_ground_truth(root, targets="bop19")) == [(2, 1, 1, 0)]
    info["1"][0] = {}
    write_json(root / "test/000002/scene_gt_info.json", info)
    assert counting(load_ground_truth(root, targets="bop19")) == [(2, 1, 1, 1)]


def test_bop19_targets_are_of_the_test_split(root):
    write_targets(root, [])
    shutil.copytree(root / "test", root / "train")
    assert len(counting(load_ground_truth(root, "train"))) == 6
    assert counting(load_ground_truth(root, "test")) == []


def test_target_file_faults(root):
    with pytest.raises(UsageError, match=r"needs .*test_targets_bop19\.json, which does not exist"):
        load_ground_truth(root, targets="bop19")
    write_json(root / "test_targets_bop19.json", [{"scene_id": 1}])
    with pytest.raises(DataError, match="not BOP's target list"):
        load_ground_truth(root)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"obj_id": 1}, "image 2, entry 0: not BOP's form"),
        (
            scene_gt_entry(1) | {"cam_R_m2c": [1, 0]},
            "no rigid transform: expected 9 numbers R and 3 of t, got 2 and 3",
        ),
        (scene_gt_entry(1) | {"cam_R_m2c": [2, 0, 0, 0, 1, 0, 0, 0, 1]}, "no rigid transform"),
        (scene_gt_entry(1, (float("nan"), 0, 0)), "no rigid transform"),
    ],
)
def test_poses_that_are_none(root, entry, reason):
    change_json(root / "test/000002/scene_gt.json", lambda gt: gt.update({"2": [entry]}))
    with pytest.raises(DataError, match=reason):
        load_ground_truth(root)


def test_missing_and_broken_files(root):
    path = root / "test/000002/scene_gt.json"
    path.write_text("{")
    with pytest.raises(DataError, match="not BOP's form"):
        load_ground_truth(root)
    path.unlink()
    with pytest.raises(DataError, match=r"scene_gt\.json: missing file"):
        load_ground_truth(root)


def test_ycb_poses_without_images(tmp_path):
    folder = tmp_path / "data/0001"
    folder.mkdir(parents=True)
    poses = np.zeros((3, 4, 2))
    poses[:, :3] = np.eye(3)[..., None]
    poses[:, 3] = [[0.1, 0.4], [0.2, 0.5], [0.3, 0.6]]
    savemat(folder / "000007-meta.mat", {"cls_indexes": [[3], [9]], "poses": poses})
    read = load_ground_truth(tmp_path)
    assert counting(read) == [(1, 7, 3, 3), (1, 7, 9, 9)]
    np.testing.assert_allclose(read[1].T_cam_obj[:3, 3], [0.4, 0.5, 0.6])
    write_image(folder / "000007-label.png", np.full((4, 4), 9, np.uint8))
    assert counting(load_ground_truth(tmp_path)) == [(1, 7, 9, 9)]
    assert counting(load_ground_truth(tmp_path, targets="annotated")) == [(1, 7, 3, 3), (1, 7, 9, 9)]
    savemat(folder / "000007-meta.mat", {"cls_indexes": [[3]], "poses": poses})
    with pytest.raises(DataError, match=r"poses of shape \(3, 4, 2\), 1 objects"):
        load_ground_truth(tmp_path)


def test_a_single_ycb_object(tmp_path):
    """MATLAB drops the last dimension of one pose."""
    folder = tmp_path / "data/0001"
    folder.mkdir(parents=True)
    savemat(folder / "000007-meta.mat", {"cls_indexes": [[3]], "poses": np.eye(4)[:3]})
    assert counting(load_ground_truth(tmp_path)) == [(1, 7, 3, 3)]


def test_capture_folders_have_none(tmp_path):
    with pytest.raises(UsageError, match="layout capture has no true poses"):
        load_ground_truth(write_capture(tmp_path))


def test_order_of_the_sample_is_that_of_the_file(ycbv_sample):
    content = json.loads((ycbv_sample / "test/000001/scene_gt.json").read_text())
    expected = [(int(im), e["obj_id"], i) for im, entries in content.items() for i, e in enumerate(entries)]
    poses = load_ground_truth(ycbv_sample, selection=Selection(scenes=(1,)))
    assert [(p.key.im_id, p.key.obj_id, p.key.inst_id) for p in poses] == expected


def test_visible_fractions_of_several_scenes_list_the_scenes_once(tmp_path, monkeypatch):
    root = write_bop(tmp_path / "set", {2: 1, 5: 1})
    info = {"1": [{"visib_fract": 0.25}, {}]}
    write_json(root / "test/000005/scene_gt_info.json", info)
    (root / "test/000002/scene_gt_info.json").unlink(missing_ok=True)
    listed, find_scenes = [], true_poses.find_scenes
    monkeypatch.setattr(true_poses, "find_scenes", lambda *place: listed.append(place) or find_scenes(*place))
    found = BOP.visible_fractions(root, "test", (2, 5), None)
    assert found[5, 1, 0] == 0.25
    assert np.isnan(found[5, 1, 1])
    assert len(found) == 2
    assert len(listed) == 1


@pytest.mark.parametrize("digits", [2, 3, 5])
def test_rounded_rotations_become_the_nearest_ones(tmp_path, digits):
    """Of `scene_gt.json` and of `-meta.mat` alike."""
    R = Rotation.from_euler("xyz", [0.3, -0.7, 1.1]).as_matrix()
    root = write_bop(tmp_path / "bop", {2: 1})
    rounded = np.round(R, digits)
    change_json(
        root / "test/000002/scene_gt.json", lambda gt: gt["1"][0].update(cam_R_m2c=rounded.ravel().tolist())
    )
    ycb = write_ycb(tmp_path / "ycb", ((1, 1),))
    poses = np.dstack([np.c_[rounded, [0.0, 0, 1]]] * 2)
    write_ycb_meta(ycb / "data/0001/000001", 1, poses=poses)
    for pose in (load_ground_truth(root)[0], load_ground_truth(ycb, "all")[0]):
        read = pose.T_cam_obj[:3, :3]
        np.testing.assert_allclose(read @ read.T, np.eye(3), atol=3e-6)
        assert np.abs(read - R).max() < 10.0**-digits


def test_true_poses_in_metres_are_named(tmp_path):
    root = write_bop(tmp_path / "bop", {2: 2})
    path = root / "test/000002/scene_gt.json"
    change_json(
        path, lambda gt: [e.update(cam_t_m2c=[0, 0, 0.55]) for entries in gt.values() for e in entries]
    )
    with pytest.raises(DataError, match=r"scene_gt\.json: cam_t_m2c: t must be in millimetres: .* in metres"):
        load_ground_truth(root)


def test_pixels_of_a_mask_are_counted_whatever_its_colour(tmp_path):
    """A red mask's pixels share one value other than black; as labels they would be read as something else."""
    inside = np.zeros((40, 40), bool)
    inside[10:20, 10:20] = True
    colours = {"red": (255, 0, 0), "white": (255, 255, 255), "green": (0, 200, 0)}
    for name, colour in colours.items():
        write_image(tmp_path / f"{name}.png", np.where(inside[..., None], colour, 0).astype(np.uint8))
        assert count_or_one(tmp_path / f"{name}.png") == 100
    write_image(tmp_path / "empty.png", np.zeros((40, 40), np.uint8))
    assert count_or_one(tmp_path / "empty.png") == 0
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert count_or_one(tmp_path / "broken.png") == 1
