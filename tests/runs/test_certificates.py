import json
import math
from dataclasses import replace

import numpy as np
import pytest
from labels import label
from written import write_certificates

from selfpose6d.errors import DataError
from selfpose6d.runs.certificates import (
    pose_row,
    read_certificates,
)
from selfpose6d.types import Certificate, InstanceKey, PoseEstimate

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
        "inlier_ratio": 0.95,
        "noise_m": 0.0015,
        "coverage": 0.9,
        "free_space": 0.01,
        "colour": 0.8,
        "score": 2.5,
        "risk": 0.01,
        "bound": 0.008,
        "calibration": "a1b2",
        "mask_quality": "rough",
        "R": [1, 0, 0, 0, 1, 0, 0, 0, 1],
        "t_mm": [100, 200, 500],
        "alternatives": [
            {"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t_mm": [100, 200, 500], "confidence": 0.6},
            {"R": [1, 0, 0, 0, 1, 0, 0, 0, 1], "t_mm": [0, 0, 600], "confidence": 0.4},
        ],
        "time_s": 0.3,
    }


def test_the_source_of_a_verified_pose_is_written_and_read(tmp_path):
    of_annotate = label(0, 1, 2)
    written = [
        replace(of_annotate, certificate=replace(of_annotate.certificate, source=source))
        for source in ("hypotheses", "search", None)
    ]
    write_certificates(tmp_path / "c.jsonl", written)
    rows = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert [row.get("source", "absent") for row in rows] == ["hypotheses", "search", "absent"]
    assert [read.certificate.source for read in read_certificates(tmp_path / "c.jsonl")] == [
        "hypotheses",
        "search",
        None,
    ]
    (tmp_path / "c.jsonl").write_text(json.dumps(rows[0] | {"source": "guess"}))
    with pytest.raises(DataError, match=r"line 1: .*source 'guess' is none of hypotheses, search"):
        list(read_certificates(tmp_path / "c.jsonl"))


def test_round_trip(tmp_path):
    written = [label(0, 1, 2), label(1, 2, 3, 4, "ambiguous")]
    write_certificates(tmp_path / "c.jsonl", written)
    read = list(read_certificates(tmp_path / "c.jsonl"))
    assert [r.key for r in read] == [w.key for w in written]
    np.testing.assert_allclose(read[0].T_cam_obj, written[0].T_cam_obj)
    assert math.isnan(read[0].certificate.margin)
    for name in (
        "colour",
        "inlier_ratio",
        "noise_m",
        "score",
        "mask_quality",
        "risk",
        "bound",
        "calibration",
    ):
        assert getattr(read[1].certificate, name) == getattr(written[1].certificate, name)
    winner, other = read[1].certificate.alternatives
    np.testing.assert_allclose(winner.T_cam_obj, read[1].T_cam_obj)
    np.testing.assert_allclose(other.T_cam_obj[:3, 3], [0, 0, 0.6])
    assert winner.confidence + other.confidence == 1


def test_what_is_not_known_is_null_and_comes_back(tmp_path):
    unknown = label(1, 2, 3, 4)
    certificate = Certificate.not_verified("no rendering")
    write_certificates(tmp_path / "c.jsonl", [replace(unknown, certificate=certificate)])
    row = json.loads((tmp_path / "c.jsonl").read_text())
    new = ("inlier_ratio", "noise_m", "score", "risk", "bound", "calibration", "mask_quality")
    assert [row[name] for name in new] == [None] * 7
    (read,) = read_certificates(tmp_path / "c.jsonl")
    np.testing.assert_equal(vars(read.certificate), vars(certificate) | {"confidence": 0.75})


def test_lines_of_older_runs_are_read(tmp_path):
    new = ("inlier_ratio", "noise_m", "score", "risk", "bound", "calibration", "mask_quality")
    write_certificates(tmp_path / "c.jsonl", [label(1, 2, 3, 4)])
    row = json.loads((tmp_path / "c.jsonl").read_text())
    (tmp_path / "c.jsonl").write_text(json.dumps({k: v for k, v in row.items() if k not in new}) + "\n")
    (read,) = read_certificates(tmp_path / "c.jsonl")
    assert (read.certificate.rms_m, read.certificate.calibration) == (0.002, "")
    assert read.certificate.mask_quality is None
    assert math.isnan(read.certificate.risk)


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
        ({"R": [1, 2]}, "expected 9 numbers R and 3 of t, got 2 and 3"),
        ({"mask_quality": "fine"}, "'fine' is none of exact, rough, box"),
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
