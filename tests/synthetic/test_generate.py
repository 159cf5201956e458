"""Whole data sets: same bytes, resumable, refused when they do not fit, readable as BOP."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.datasets.symmetries import read_symmetries
from selfpose6d.errors import DataError, MeshError, UsageError
from selfpose6d.meshes.io import save_mesh_ply
from selfpose6d.meshes.primitives.catalogue import CATALOGUE
from selfpose6d.synthetic.generate import prepare, render_all
from selfpose6d.synthetic.options import SensorOption, SynthOptions

OPTIONS = SynthOptions(train_frames=9, test_frames=2, objects=(1, 2, 6, 7), seed=11)


def make(root: Path, options: SynthOptions = OPTIONS, workers: int = 1) -> list[str]:
    return [f"{scene.split}/{scene.scene_id}" for scene in render_all(prepare(root, options), workers)]


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synth") / "set"
    assert make(root) == ["train/0", "train/1", "test/0"]
    return root


def test_same_seed_same_bytes_with_any_number_of_processes(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "again", workers=2)
    assert digests(tmp_path / "again") == digests(made)


def test_finished_scenes_are_kept_and_missing_ones_made_again(made: Path, tmp_path: Path) -> None:
    root = tmp_path / "set"
    shutil.copytree(made, root)
    shutil.rmtree(root / "train" / "000001")
    (root / "train" / ".000001.part").mkdir()
    kept = (root / "train" / "000000" / "scene_gt.json").stat().st_mtime_ns
    assert make(root) == ["train/0", "test/0", "train/1"]
    assert (root / "train" / "000000" / "scene_gt.json").stat().st_mtime_ns == kept
    assert digests(root) == digests(made)


def test_other_options_are_refused_by_name(made: Path) -> None:
    other = SynthOptions(train_frames=9, test_frames=2, objects=(1, 2, 6, 7), seed=12)
    with pytest.raises(UsageError, match=r"was made with other options: seed 11 there, 12 now"):
        prepare(made, other)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("do not touch")
    with pytest.raises(UsageError, match="not an empty folder and was not made by synth"):
        prepare(tmp_path, OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_files_are_as_bop_has_them(made: Path) -> None:
    scene = made / "train" / "000000"
    camera = json.loads((scene / "scene_camera.json").read_text())["3"]
    assert camera["cam_K"] == [1066.778, 0, 312.9869, 0, 1067.487, 241.3109, 0, 0, 1]
    assert camera["depth_scale"] == 0.1
    poses = json.loads((scene / "scene_gt.json").read_text())
    infos = json.loads((scene / "scene_gt_info.json").read_text())
    assert list(poses) == list(infos) == [str(i) for i in range(8)]
    depth = cv2.imread(str(scene / "depth" / "000003.png"), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    assert depth.shape == (480, 640)
    for inst_id, (pose, info) in enumerate(zip(poses["3"], infos["3"], strict=True)):
        visible = cv2.imread(str(scene / "mask_visib" / f"000003_{inst_id:06d}.png"), cv2.IMREAD_UNCHANGED)
        whole = cv2.imread(str(scene / "mask" / f"000003_{inst_id:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert set(np.unique(visible)) <= {0, 255}
        assert (visible > 0).sum() == info["px_count_visib"]
        assert ((whole > 0) & (depth > 0)).sum() == info["px_count_valid"]
        assert (whole[visible > 0] > 0).all()
        assert info["px_count_all"] >= (whole > 0).sum()
        assert info["visib_fract"] == info["px_count_visib"] / info["px_count_all"]
        rows, columns = np.nonzero(visible)
        x, y, width, height = info["bbox_visib"]
        assert (x, y, width, height) == (columns.min(), rows.min(), np.ptp(columns), np.ptp(rows))
        R = np.array(pose["cam_R_m2c"]).reshape(3, 3)
        np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-9)
        assert 500 < pose["cam_t_m2c"][2] < 1600, "millimetres"
    targets = json.loads((made / "test_targets_bop19.json").read_text())
    test_infos = json.loads((made / "test" / "000000" / "scene_gt_info.json").read_text())
    wanted = sum(info["visib_fract"] >= 0.1 for entries in test_infos.values() for info in entries)
    assert sum(target["inst_count"] for target in targets) == wanted


def test_models_declare_their_true_symmetries(made: Path) -> None:
    infos = json.loads((made / "models" / "models_info.json").read_text())
    assert infos["1"]["size_z"] == pytest.approx(210, abs=1e-3)
    assert infos["2"]["diameter"] == pytest.approx(np.hypot(102, 68), rel=0.01)
    symmetries = read_symmetries(made / "models")
    assert {i for i, group in symmetries.items() if len(group.expand(2)) > 1} == {6, 7}
    for obj_id in (6, 7):
        expected = CATALOGUE[obj_id].symmetry.expand(8)
        np.testing.assert_allclose(symmetries[obj_id].expand(8), expected, atol=1e-12)


def test_other_sensors_and_masks_leave_the_scenes_as_they_are(made: Path, tmp_path: Path) -> None:
    varied = replace(OPTIONS, sensor="mixed", masks="mixed")
    make(tmp_path / "set", varied)
    before, after = digests(made), digests(tmp_path / "set")
    changed = {name for name in before if before[name] != after[name]}
    kinds = {Path(name).parent.name if name.endswith(".png") else Path(name).name for name in changed}
    # of the colours only the noise
    assert kinds == {"rgb", "depth", "mask_visib", "scene_gt_info.json", "synth.json"}
    assert {name for name in before if "/depth/" in name} <= changed
    record = json.loads((tmp_path / "set" / "synth.json").read_text())
    assert (record["sensor"], record["masks"]) == ("mixed", "mixed")
    scene = Path("train") / "000000" / "scene_gt_info.json"
    true, noted = (json.loads((root / scene).read_text()) for root in (made, tmp_path / "set"))
    found = []
    for im_id, entries in noted.items():
        for inst_id, (info, entry) in enumerate(zip(true[im_id], entries, strict=True)):
            found.append(entry.pop("mask_kind"))
            # how many pixels have depth is the sensor's doing, all else is true as before
            assert {**entry, "px_count_valid": 0} == {**info, "px_count_valid": 0}
            name = scene.with_name("mask_visib") / f"{int(im_id):06d}_{inst_id:06d}.png"
            assert (before[str(name)] == after[str(name)]) == (found[-1] == "exact")
    assert set(found) == {"exact", "eroded", "dilated", "shifted", "foreign", "box"}
    with pytest.raises(UsageError, match="masks None there, 'box' now"):
        prepare(made, replace(OPTIONS, masks="box"))


@pytest.mark.parametrize("sensor", ["structured-light", "stereo", "time-of-flight"])
def test_each_option_set_follows_its_seed(tmp_path: Path, sensor: SensorOption) -> None:
    options = SynthOptions(train_frames=2, test_frames=0, objects=(1, 7), sensor=sensor, masks="mixed")
    for name, again in (("one", options), ("same", options), ("other", replace(options, seed=1))):
        make(tmp_path / name, again)
    one, same, other = (digests(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    depth = next(name for name in one if "/depth/" in name)
    assert one[depth] != other[depth]


def test_masks_alone_leave_the_images(made: Path, tmp_path: Path) -> None:
    make(tmp_path / "set", replace(OPTIONS, train_frames=0, masks="box"))
    before, after = digests(made), digests(tmp_path / "set")
    shared = [name for name in after if name.startswith("test/") and ("/rgb/" in name or "/depth/" in name)]
    assert len(shared) == 4
    assert all(before[name] == after[name] for name in shared)
    assert "mask_kind" in (tmp_path / "set" / "test" / "000000" / "scene_gt_info.json").read_text()
    assert "mask_kind" not in (made / "test" / "000000" / "scene_gt_info.json").read_text()


def test_the_reader_opens_it_without_poses(made: Path) -> None:
    dataset = DataOptions(made, split="test").open()
    frame = dataset.load_frame(next(iter(dataset.frame_ids())))
    assert frame.rgb.shape == (480, 640, 3)
    assert 0.3 < np.median(frame.depth_m[frame.depth_m > 0]) < 3
    assert {instance.key.obj_id for instance in frame.instances} <= {1, 2, 6, 7}
    assert dataset.load_mesh(1).diameter_m == pytest.approx(0.2707, abs=1e-3)


def test_the_upright_box_follows_the_seed_and_is_one_in_both_splits(tmp_path: Path) -> None:
    for seed in (1, 2):
        prepare(tmp_path / str(seed), SynthOptions("single-upright", 2, 2, seed=seed))
    infos = [json.loads((tmp_path / s / "models" / "models_info.json").read_text()) for s in ("1", "2")]
    assert infos[0] == infos[1]
    assert [infos[0]["1"][f"size_{axis}"] for axis in "xyz"] == pytest.approx([60, 160, 210], abs=1e-3)
    textures = [(tmp_path / s / "models" / "obj_000001.png").read_bytes() for s in ("1", "2")]
    assert textures[0] != textures[1]


def test_models_of_a_folder_in_metres_keep_names_and_points(tmp_path: Path) -> None:
    source = tmp_path / "meshes"
    source.mkdir()
    save_mesh_ply(CATALOGUE[7].mesh(), source / "obj_000031.ply")
    (source / "obj_000031.xyz").write_text("1 2 3\n")
    declared = {"31": {"name": "brick", "symmetries_discrete": [np.diag([-1.0, -1, 1, 1]).ravel().tolist()]}}
    (source / "models_info.json").write_text(json.dumps(declared))
    make(tmp_path / "set", SynthOptions(train_frames=1, test_frames=0, models=source))
    info = json.loads((tmp_path / "set" / "models" / "models_info.json").read_text())["31"]
    assert info["name"] == "brick"
    assert info["symmetries_discrete"] == declared["31"]["symmetries_discrete"]
    assert info["size_x"] == pytest.approx(52, abs=1e-3)
    assert (tmp_path / "set" / "models" / "obj_000031.xyz").read_text() == "1 2 3\n"
    assert not (tmp_path / "set" / "test_targets_bop19.json").exists()


def test_unreadable_models_leave_no_folder(tmp_path: Path) -> None:
    source = tmp_path / "meshes"
    source.mkdir()
    save_mesh_ply(CATALOGUE[7].mesh(), source / "obj_000031.ply")
    cases = [
        (SynthOptions(models=source, model_unit="m"), MeshError, "--model-unit mm"),
        (SynthOptions(models=source, objects=(4,)), DataError, "no model for object 4"),
        (SynthOptions(models=tmp_path / "nowhere"), UsageError, "no models"),
    ]
    for options, kind, message in cases:
        with pytest.raises(kind, match=message):
            prepare(tmp_path / "set", options)
        assert not (tmp_path / "set").exists()


def test_command_renders_and_says_what_is_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "set")
    options = ["synth", out, "--frames", "1", "--test-frames", "1", "--objects", "1", "7", "--seed", "5"]
    assert main([*options, "--workers", "1"]) == 0
    assert f"selfpose6d annotate {out} --split test" in capsys.readouterr().out.replace("\n", " ")
    assert main([*options[:-1], "6"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "seed 5 there, 6 now" in error
    assert main(["synth", str(tmp_path / "other"), "--frames", "-4"]) == 2
    assert main(["synth", str(tmp_path / "other"), "--preset", "underwater"]) == 2
    assert main(["synth", str(tmp_path / "other"), "--sensor", "sonar"]) == 2
    assert main(["synth", str(tmp_path / "other"), "--masks", "none"]) == 2
    assert not (tmp_path / "other").exists()
