"""BOP data sets with several sensors (IPD, XYZ-IBD, HOT3D): one is chosen, and everything follows it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_roots import change_json, depth_image_mm, write_bop, write_capture, write_image, write_json

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.errors import NoMasksError, UsageError
from selfpose6d.selection import FrameId, Selection

FOLDERS, FILES = ("rgb", "depth", "mask_visib"), ("scene_camera", "scene_gt", "scene_gt_info")


def as_sensor(scene: Path, sensor: str, into: Path) -> None:
    """A plain scene's files under a sensor's names, as IPD has them."""
    into.mkdir(parents=True, exist_ok=True)
    for kind in FOLDERS:
        shutil.copytree(scene / kind, into / f"{kind}_{sensor}")
    for name in FILES:
        if (scene / f"{name}.json").is_file():
            shutil.copy(scene / f"{name}.json", into / f"{name}_{sensor}.json")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sensors that see the same scene; cam2 at another exposure, depth and with one object only."""
    plain, several = write_bop(tmp_path / "plain", {3: 2}), tmp_path / "several"
    shutil.copytree(plain / "models", several / "models")
    scene = several / "test/000003"
    for sensor in ("cam1", "cam2"):
        as_sensor(plain / "test/000003", sensor, scene)
    for im_id in (1, 2):
        write_image(scene / f"rgb_cam2/{im_id:06d}.png", np.full((48, 64, 3), 77, np.uint8))
        write_image(scene / f"depth_cam2/{im_id:06d}.png", depth_image_mm() * 2)
    change_json(scene / "scene_gt_cam2.json", lambda gt: [entries.pop() for entries in gt.values()])
    change_json(
        scene / "scene_camera_cam2.json",
        lambda cameras: [c.update(depth_scale=0.5) for c in cameras.values()],
    )
    return several


def opened(root: Path, sensor: str | None):
    return DataOptions(root, selection=Selection(sensor=sensor)).open()


def test_every_file_is_that_of_the_sensor(root):
    first, second = (opened(root, name).load_frame(FrameId(3, 1)) for name in ("cam1", "cam2"))
    assert (second.rgb == 77).all()
    assert not (first.rgb == 77).all()
    np.testing.assert_allclose(first.depth_m, second.depth_m)  # twice the units of half the size
    assert [[i.key.obj_id for i in frame.instances] for frame in (first, second)] == [[1, 2], [1]]
    names = {path.name for path in root.rglob("*")}
    assert "rgb" not in names
    assert opened(root, "cam1").fingerprint() != opened(root, "cam2").fingerprint()


def test_the_sensors_are_listed_where_none_or_another_one_is_asked_for(root):
    with pytest.raises(UsageError, match=r"images of 2 sensors: cam1 cam2\. Choose one, as in --sensor cam1"):
        opened(root, None)
    with pytest.raises(
        UsageError, match=r"no scene_camera_cam9\.json; there are cam1 cam2\. Choose among these"
    ):
        opened(root, "cam9")


def test_data_sets_of_one_sensor(root, tmp_path):
    plain = tmp_path / "plain"
    assert opened(plain, None).frame_ids() == (FrameId(3, 1), FrameId(3, 2))
    with pytest.raises(UsageError, match=r"of one sensor without a name\. Leave --sensor out"):
        opened(plain, "cam1")
    with pytest.raises(UsageError, match=r"layout capture has one sensor only\. Leave --sensor out"):
        opened(write_capture(tmp_path / "capture"), "cam1")
    for path in (root / "test/000003").glob("*cam2*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(opened(root, None).load_frame(FrameId(3, 1)).instances) == 2


def test_true_poses_and_visible_fractions_are_the_sensors(root):
    poses = {s: load_ground_truth(root, selection=Selection(sensor=s)) for s in ("cam1", "cam2")}
    assert [len(found) for found in poses.values()] == [4, 2]
    with pytest.raises(UsageError, match="images of 2 sensors"):
        load_ground_truth(root)


def test_hot3d_names_the_images_by_the_sensor_alone(root, tmp_path):
    """Its JSON files are `scene_gt_gray1.json`, its images in `gray1/`, its depth nowhere."""
    scene = root / "test/000003"
    for path in sorted(scene.iterdir()):
        path.rename(scene / path.name.replace("cam1", "gray1"))
    (scene / "rgb_gray1").rename(scene / "gray1")
    dataset = opened(root, "gray1")
    assert dataset.rgb_path(FrameId(3, 1)) == scene / "gray1/000001.png"
    assert len(dataset.load_frame(FrameId(3, 1)).instances) == 2


def test_a_sensor_without_masks_is_named_by_its_files(root):
    shutil.rmtree(root / "test/000003/mask_visib_cam2")
    with pytest.raises(NoMasksError, match=r"looked for mask_visib_cam2/ and scene_gt_cam2\.json"):
        opened(root, "cam2")


def test_the_commands_take_it(root, capsys):
    assert main(["validate", str(root)]) == 2
    assert "images of 2 sensors: cam1 cam2. Choose one" in capsys.readouterr().err
    assert main(["validate", str(root), "--sensor", "cam1"]) == 0
    assert "2 frames, 4 instances" in capsys.readouterr().out
    assert main(["validate", str(root), "--sensor", "cam2"]) == 0
    assert "2 frames, 2 instances" in capsys.readouterr().out


def test_a_run_remembers_its_sensor(root, tmp_path, capsys):
    """`evaluate` scores it against that sensor's poses, and another sensor does not continue it."""
    run = str(tmp_path / "run")
    annotate = [
        "annotate",
        str(root),
        "--sensor",
        "cam2",
        "--method",
        "icp",
        "--overlays",
        "0",
        "--workers",
        "1",
    ]
    assert main([*annotate, "--out", run]) == 0
    capsys.readouterr()
    assert main(["evaluate", run, str(root)]) == 0
    assert "scored: 2 instances" in capsys.readouterr().out
    annotate[3] = "cam1"
    assert main([*annotate, "--out", run]) == 2
    assert '--sensor is "cam2" there, "cam1" now' in capsys.readouterr().err


def test_the_real_sample_under_sensor_names_gives_the_same_frame(ycbv_sample, tmp_path):
    root = tmp_path / "several"
    for sensor in ("photoneo", "cam1"):
        as_sensor(ycbv_sample / "test/000001", sensor, root / "test/000001")
    (root / "models").symlink_to(ycbv_sample / "models")
    write_json(root / "test/000001/scene_camera_cam1.json", {})
    frame_id = FrameId(1, 1)
    there = opened(root, "photoneo").load_frame(frame_id)
    plain = DataOptions(ycbv_sample).open().load_frame(frame_id)
    np.testing.assert_array_equal(there.rgb, plain.rgb)
    np.testing.assert_array_equal(there.depth_m, plain.depth_m)
    for one, other in zip(there.instances, plain.instances, strict=True):
        np.testing.assert_array_equal(one.mask, other.mask)
    assert cv2.countNonZero(np.uint8(there.instances[0].mask)) > 0
