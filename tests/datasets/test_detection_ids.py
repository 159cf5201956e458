"""Detections of other tools: images by file name or number, categories by name or id, and what matches nothing."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_roots import masks, write_bop, write_capture, write_models

from selfpose6d.cli.main import main
from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError
from selfpose6d.selection import FrameId, Selection


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Frames a, b, c; models ball (1) and cube (2)."""
    root = write_capture(tmp_path / "capture", ("a", "b", "c"))
    models = tmp_path / "models"
    write_models(models)
    info = json.loads((models / "models_info.json").read_text())
    info["1"]["name"], info["2"]["name"] = "ball", "cube"
    (models / "models_info.json").write_text(json.dumps(info))
    return root


@pytest.fixture
def bop(tmp_path: Path) -> Path:
    return write_bop(tmp_path / "bop", {3: 2, 8: 1})


def polygon(mask: np.ndarray) -> list[list[float]]:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [contour.ravel().tolist() for contour in contours]


def opened(root: Path, content, tmp_path: Path, **options):
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(content))
    models = tmp_path / "models"
    given = {"models": models} if models.is_dir() else {}
    return DataOptions(root, detections=path, **given, **options).open()


def found(dataset) -> dict[tuple[int, int], list[int]]:
    rows = {tuple(i): [key.obj_id for key in dataset.instance_keys(i)] for i in dataset.frame_ids()}
    return {frame: objects for frame, objects in rows.items() if objects}


def coco(names: list[str], rows: list[dict], categories=("cube", "ball"), first_id: int = 1) -> dict:
    """As CVAT writes it: images and categories numbered in its own way."""
    return {
        "images": [
            {"id": i, "file_name": name, "width": 64, "height": 48} for i, name in enumerate(names, first_id)
        ],
        "categories": [{"id": i, "name": name} for i, name in enumerate(categories, first_id)],
        "annotations": [{"id": i, "iscrowd": 0, **row} for i, row in enumerate(rows, 1)],
    }


def test_coco_goes_by_file_names_and_category_names(capture: Path, tmp_path: Path) -> None:
    mask = masks()[0] > 0
    rows = [
        {"image_id": 1, "category_id": 1, "segmentation": polygon(mask)},
        {"image_id": 1, "category_id": 2, "segmentation": encode_mask(mask)},
        {"image_id": 2, "category_id": 2, "segmentation": [], "bbox": [10, 10, 8, 6]},
        {"image_id": 2, "category_id": 1, "segmentation": encode_mask(mask), "ignore": 1},
    ]
    with pytest.warns(UserWarning, match="left out: 1 marked ignore"):
        dataset = opened(capture, coco(["c.png", "images/a.jpg"], rows), tmp_path)
    assert found(dataset) == {(0, 2): [2, 1], (0, 0): [1]}
    instances = dataset.load_frame(FrameId(0, 2)).instances
    assert not any(instance.region for instance in instances)
    assert np.array_equal(instances[1].mask, mask)
    assert 0 <= (mask & ~instances[0].mask).sum() < 0.15 * mask.sum(), (
        "a polygon through pixel centres is smaller"
    )
    assert not (instances[0].mask & ~mask).any()
    assert [key.inst_id for key in dataset.instance_keys(FrameId(0, 2))] == [0, 1]
    (box,) = dataset.load_frame(FrameId(0, 0)).instances
    assert box.region
    assert box.mask.sum() == 9 * 7


@pytest.mark.parametrize(
    "name", ["1a2b3c4d-b.png", "..\\..\\upload\\1\\1a2b3c4d-b.png", "b.jpeg", "rgb/b.png"]
)
def test_names_as_label_studio_and_windows_write_them(capture: Path, tmp_path: Path, name: str) -> None:
    rows = [{"image_id": 0, "category_id": 0, "bbox": [1, 1, 9, 9]}]
    assert found(opened(capture, coco([name], rows, first_id=0), tmp_path)) == {(0, 1): [2]}


@pytest.mark.parametrize("image_id", [1, "1", 1.0, "b", "b.png", "rgb/b.png"])
@pytest.mark.parametrize("category_id", [2, "2", 2.0, "cube", "Cube", "obj_000002"])
def test_result_rows_of_a_folder_need_no_scene(capture: Path, tmp_path: Path, image_id, category_id) -> None:
    row = {"image_id": image_id, "category_id": category_id, "score": 0.5, "bbox": [1, 1, 9, 9]}
    assert found(opened(capture, [row], tmp_path)) == {(0, 1): [2]}


@pytest.mark.parametrize("name", ["000003/rgb/000002.png", "test/000003_000002.jpg", "train/x/000003/2.png"])
def test_file_names_of_a_bop_root(bop: Path, tmp_path: Path, name: str) -> None:
    rows = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]
    assert found(opened(bop, coco([name], rows, ["obj_000002"]), tmp_path)) == {(3, 2): [2]}


def test_numbers_that_match_no_image_are_an_error(capture: Path, tmp_path: Path) -> None:
    """Counted from 1 where the folder counts from 0: the last would be lost, the others be another image's."""
    rows = [{"image_id": i, "category_id": 1, "bbox": [1, 1, 9, 9]} for i in (1, 2, 3)]
    with pytest.raises(
        DataError, match=r"1 rows are of images .* 3; it has images 0 to 2: a\.png, b\.png, c\.png"
    ):
        opened(capture, rows, tmp_path)


def test_names_that_match_nothing_are_an_error(capture: Path, tmp_path: Path) -> None:
    rows = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}]
    with pytest.raises(DataError, match=r"images that are not in split all: d\.png; it has images 0 to 2"):
        opened(capture, coco(["d.png"], rows), tmp_path)
    with pytest.raises(
        DataError, match=r"categories that are no object .*'mug'; its objects: 1 ball, 2 cube"
    ):
        opened(capture, coco(["a.png"], rows, ["mug"]), tmp_path)
    with pytest.raises(DataError, match=r"no object of this data set: 7; its objects: 1 ball, 2 cube"):
        opened(capture, [{"image_id": 0, "category_id": 7, "bbox": [1, 1, 9, 9]}], tmp_path)


def test_an_object_without_a_mesh_is_skipped_with_its_reason(capture: Path, tmp_path: Path) -> None:
    rows = [{"image_id": 0, "category_id": i, "bbox": [1, 1, 9, 9]} for i in (7, 2)]
    frame = opened(capture, rows, tmp_path).load_frame(FrameId(0, 0))
    assert [instance.key.obj_id for instance in frame.instances] == [2]
    assert [skipped.key.obj_id for skipped in frame.skipped] == [7]
    assert "no model for object 7" in frame.skipped[0].reason


def test_both_sides_of_a_scene(bop: Path, tmp_path: Path) -> None:
    row = {"scene_id": 3, "image_id": 9, "category_id": 1, "bbox": [1, 1, 9, 9]}
    with pytest.raises(DataError, match=r"split test: 3/9; it has scenes 3 8; in scene 3 images 1 2"):
        opened(bop, [row], tmp_path)
    assert found(opened(bop, [row], tmp_path, selection=Selection(frames=(1,)))) == {}
    with pytest.raises(
        DataError, match="row 0 needs scene_id, image_id, category_id, got bbox, category_id, image_id"
    ):
        opened(bop, [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}], tmp_path)


def test_scenes_that_are_not_here_are_left_out_where_others_are(bop: Path, tmp_path: Path) -> None:
    here = {"scene_id": 8, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}
    elsewhere = here | {"scene_id": 55}
    with pytest.warns(UserWarning, match="1 rows are of 1 scenes that the data set does not have"):
        assert found(opened(bop, [here, elsewhere], tmp_path)) == {(8, 1): [1]}
    with pytest.raises(
        DataError, match="no row is of this data set: they are of scenes 55, split test has 3 8"
    ):
        opened(bop, [elsewhere], tmp_path)


def test_an_empty_file_means_that_nothing_was_found(bop: Path, capture: Path, tmp_path: Path) -> None:
    for root in (bop, capture):
        for content in ([], coco(["000003/rgb/000001.png"], [], ["obj_000001"])):
            assert found(opened(root, content, tmp_path)) == {}


def test_a_coco_file_that_names_what_it_does_not_list(capture: Path, tmp_path: Path) -> None:
    content = coco(["a.png"], [{"image_id": 5, "category_id": 1, "bbox": [1, 1, 9, 9]}])
    with pytest.raises(
        DataError, match="annotation 0 has image_id 5, category_id 1, which the file does not list"
    ):
        opened(capture, content, tmp_path)


def test_commands_say_it_in_one_line(capture: Path, tmp_path: Path, capsys) -> None:
    path = tmp_path / "d.json"
    path.write_text(json.dumps([{"image_id": 7, "category_id": 1, "bbox": [1, 1, 9, 9]}]))
    models = ["--models", str(tmp_path / "models"), "--detections", str(path)]
    commands = ((1, "validate", ()), (2, "annotate", ("--out", str(tmp_path / "run"))))
    for exit_code, name, more in commands:
        assert main([name, str(capture), *more, *models]) == exit_code
        printed = capsys.readouterr()
        lines = (printed.out + printed.err).splitlines()
        assert "images that are not in split all: 7" in lines[0]
        assert lines[0].startswith("error: ")
    assert not (tmp_path / "run").exists()


def test_names_that_are_not_ascii(tmp_path: Path) -> None:
    root = write_capture(tmp_path / "capture", ("größe", "b"))
    write_models(tmp_path / "models")
    info = json.loads((tmp_path / "models" / "models_info.json").read_text())
    info["1"]["name"] = "杯子"
    (tmp_path / "models" / "models_info.json").write_text(json.dumps(info))
    path = tmp_path / "detections.json"
    row = {"image_id": "größe.png", "category_id": "杯子", "bbox": [1, 1, 9, 9]}
    path.write_text(json.dumps([row], ensure_ascii=False), encoding="utf-8")
    dataset = DataOptions(root, detections=path, models=tmp_path / "models").open()
    assert found(dataset) == {(0, 1): [1]}


def test_scene_0_is_a_scene(tmp_path: Path) -> None:
    root = write_bop(tmp_path / "bop", {0: 1, 1: 1})
    row = {"scene_id": 0, "image_id": "rgb/000001.png", "category_id": 1, "bbox": [1, 1, 9, 9]}
    assert found(opened(root, [row], tmp_path)) == {(0, 1): [1]}
