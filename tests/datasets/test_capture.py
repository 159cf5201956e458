import gzip
import json
import shutil

import cv2
import numpy as np
import pytest
from small_roots import CAM_K, change_json, cube, masks, write_capture, write_image, write_json, write_models

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, NoMasksError, UsageError
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.selection import FrameId, Selection
from selfpose6d.types import InstanceKey


@pytest.fixture
def models(tmp_path):
    write_models(tmp_path / "models", (1, 2))
    return tmp_path / "models"


@pytest.fixture
def root(tmp_path):
    return write_capture(tmp_path / "capture", ("frame_000010", "frame_000002", "late"))


def test_frames_in_sorted_file_order(root, models):
    dataset = DataOptions(root, models=models).open()
    assert (dataset.layout, dataset.split) == ("capture", "all")
    assert dataset.frame_ids() == ((0, 0), (0, 1), (0, 2))
    assert dataset.frame_names() == {0: "frame_000002.png", 1: "frame_000010.png", 2: "late.png"}
    frame = dataset.load_frame(FrameId(0, 1))
    assert [i.key for i in frame.instances] == [InstanceKey("all", 0, 1, 1, 0)]
    np.testing.assert_array_equal(frame.instances[0].mask, masks()[0] > 0)
    np.testing.assert_array_equal(frame.K.reshape(-1), CAM_K)
    assert frame.depth_m[20, 30] == pytest.approx(0.5)


def test_nothing_is_written_into_the_data_set(root, models):
    before = sorted(path for path in root.rglob("*"))
    dataset = DataOptions(root, models=models).open()
    dataset.load_frame(FrameId(0, 0))
    dataset.fingerprint()
    assert sorted(path for path in root.rglob("*")) == before


def test_numbers_kept_in_frames_json(root, models):
    write_json(root / "frames.json", {"5": "late.png", "7": "frame_000002.png"})
    dataset = DataOptions(root, models=models).open()
    assert dataset.frame_names() == {5: "late.png", 7: "frame_000002.png", 8: "frame_000010.png"}
    write_json(root / "frames.json", {"five": "late.png"})
    with pytest.raises(DataError, match=r"frames\.json: expected file names by image id"):
        DataOptions(root, models=models).open()


@pytest.mark.parametrize(
    "names", [("late.png", "late_0.png"), ("late_0.png", "late_00.jpg"), ("late_07.png", "late_7.png")]
)
def test_two_mask_files_of_one_instance_are_named(root, models, names):
    for path in (root / "masks").rglob("*.png"):
        path.unlink()
    for name in names:
        write_image(root / "masks/1" / name, masks()[0])
    with pytest.raises(DataError, match=f"{names[0]} and {names[1]} are both instance"):
        DataOptions(root, models=models).open().instance_keys(FrameId(0, 2))


def test_several_instances_and_objects_by_name(root, models):
    change_json(models / "models_info.json", lambda info: info["2"].update(name="soap box"))
    write_image(root / "masks/soap box/late.png", masks()[1])
    write_image(root / "masks/soap box/late_3.png", masks()[0])
    frame = DataOptions(root, models=models).open().load_frame(FrameId(0, 2))
    assert [(i.key.obj_id, i.key.inst_id) for i in frame.instances] == [(1, 0), (2, 0), (2, 3)]
    np.testing.assert_array_equal(frame.instances[2].mask, masks()[0] > 0)


def test_numbered_frame_names_are_not_instances(tmp_path, models):
    """`view_1.png` is a frame of its own, not instance 1 of `view.png`."""
    root = write_capture(tmp_path / "capture", ("view", "view_1"))
    dataset = DataOptions(root, models=models).open()
    keys = [key for frame_id in dataset.frame_ids() for key in dataset.instance_keys(frame_id)]
    assert [(key.im_id, key.inst_id) for key in keys] == [(0, 0), (1, 0)]


def test_label_images(root, models):
    shutil.rmtree(root / "masks")
    first, second = masks()
    for name in ("frame_000002", "frame_000010"):
        write_image(root / "masks" / f"{name}.png", (first > 0) * np.uint8(2) + (second > 0) * np.uint8(1))
    dataset = DataOptions(root, models=models).open()
    frame = dataset.load_frame(FrameId(0, 0))
    assert [(i.key.obj_id, i.key.inst_id) for i in frame.instances] == [(1, 1), (2, 2)]
    np.testing.assert_array_equal(frame.instances[1].mask, first > 0)
    with pytest.raises(DataError, match=r"late\.png: missing file"):
        dataset.load_frame(FrameId(0, 2))


def test_own_named_models_need_a_unit(root):
    (root / "models").mkdir()
    save_mesh_ply(cube(), root / "models/box.ply")
    with pytest.raises(UsageError, match=r"unit of .*box\.ply is not known\. Pass --model-unit mm"):
        DataOptions(root).open().load_mesh(1)
    assert DataOptions(root, model_unit="mm").open().load_mesh(1).diameter_m == pytest.approx(
        0.1 * 3**0.5, rel=1e-4
    )


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda root: (root / "camera.json").unlink(), r"camera\.json: missing file"),
        (lambda root: (root / "camera.json").write_text("{"), r"camera\.json: unreadable JSON"),
        (lambda root: (root / "camera.json").write_text("[]"), "expected a JSON object, got list"),
        (lambda root: write_json(root / "camera.json", {"cam_K": CAM_K}), "depth_scale must be positive"),
        (lambda root: write_json(root / "camera.json", {"depth_scale": 1}), "cam_K must be 9 numbers"),
        (
            lambda root: shutil.rmtree(root / "masks"),
            "no masks: looked for .*Add masks, pass --detections",
        ),
        (lambda root: write_image(root / "masks/mug/a.png", masks()[0]), "no model has the name 'mug'"),
        (lambda root: write_image(root / "masks/01/a.png", masks()[0]), "folders 01, 1 are all object 1"),
    ],
)
def test_faults_of_the_folder(root, models, damage, reason):
    damage(root)
    with pytest.raises(DataError, match=reason):
        DataOptions(root, models=models).open()


def test_no_images(root, models):
    for path in (root / "rgb").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no frames: looked for images .* in .*rgb, found an empty folder"):
        DataOptions(root, models=models).open()


def test_split_and_scene_folder(root, models):
    with pytest.raises(UsageError, match="has one split, all, got 'val'"):
        DataOptions(root, "val", models=models).open()
    assert DataOptions(root, "all", Selection(frames=(2,)), models).open().frame_ids() == ((0, 2),)
    (root / "scene_camera.json").touch()
    with pytest.raises(UsageError, match="is one scene of a BOP data set"):
        DataOptions(root, models=models).open()


def test_detections_instead_of_masks(root, models, tmp_path):
    shutil.rmtree(root / "masks")
    row = {"scene_id": 0, "image_id": 2, "category_id": 2, "segmentation": [[22, 14, 42, 14, 42, 34, 22, 34]]}
    (tmp_path / "d.json").write_text(json.dumps([row]))
    dataset = DataOptions(root, models=models, detections=tmp_path / "d.json").open()
    np.testing.assert_array_equal(dataset.load_frame(FrameId(0, 2)).instances[0].mask, masks()[0] > 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"{}", mtime=0), r"compressed \(gzip\)"),
        (b"", "it is empty"),
        (b'{"depth_scale": 1000, "depth_scale": 1}', "the name 'depth_scale' stands twice"),
    ],
)
def test_a_camera_file_that_is_none_says_why(root, models, content, reason):
    (root / "camera.json").write_bytes(content)
    with pytest.raises(DataError, match=reason):
        DataOptions(root, models=models).open()


def test_two_files_for_one_image_id(root, models):
    (root / "frames.json").write_text('{"1": "late.png", "01": "frame_000002.png"}')
    with pytest.raises(DataError, match="1 stands twice, in two ways of writing"):
        DataOptions(root, models=models).open()


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".BMP"])
def test_bmp_and_webp_are_read(root, models, suffix):
    for path in [*root.glob("rgb/*.png"), *root.glob("masks/*/*.png")]:
        options = [cv2.IMWRITE_WEBP_QUALITY, 101] if suffix == ".webp" else []  # 101: lossless
        path.with_suffix(suffix).write_bytes(
            cv2.imencode(suffix.lower(), cv2.imread(str(path), -1), options)[1].tobytes()
        )
        path.unlink()
    frame = DataOptions(root, models=models).open().load_frame(FrameId(0, 0))
    np.testing.assert_array_equal(frame.instances[0].mask, masks()[0] > 0)


def test_masks_of_a_format_that_is_not_read_are_named(root, models):
    for path in root.glob("masks/*/*.png"):
        path.rename(path.with_suffix(".gif"))
    with pytest.raises(NoMasksError, match=r"found in \S+ .*\.gif"):
        DataOptions(root, models=models).open()


@pytest.mark.parametrize(
    ("depth", "suffix"),
    [
        (lambda mm: mm[None], ".npy"),  # a list of one image
        (lambda mm: mm.astype(np.float16), ".npy"),
    ],
)
def test_depth_arrays_as_people_save_them(root, models, depth, suffix, recwarn):
    path = root / "depth" / "late.png"
    mm = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.save(path.with_suffix(suffix), depth(mm))
    path.unlink()
    read = DataOptions(root, models=models).open().read_depth(FrameId(0, 2))
    np.testing.assert_allclose(read, mm / np.float32(1000), rtol=1e-3)
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]


def test_depth_along_the_axes_of_opengl_is_named(root, models):
    path = root / "depth" / "late.png"
    mm = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.save(path.with_suffix(".npy"), -mm.astype(np.float32))
    path.unlink()
    with pytest.raises(
        DataError, match=r"late\.npy: all depths are negative, down to -\d+, as along OpenGL's axes"
    ):
        DataOptions(root, models=models).open().load_frame(FrameId(0, 2))
