"""The list of a run's instances: everything that the run and the evaluation know, once."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pose_rows import make_truths

from runs.written import write_certificates, write_predictions
from selfpose6d.evaluation.errors_file import instance_errors
from selfpose6d.evaluation.estimates import read_estimates
from selfpose6d.evaluation.score import score
from selfpose6d.reporting.galleries import RunPictures
from selfpose6d.reporting.instance_list import instance_list
from selfpose6d.reporting.instances import MOST_LISTED, Place, RunInstance, run_instances
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import Prediction
from selfpose6d.types import Alternative, Certificate, InstanceKey, LabeledPose, PoseEstimate

NAMES = {1: "mug"}
SKIPPED = PoseEstimate.none(InstanceKey("test", 0, 9, 1, 0), "empty mask of object 1")

AHEAD = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0.5], [0, 0, 0, 1]])
"""Half a metre before the camera: poses at its centre would be in another unit."""


def label(im_id: int, status, confidence: float, reason: str = "", **fields) -> LabeledPose:
    certificate = Certificate(status, reason, confidence, 0.1, 0.001, 0.9, 0.0, 0.5, **fields)
    return LabeledPose(InstanceKey("test", 0, im_id, 1, 0), AHEAD.copy(), confidence, certificate=certificate)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    other = AHEAD.copy()
    other[0, 3] = 0.01
    alternatives = (Alternative(AHEAD.copy(), 0.6), Alternative(other, 0.4))
    labels = [
        label(1, "certified", 0.9),
        label(2, "certified", 0.8),
        label(3, "rejected", 0.3, "no model for object 1"),
        label(4, "ambiguous", 0.5, "two poses", alternatives=alternatives),
    ]
    files = RunFiles(tmp_path)
    write_certificates(files.certificates, labels)
    rows = [Prediction(0, one.key.im_id, 1, one.confidence, one.T_cam_obj) for one in labels]
    write_predictions(files.predictions, rows)
    return tmp_path


def test_doubtful_ones_come_first(run):
    found = run_instances(run, read_estimates(run)[0], [SKIPPED], None, NAMES)
    assert [(one.status, one.place.im_id) for one in found] == [
        ("ambiguous", 4),
        ("rejected", 3),
        ("skipped", 9),
        ("certified", 2),
        ("certified", 1),
    ]
    assert [other.confidence for other in found[0].alternatives] == [0.6, 0.4]
    assert {one.name for one in found} == {"mug (1)"}
    assert found[1].reason == "no model for mug (1)"
    assert found[2].reason == "empty mask of mug (1)"


def test_targets_without_an_estimate_are_missed_once(run, points_m):
    estimates, _ = read_estimates(run)
    truths = make_truths([(0, im, 1, 0.0, True) for im in (1, 2, 3, 4, 7, 9)])
    errors = instance_errors(score(estimates, truths, points_m, set()), "test", NAMES)
    errors = replace(errors, inst_id=np.zeros(len(errors), np.int64))
    found = run_instances(run, estimates, [SKIPPED], errors, NAMES)
    by_status = {status: [one for one in found if one.status == status] for status in ("missed", "skipped")}
    assert [one.place.im_id for one in by_status["missed"]] == [7]
    assert [one.place.im_id for one in by_status["skipped"]] == [9]
    assert all(np.isfinite(one.add_or_adds_m) for one in found if one.T_cam_obj is not None)


def test_a_verdict_stands_beside_what_it_made(run):
    key = InstanceKey("test", 0, 4, 1, 0)._asdict()
    RunFiles(run).review.write_text(json.dumps({**key, "verdict": "alternative", "alternative": 1}) + "\n")
    found = run_instances(run, read_estimates(run)[0], [], None, NAMES)
    (reviewed,) = [one for one in found if one.verdict]
    assert (reviewed.status, reviewed.verdict) == ("certified", "alternative 1")
    assert reviewed.reason == "was ambiguous: two poses"
    assert reviewed.alternatives == ()
    assert reviewed.T_cam_obj[0, 3] == pytest.approx(0.01)


def test_a_list_that_is_cut_says_so():
    instances = [RunInstance(Place(0, i, 1, 0), "mug (1)", "certified", "") for i in range(MOST_LISTED + 5)]
    shown = instance_list(instances, RunPictures())
    assert len(shown.lines) == MOST_LISTED
    assert shown.note.startswith(f"The {MOST_LISTED} most doubtful of {MOST_LISTED + 5} instances")
    assert instance_list([], RunPictures()) is None
