"""`export --format bop`: complete, in BOP's sense, and read back by our own commands and by pycocotools."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import toolkit_rules
from labelled_run import make_labelled_run, turned
from pycocotools.coco import COCO

from selfpose6d.cli.main import main
from selfpose6d.datasets.options import DataOptions
from selfpose6d.meshes.io import load_mesh
from selfpose6d.runs.review import Verdict, append_verdict
from selfpose6d.selection import Selection
from selfpose6d.types import InstanceKey

FILES = ("scene_camera", "scene_gt", "scene_gt_info", "scene_gt_labels", "scene_gt_coco")


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    return render_once("--frames", "2", "--test-frames", "3", "--seed", "5")


@pytest.fixture(scope="module")
def labelled(rendered: Path, tmp_path_factory) -> Path:
    """In every frame the second instance is ambiguous and the third was skipped."""
    statuses = {1: "ambiguous", 2: "skipped"}
    run = tmp_path_factory.mktemp("labelled") / "run"
    return make_labelled_run(rendered, run, lambda key: statuses.get(key.inst_id, "certified"))


def export(run: Path, to: Path, *options: str) -> Path:
    assert main(["export", str(run), "--to", str(to), *options]) == 0
    return to


def read(path: Path):
    return json.loads(path.read_text())


def test_entry_i_is_the_object_of_mask_i(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    to = export(labelled, tmp_path / "out")
    for scene in sorted((to / "test").iterdir()):
        source = rendered / "test" / scene.name
        poses, labels, true = (
            read(scene / "scene_gt.json"),
            read(scene / "scene_gt_labels.json"),
            read(source / "scene_gt.json"),
        )
        for im_id, entries in poses.items():
            kept = [i for i in range(len(true[im_id])) if i not in (1, 2)]
            assert [entry["obj_id"] for entry in entries] == [true[im_id][i]["obj_id"] for i in kept]
            assert [label["inst_id"] for label in labels[im_id]] == kept
            for index, (entry, i) in enumerate(zip(entries, kept, strict=True)):
                np.testing.assert_allclose(entry["cam_t_m2c"], true[im_id][i]["cam_t_m2c"], atol=1e-6)
                ours, theirs = (
                    cv2.imread(str(folder / "mask_visib" / f"{int(im_id):06d}_{k:06d}.png"), 0) > 0
                    for folder, k in ((scene, index), (source, i))
                )
                overlap = (ours & theirs).sum() / (ours | theirs).sum()
                assert overlap > 0.8, "the mask of the object that the entry names"
            assert not (scene / "mask_visib" / f"{int(im_id):06d}_{len(entries):06d}.png").exists()


def test_info_follows_the_toolkits_definitions(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    to = export(labelled, tmp_path / "out")
    meshes = {i: load_mesh(path, "mm") for i, path in _models(to / "models").items()}
    compared = 0
    for scene in sorted((to / "test").iterdir()):
        poses, infos, cameras = (
            read(scene / f"{name}.json") for name in ("scene_gt", "scene_gt_info", "scene_camera")
        )
        for im_id, entries in poses.items():
            K = np.array(cameras[im_id]["cam_K"]).reshape(3, 3)
            depth = cv2.imread(str(scene / "depth" / f"{int(im_id):06d}.png"), cv2.IMREAD_UNCHANGED)
            for entry, ours in zip(entries, infos[im_id], strict=True):
                mesh, T = meshes[entry["obj_id"]], np.eye(4)
                T[:3, :3], T[:3, 3] = np.reshape(entry["cam_R_m2c"], (3, 3)), entry["cam_t_m2c"]
                canvas = toolkit_rules.depth_on_canvas(mesh.vertices_m * 1e3, mesh.faces, T, K, depth.shape)
                theirs = toolkit_rules.info(canvas, depth * cameras[im_id]["depth_scale"], K)
                assert ours["visib_fract"] == pytest.approx(theirs["visib_fract"], abs=0.01)
                for name in ("px_count_all", "px_count_valid", "px_count_visib"):
                    assert ours[name] == pytest.approx(theirs[name], rel=0.01, abs=3), name
                for name in ("bbox_obj", "bbox_visib"):
                    assert np.abs(np.subtract(ours[name], theirs[name])).max() <= 1, name
                compared += 1
    assert compared >= 5


def test_unlabelled_instances_are_ignored_not_absent(labelled: Path, rendered: Path, tmp_path: Path) -> None:
    to = export(labelled, tmp_path / "out")
    incomplete = read(to / "incomplete_frames.json")
    assert len(incomplete) == 3
    for row in incomplete:
        assert row["exported"]
        assert [instance["inst_id"] for instance in row["instances"]] == [1, 2]
        assert row["instances"][0]["reason"].startswith("ambiguous: another pose")
        assert row["instances"][1]["reason"] == "skipped: 12 pixels with depth"
        scene = to / row["split"] / f"{row['scene_id']:06d}"
        coco = COCO(str(scene / "scene_gt_coco.json"))
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[row["im_id"]]))
        ignored = [entry for entry in annotations if entry["ignore"]]
        assert len(ignored) == 2
        assert all(entry["iscrowd"] == 1 for entry in ignored)
        name = f"{row['im_id']:06d}_000001.png"
        source = cv2.imread(str(rendered / "test" / scene.name / "mask_visib" / name), 0) > 0
        assert np.array_equal(coco.annToMask(ignored[0]).astype(bool), source)
        for entry in annotations:
            assert coco.annToMask(entry).sum() == entry["area"] > 0
        image = coco.loadImgs([row["im_id"]])[0]
        assert cv2.imread(str(scene / image["file_name"])).shape[:2] == (image["height"], image["width"])


def test_complete_frames_drops_the_others(labelled: Path, tmp_path: Path) -> None:
    to = export(labelled, tmp_path / "out", "--complete-frames")
    assert not list((to / "test").rglob("*.png"))
    assert all(not row["exported"] for row in read(to / "incomplete_frames.json"))
    with_ambiguous = export(labelled, tmp_path / "more", "--status", "certified,reviewed,ambiguous")
    missing = [
        [i["inst_id"] for i in row["instances"]] for row in read(with_ambiguous / "incomplete_frames.json")
    ]
    assert missing == [[2]] * 3


def test_review_decides(rendered: Path, tmp_path: Path) -> None:
    run = make_labelled_run(
        rendered, tmp_path / "run", lambda key: "ambiguous" if key.inst_id == 1 else "certified"
    )
    objects = [entry["obj_id"] for entry in read(rendered / "test" / "000000" / "scene_gt.json")["0"]]
    keys = [InstanceKey("test", 0, 0, obj_id, index) for index, obj_id in enumerate(objects)]
    append_verdict(run / "review.jsonl", keys[0], Verdict("reject"))
    append_verdict(run / "review.jsonl", keys[1], Verdict("alternative", alternative=1))
    to = export(run, tmp_path / "out")
    scene = to / "test" / "000000"
    labels = read(scene / "scene_gt_labels.json")["0"]
    assert [label["inst_id"] for label in labels] == list(range(1, len(keys)))
    assert labels[0]["reason"] == "review: alternative 1"
    true = read(rendered / "test" / "000000" / "scene_gt.json")["0"][1]
    R = np.reshape(read(scene / "scene_gt.json")["0"][0]["cam_R_m2c"], (3, 3))
    np.testing.assert_allclose(
        R, np.reshape(true["cam_R_m2c"], (3, 3)) @ turned(np.eye(4))[:3, :3], atol=1e-9
    )
    certified = export(run, tmp_path / "certified", "--status", "certified,rejected")
    rows = read(certified / "test" / "000000" / "scene_gt_labels.json")["0"]
    assert [row["inst_id"] for row in rows] == list(range(2, len(keys))), "a rejected one is never exported"


def test_objects_that_the_run_left_out_are_not_absent(rendered: Path, tmp_path: Path) -> None:
    objects = {entry["obj_id"] for entry in read(rendered / "test" / "000000" / "scene_gt.json")["0"]}
    one = min(objects)
    run = make_labelled_run(rendered, tmp_path / "run", selection=Selection(objects=(one,), limit=1))
    rows = read(export(run, tmp_path / "out") / "incomplete_frames.json")
    assert {instance["obj_id"] for instance in rows[0]["instances"]} == objects - {one}
    assert {instance["reason"] for instance in rows[0]["instances"]} == {"not annotated by the run"}


def test_own_commands_read_it(labelled: Path, tmp_path: Path, capsys) -> None:
    to = export(labelled, tmp_path / "out")
    assert main(["validate", str(to)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    dataset = DataOptions(to).open()
    frames = [dataset.load_frame(frame_id) for frame_id in dataset.frame_ids()]
    assert all(not frame.skipped for frame in frames)
    targets = read(to / "test_targets_bop19.json")
    infos = [
        i
        for scene in (to / "test").iterdir()
        for rows in read(scene / "scene_gt_info.json").values()
        for i in rows
    ]
    assert sum(row["inst_count"] for row in targets) == sum(info["visib_fract"] >= 0.1 for info in infos)
    camera, first = read(to / "camera.json"), read(to / "test" / "000000" / "scene_camera.json")["0"]
    assert [camera["fx"], camera["cx"], camera["fy"], camera["cy"]] == [
        first["cam_K"][i] for i in (0, 2, 4, 5)
    ]
    assert camera["depth_scale"] == first["depth_scale"]


def test_images_and_models_are_the_same(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    copied, linked = export(labelled, tmp_path / "copied"), export(labelled, tmp_path / "linked", "--link")
    for name in ("rgb/000001.png", "depth/000001.png"):
        source = rendered / "test" / "000000" / name
        assert (copied / "test" / "000000" / name).read_bytes() == source.read_bytes()
        assert (linked / "test" / "000000" / name).resolve() == source.resolve()
        assert not (copied / "test" / "000000" / name).is_symlink()
    for path in (rendered / "models").iterdir():
        if path.suffix != ".json":
            assert (copied / "models" / path.name).read_bytes() == path.read_bytes()
    assert read(copied / "models" / "models_info.json") == read(rendered / "models" / "models_info.json")


def test_a_stopped_export_goes_on_and_ends_the_same(labelled: Path, tmp_path: Path, monkeypatch) -> None:
    whole, stopped = export(labelled, tmp_path / "whole"), tmp_path / "stopped"
    from selfpose6d.export import export as module

    calls, original = [], module.exported_frame

    def stopping(*args):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(args)
        return original(*args)

    monkeypatch.setattr(module, "exported_frame", stopping)
    assert main(["export", str(labelled), "--to", str(stopped)]) == 130
    assert not (stopped / "export.json").exists()
    monkeypatch.setattr(module, "exported_frame", lambda *args: calls.append(args) or original(*args))
    export(labelled, stopped)
    assert len(calls) == 3, "the two frames that were finished are not done again"
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file())
    assert [path for path in files if (whole / path).read_bytes() != (stopped / path).read_bytes()] == []


def test_two_splits_share_a_folder(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    train = make_labelled_run(rendered, tmp_path / "train-run", split="train")
    to = export(labelled, tmp_path / "out")
    export(train, to)
    assert DataOptions(to, split="train").open().frame_ids()
    assert set(read(to / "export.json")) == {"train", "test"}
    assert {row["split"] for row in read(to / "incomplete_frames.json")} == {"test"}


def test_wrong_use_is_one_line(labelled: Path, tmp_path: Path, capsys) -> None:
    to = export(labelled, tmp_path / "out")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("kept")
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.yaml").write_bytes((labelled / "config.yaml").read_bytes())
    for arguments, words in (
        (
            [labelled, "--to", to, "--complete-frames"],
            "made otherwise: complete_frames is False there, True now",
        ),
        ([labelled, "--to", to, "--format", "coco"], "format is bop there, coco now"),
        ([labelled, "--to", other], "not empty and was not made by export"),
        ([labelled, "--to", tmp_path / "x", "--status", "certifed"], "got 'certifed'"),
        ([labelled, "--to", tmp_path / "x", "--link", "--copy"], "exclude each other"),
        ([unfinished, "--to", tmp_path / "x"], "no finished run"),
        ([tmp_path / "none", "--to", tmp_path / "x"], "no run"),
    ):
        assert main(["export", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()
    assert [path.name for path in other.iterdir()] == ["mine.txt"]


def test_the_real_frames(ycbv_sample: Path, tmp_path: Path) -> None:
    """True poses of real frames: visible fractions and boxes are near those that the masks of the data set give."""
    run = make_labelled_run(ycbv_sample, tmp_path / "run", selection=Selection(limit=2))
    to = export(run, tmp_path / "out")
    differences = []
    for scene in (to / "test").iterdir():
        theirs = read(ycbv_sample / "test" / scene.name / "scene_gt_info.json")
        for im_id, entries in read(scene / "scene_gt_info.json").items():
            pairs = zip(entries, theirs[im_id], strict=True)
            differences += [ours["visib_fract"] - other["visib_fract"] for ours, other in pairs]
    assert len(differences) >= 4
    assert np.abs(differences).max() < 0.08
    assert main(["validate", str(to)]) == 0


def _models(folder: Path) -> dict[int, Path]:
    return {int(path.stem[4:]): path for path in sorted(folder.glob("obj_*.ply"))}
