import json

import numpy as np
import pytest

from selfpose6d.datasets.coco_masks import encode_mask
from selfpose6d.datasets.options import DataOptions
from selfpose6d.evaluation.detection_ap import detection_scores
from selfpose6d.evaluation.inputs import ReferenceOptions, load_reference
from selfpose6d.geometry.camera import projected_box
from selfpose6d.selection import FrameId


@pytest.fixture(scope="module")
def root(render_once):
    return render_once("--frames", "1", "--test-frames", "3", "--objects", "1", "5", "--seed", "3")


@pytest.fixture(scope="module")
def reference(root):
    return load_reference(ReferenceOptions(DataOptions(root), "all"))


def true_rows(root, reference) -> list[dict]:
    """Detections that are the truth."""
    dataset, rows = DataOptions(root).open("test"), []
    truths = reference.truths
    for index in range(len(truths)):
        frame = dataset.load_frame(FrameId(int(truths.scene_id[index]), int(truths.im_id[index])))
        (mask,) = [one.mask for one in frame.instances if one.key.inst_id == truths.inst_id[index]]
        encoded = encode_mask(mask)
        vertices = reference.models.load(int(truths.obj_id[index])).vertices_m
        rows.append(
            {
                "scene_id": int(truths.scene_id[index]),
                "image_id": int(truths.im_id[index]),
                "category_id": int(truths.obj_id[index]),
                "score": 0.9,
                "bbox": list(projected_box(vertices, truths.T_cam_obj[index], frame.K)),
                "segmentation": {"size": list(mask.shape), "counts": encoded["counts"]},
                "time": 1.0,
            }
        )
    return rows


def scored(rows, root, reference, tmp_path):
    path = tmp_path / "detections.json"
    path.write_text(json.dumps(rows))
    vertices = {obj_id: reference.models.load(obj_id).vertices_m for obj_id in reference.points}
    return detection_scores(path, DataOptions(root).open("test"), reference.truths, vertices)


@pytest.fixture(scope="module")
def rows(root, reference):
    return true_rows(root, reference)


def test_the_truth_has_every_point(root, reference, rows, tmp_path):
    for one in scored(rows, root, reference, tmp_path).values():
        assert (one.ap, one.ap50, one.ap75, one.ar) == pytest.approx((100, 100, 100, 100))


def test_what_is_missed_costs_its_share_of_its_object(root, reference, rows, tmp_path):
    first = rows[0]["category_id"]
    of_first = [row for row in rows if row["category_id"] == first]
    kept = [row for row in rows if row is not of_first[0]]
    recall = 1 - 1 / len(of_first)
    expected = 100 * (np.ceil(101 * recall - 1e-9) / 101 + 1) / 2
    assert scored(kept, root, reference, tmp_path)["segm"].ap50 == pytest.approx(expected, abs=1.5)


def test_a_shifted_mask_counts_at_low_thresholds_only(root, reference, rows, tmp_path):
    from pycocotools import mask as coco

    shifted = []
    for row in rows:
        size = row["segmentation"]["size"]
        mask = coco.decode({"size": size, "counts": row["segmentation"]["counts"].encode()})
        width = int(mask.any(0).sum())
        moved = np.roll(mask, max(1, round(0.2 * width)), axis=1)
        moved[:, : max(1, round(0.2 * width))] = 0
        encoded = encode_mask(moved.astype(bool))
        shifted.append(row | {"segmentation": {"size": size, "counts": encoded["counts"]}})
    found = scored(shifted, root, reference, tmp_path)
    assert found["segm"].ap50 > found["segm"].ap75
    assert found["segm"].ap < 60
    assert found["bbox"].ap == pytest.approx(100)


def test_nothing_found_is_zero_and_other_objects_do_not_count(root, reference, rows, tmp_path):
    assert scored([], root, reference, tmp_path)["segm"].ap == 0
    foreign = [row | {"category_id": 77} for row in rows]
    assert scored(foreign, root, reference, tmp_path)["bbox"].ar == 0
    assert scored(rows + foreign, root, reference, tmp_path)["bbox"].ap == pytest.approx(100)


def test_a_false_detection_before_the_right_ones_costs_precision(root, reference, rows, tmp_path):
    wrong = [
        row | {"score": 0.99, "bbox": [0, 0, 5, 5], "segmentation": {"size": [480, 640], "counts": "0"}}
        for row in rows
    ]
    empty = encode_mask(np.zeros((480, 640), bool))["counts"]
    wrong = [row | {"segmentation": {"size": [480, 640], "counts": empty}} for row in wrong]
    assert scored(rows + wrong, root, reference, tmp_path)["bbox"].ap50 < 60


def test_the_box_of_a_whole_object_holds_its_hidden_part():
    points = np.array([[x, y, z] for x in (-0.1, 0.1) for y in (-0.1, 0.1) for z in (-0.1, 0.1)])
    T = np.eye(4)
    T[2, 3] = 1.0
    K = np.array([[100.0, 0, 10], [0, 100, 20], [0, 0, 1]])
    assert projected_box(points, T, K) == (-1, 9, 23, 23)
    T[2, 3] = -1.0
    assert projected_box(points, T, K) == (0, 0, 0, 0)
