"""The other forms: shards as bop_toolkit reads them, COCO by pycocotools, FoundationPose's folders by its rule."""

import glob
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from labelled_run import make_labelled_run
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from selfpose6d.cli.main import main
from selfpose6d.datasets.true_poses import load_ground_truth
from selfpose6d.export.coco import run_lengths
from selfpose6d.meshes.io import load_mesh
from selfpose6d.selection import Selection


@pytest.fixture(scope="module")
def rendered(render_once) -> Path:
    return render_once("--frames", "2", "--test-frames", "3", "--seed", "5")


@pytest.fixture(scope="module")
def labelled(rendered: Path, tmp_path_factory) -> Path:
    """The first instance of every frame is rejected."""
    run = tmp_path_factory.mktemp("labelled") / "run"
    return make_labelled_run(rendered, run, lambda key: "rejected" if key.inst_id == 0 else "certified")


def export(run: Path, to: Path, form: str) -> Path:
    assert main(["export", str(run), "--to", str(to), "--format", form]) == 0
    return to


def true_poses(root: Path):
    return {(true.key.im_id, true.key.inst_id): true for true in load_ground_truth(root, "test", Selection())}


def test_run_lengths_are_cocos() -> None:
    for mask in (
        np.eye(7, 5, dtype=bool),
        np.ones((4, 3), bool),
        np.zeros((4, 3), bool),
        np.eye(3, dtype=bool)[::-1],
    ):
        rle = run_lengths(mask)
        assert sum(rle["counts"]) == mask.size
        assert np.array_equal(coco_mask.decode(coco_mask.frPyObjects(rle, *mask.shape)).astype(bool), mask)


def test_shards_hold_everything_of_an_image(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    split = export(labelled, tmp_path / "out", "bop-webdataset") / "test"
    true = true_poses(rendered)
    shard_of = json.loads((split / "key_to_shard.json").read_text())
    assert shard_of == {"000000_000000": 0, "000000_000001": 0, "000000_000002": 0}
    assert sorted(path.name for path in split.iterdir()) == ["key_to_shard.json", "shard-000000.tar"]
    with tarfile.open(split / "shard-000000.tar") as tar:

        def read(key: str, ending: str):
            content = tar.extractfile(f"{key}.{ending}").read()
            if ending.endswith(".json"):
                return json.loads(content)
            return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)

        for im_id, key in enumerate(shard_of):
            poses, infos = read(key, "gt.json"), read(key, "gt_info.json")
            masks, whole = read(key, "mask_visib.json"), read(key, "mask.json")
            assert len(poses) == len(infos) == len(masks) == len(whole) > 0
            depth = read(key, "depth.png")
            assert depth.dtype == np.uint16
            assert read(key, "rgb.png").shape == (*depth.shape, 3)
            assert read(key, "camera.json")["depth_scale"] > 0
            for index, (pose, info) in enumerate(zip(poses, infos, strict=True)):
                rle = masks[str(index)]
                visible = coco_mask.decode(coco_mask.frPyObjects(rle, *rle["size"]))
                assert visible.sum() == info["px_count_visib"]
                assert pose["obj_id"] == true[im_id, index + 1].key.obj_id


def test_coco_is_read_by_pycocotools(rendered: Path, labelled: Path, tmp_path: Path) -> None:
    to = export(labelled, tmp_path / "out", "coco")
    coco, true = COCO(str(to / "annotations" / "instances_test.json")), true_poses(rendered)
    assert len(coco.getImgIds()) == 3
    for im_id, image_id in enumerate(coco.getImgIds()):
        image = coco.loadImgs([image_id])[0]
        assert cv2.imread(str(to / "images" / image["file_name"])).shape[:2] == (
            image["height"],
            image["width"],
        )
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        labels = [entry for entry in annotations if not entry["iscrowd"]]
        assert len(annotations) - len(labels) == 1
        names = {row["id"]: row["name"] for row in coco.loadCats(coco.getCatIds())}
        for index, entry in enumerate(labels, start=1):
            mask = coco.annToMask(entry)
            assert list(cv2.boundingRect(mask)) == entry["bbox"]
            T = true[im_id, index].T_cam_obj
            np.testing.assert_allclose(entry["pose"]["cam_t_m2c"], T[:3, 3] * 1e3, atol=1e-6)
            assert not names[entry["category_id"]].isdecimal(), "categories have names"


def test_foundationposes_reader_finds_one_pose_a_frame(
    rendered: Path, labelled: Path, tmp_path: Path
) -> None:
    to = export(labelled, tmp_path / "out", "foundationpose")
    true = {(key[0], true.key.obj_id): true.T_cam_obj for key, true in true_poses(rendered).items()}
    meshes = {int(path.stem[4:]): trimesh.load(path, process=False) for path in (to / "models").glob("*.ply")}
    for obj_id, mesh in meshes.items():
        metres = load_mesh(rendered / "models" / f"obj_{obj_id:06d}.ply", "mm")
        np.testing.assert_allclose(mesh.extents, np.ptp(metres.vertices_m, axis=0), rtol=1e-4)
    folders = sorted((to / "test").iterdir())
    assert len(folders) >= 2
    for folder in folders:
        rgb = sorted(glob.glob(f"{folder}/rgb/*.png"))
        poses = sorted(glob.glob(f"{folder}/annotated_poses/*"))
        assert (
            len(rgb)
            == len(poses)
            == len(glob.glob(f"{folder}/depth/*"))
            == len(glob.glob(f"{folder}/masks/*"))
        )
        K = np.loadtxt(folder / "cam_K.txt").reshape(3, 3)
        for image, pose in zip(rgb, poses, strict=True):
            T, im_id = np.loadtxt(pose).reshape(4, 4), int(Path(image).stem)
            matching = [i for (im, i), T_true in true.items() if im == im_id and np.allclose(T, T_true)]
            assert len(matching) == 1
            depth_m = cv2.imread(image.replace("rgb", "depth"), -1) / 1e3
            mask = cv2.imread(image.replace("rgb", "masks"), 0) > 0
            z = depth_m[mask & (depth_m > 0)]
            assert abs(np.median(z) - T[2, 3]) < 0.15, "millimetres"
            u, v = (K @ T[:3, 3])[:2] / T[2, 3]
            rows, columns = mask.nonzero()
            assert columns.min() - 60 < u < columns.max() + 60
            assert rows.min() - 60 < v < rows.max() + 60


def test_an_object_twice_in_a_frame_has_no_video_of_its_own(rendered: Path, tmp_path: Path) -> None:
    """Nothing says which of two is which in the next frame."""
    from collections import Counter

    counts = Counter((key[0], true.key.obj_id) for key, true in true_poses(rendered).items())
    run = make_labelled_run(rendered, tmp_path / "run")
    to = export(run, tmp_path / "out", "foundationpose")
    written = len(glob.glob(f"{to}/test/*/annotated_poses/*"))
    assert written == sum(count == 1 for count in counts.values())
