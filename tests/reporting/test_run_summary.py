"""Statuses and reasons of a run, without true poses."""

import numpy as np
import pytest
from pose_rows import make_estimates

from runs.written import write_certificates, write_predictions
from selfpose6d.errors import DataError
from selfpose6d.reporting.run_summary import (
    print_estimates,
    print_summary,
    read_run_skipped,
    reason_table,
    status_table,
)
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import Prediction
from selfpose6d.types import Certificate, InstanceKey, LabeledPose, PoseEstimate

ROWS = [
    (0, 1, 1, 0.9, 0.0, "certified"),
    (0, 2, 1, 0.4, 0.0, "ambiguous"),
    (0, 3, 1, 0.3, 0.0, "rejected"),
    (0, 1, 2, 0.2, 0.0, "rejected"),
]
SKIPPED = [
    PoseEstimate.none(InstanceKey("test", 0, 4, 1, 0), "12 of 50 pixels have depth"),
    PoseEstimate.none(InstanceKey("test", 0, 4, 3, 1), "7 of 50 pixels have depth"),
]


def test_statuses_by_object():
    rows = status_table(make_estimates(ROWS), SKIPPED, {1: "mug"}).rows
    assert rows[0] == ("mug (1)", "4", "1", "1", "1", "1", "0.40")
    assert rows[1] == ("object 2", "1", "0", "0", "1", "0", "0.20")
    assert rows[2] == ("object 3", "1", "0", "0", "0", "1", "-")
    assert rows[3] == ("all", "6", "1", "1", "2", "2", "0.35")


def test_alike_reasons_are_counted_together():
    estimates = make_estimates(ROWS)
    estimates.reason[:] = ["fine", "margin 0.01", "margin 0.02 at -3", "coverage 0.3"]
    rows = reason_table(estimates, SKIPPED, {}).rows
    assert rows[0] == ("7 to 12 of 50 pixels have depth", "skipped", "2")
    assert set(rows[1:]) == {
        ("margin 0.01", "ambiguous", "1"),
        ("margin 0.02 at -3", "rejected", "1"),
        ("coverage 0.3", "rejected", "1"),
    }


def test_numbers_inside_names_stay():
    estimates = make_estimates(ROWS[2:3])
    estimates.reason[:] = np.array(["view_2 is nearer than obj_000014"], dtype=object)
    assert reason_table(estimates, [], {}).rows[0][0] == "view_2 is nearer than obj_000014"


def test_skipped_file_is_optional(tmp_path):
    assert read_run_skipped(RunFiles(tmp_path)) == []
    row = {**SKIPPED[0].key._asdict(), "reason": SKIPPED[0].reason}
    (tmp_path / "skipped.jsonl").write_text(to_line(row))
    (skipped,) = read_run_skipped(RunFiles(tmp_path))
    assert (skipped.key, skipped.reason) == (SKIPPED[0].key, SKIPPED[0].reason)


def test_estimates_are_counted(tmp_path, capsys):
    run = RunFiles(tmp_path)
    write_predictions(run.predictions, [Prediction(0, i, 1, 0.5, np.eye(4)) for i in range(3)])
    print_estimates(run, tmp_path, {"network": 0.3}, 3, {})
    assert capsys.readouterr().out == (
        f"{tmp_path}: 3 poses, 0 instances skipped (skipped.jsonl says why)\nms an instance: network 100.0\n"
    )
    write_predictions(run.predictions, [])
    with pytest.raises(DataError, match="no instance of"):
        print_estimates(run, tmp_path, {}, 0, {})


def summary(tmp_path, capsys, labels, skipped=()) -> list[str]:
    run = RunFiles(tmp_path)
    write_certificates(run.certificates, labels)
    rows = (to_line({**pose.key._asdict(), "reason": pose.reason}) for pose in skipped)
    run.skipped.write_text("".join(rows))
    print_summary(run, {9: "mug"})
    return capsys.readouterr().out.splitlines()


def certified(im_id: int, **fields) -> LabeledPose:
    certificate = Certificate("certified", "", 0.9, 0.1, 0.001, 0.9, 0.0, 0.5, **fields)
    return LabeledPose(InstanceKey("test", 0, im_id, 1, 0), np.eye(4), 0.9, certificate=certificate)


def test_the_summary_says_what_the_certificates_promise(tmp_path, capsys):
    claim = {"risk": 0.01, "bound": 0.0085, "calibration": "a1b2"}
    labels = [certified(i, mask_quality=kind, **claim) for i, kind in enumerate(("box", "exact", "box"))]
    lines = summary(tmp_path, capsys, labels)
    assert lines[0] == "3 instances: 3 certified, 0 ambiguous, 0 rejected, 0 skipped"
    assert lines[1] == "masks: 1 exact, 2 box"
    assert lines[2] == "certified at risk 0.01, with 95 % confidence at most 0.85 % wrong (calibration a1b2)"


def test_an_older_runs_summary_promises_nothing(tmp_path, capsys):
    lines = summary(tmp_path, capsys, [certified(1)])
    assert not [line for line in lines if "masks" in line or "risk" in line]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            "/data/12-dets.json: detection 0: 160x120 pixels, expected others. Export it",
            "160x120 pixels, expected",
        ),
        ("dets.json: detection 3: no segmentation and no bbox. Use", "no segmentation and no bbox"),
        ("observed points do not fit: rms 12 mm", "observed points do not fit"),
        ("no model for object 9 in /data/models: found ids 1", "no model for mug (9) in /data/models"),
    ],
)
def test_reasons_are_counted_without_the_file_that_they_name(tmp_path, capsys, reason, kind):
    lines = summary(tmp_path, capsys, [], [PoseEstimate.none(InstanceKey("test", 0, 4, 1, 0), reason)])
    assert lines[1].strip().startswith(f"1  {kind}")
