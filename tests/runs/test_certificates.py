import json
import math

import numpy as np
import pytest
from labels import label
from written import write_certificates

from selfpose6d.errors import DataError
from selfpose6d.runs.certificates import (
    pose_row,
    read_certificates,
    read_review,
    reviewed,
)
from selfpose6d.types import InstanceKey, PoseEstimate

KEY = {"split": "test", "scene_id": 1, "im_id": 2, "obj_id": 3, "inst_id": 4}


def test_the_row_is_the_contracts(tmp_path):
    write_certificates(tmp_path / "c.jsonl", [label(1, 2, 3, 4, "ambiguous")])

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    row = json.loads((tmp_path / "c.jsonl").read_text(), parse_constant=refuse)
    assert row == KEY | {
        "status": "ambiguous",
        "reason": "why",
        "confidence": 0.75,
        "margin": None,
        "rms_m": 0.002,
        "coverage": 0.9,
        "free_space": 0.01,
        "colour": 0.8,
        "R": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "t_mm": [100, 200, 500],
        "alternatives": [{"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t_mm": [0, 0, 600], "confidence": 0.4}],
        "time_s": 0.3,
    }


def test_round_trip(tmp_path):
    written = [label(0, 1, 2), label(1, 2, 3, 4, "ambiguous")]
    write_certificates(tmp_path / "c.jsonl", written)
    read = list(read_certificates(tmp_path / "c.jsonl"))
    assert [r.key for r in read] == [w.key for w in written]
    np.testing.assert_allclose(read[0].T_cam_obj, written[0].T_cam_obj)
    assert math.isnan(read[0].certificate.margin)
    assert read[1].certificate.colour == 0.8
    np.testing.assert_allclose(read[1].certificate.alternatives[0].T_cam_obj[:3, 3], [0, 0, 0.6])


def test_pose_without_certificate_and_without_pose():
    key = InstanceKey("test", 1, 2, 3, 4)
    assert pose_row(PoseEstimate(key, np.eye(4), 0.5)) == KEY | {
        "confidence": 0.5,
        "R": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "t_mm": [0, 0, 0],
    }
    with pytest.raises(ValueError, match="no pose: 7 points"):
        pose_row(PoseEstimate(key, np.full((4, 4), np.nan), 0.0, valid=False, reason="7 points"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "perfect"}, "'perfect' is none of certified, ambiguous, rejected"),
        ({"R": [1, 2]}, "cannot reshape"),
        ({"inst_id": None}, "expected the key"),
    ],
)
def test_broken_lines_are_named(tmp_path, change, reason):
    path = tmp_path / "c.jsonl"
    write_certificates(path, [label(1, 2, 3, 4)])
    with path.open("a") as file:
        file.write(json.dumps(json.loads(path.read_text()) | change) + "\n")
    with pytest.raises(DataError, match=f"line 2: .*{reason}"):
        list(read_certificates(path))
    path.write_text("{\n")
    with pytest.raises(DataError, match="line 1: broken JSON"):
        list(read_certificates(path))


@pytest.mark.parametrize("verdict", [{"review": "accept"}, {"status": "accept"}, {"accept": True}])
def test_review_overrides_the_status(tmp_path, verdict):
    path = tmp_path / "review.jsonl"
    path.write_text(
        json.dumps(KEY | {"reject": False}).replace('"reject": false', '"x": 1, "note": "reject"') + "\n"
    )
    path.write_text(path.read_text() + "\n" + json.dumps(KEY | verdict) + "\n")
    review = read_review(path)
    assert review == {InstanceKey("test", 1, 2, 3, 4): "accept"}
    changed = reviewed(label(1, 2, 3, 4, "rejected"), review)
    assert (changed.certificate.status, changed.certificate.reason) == ("certified", "review: accept")
    untouched = label(1, 2, 3, 5, "rejected")
    assert reviewed(untouched, review) is untouched


def test_review_without_a_single_verdict(tmp_path):
    path = tmp_path / "review.jsonl"
    assert read_review(path) == {}
    for row in (KEY, KEY | {"a": "accept", "b": "reject"}):
        path.write_text(json.dumps(row))
        with pytest.raises(DataError, match="line 1: expected one verdict"):
            read_review(path)
