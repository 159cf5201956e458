"""Statuses and reasons of a run, without true poses."""

import numpy as np
import pytest
from pose_rows import make_estimates

from runs.written import write_predictions
from selfpose6d.errors import DataError
from selfpose6d.reporting.run_summary import print_estimates, read_run_skipped, reason_table, status_table
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import to_line
from selfpose6d.runs.predictions import Prediction
from selfpose6d.types import InstanceKey, PoseEstimate

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
    assert rows[0] == ("1 mug", "4", "1", "1", "1", "1", "0.40")
    assert rows[1] == ("2", "1", "0", "0", "1", "0", "0.20")
    assert rows[2] == ("3", "1", "0", "0", "0", "1", "-")
    assert rows[3] == ("all", "6", "1", "1", "2", "2", "0.35")


def test_alike_reasons_are_counted_together():
    estimates = make_estimates(ROWS)
    estimates.reason[:] = ["fine", "margin 0.01", "margin 0.02 at -3", "coverage 0.3"]
    rows = reason_table(estimates, SKIPPED).rows
    assert rows[0] == ("# of # pixels have depth", "skipped", "2")
    assert set(rows[1:]) == {
        ("margin #", "ambiguous", "1"),
        ("margin # at #", "rejected", "1"),
        ("coverage #", "rejected", "1"),
    }


def test_numbers_inside_names_stay():
    estimates = make_estimates(ROWS[2:3])
    estimates.reason[:] = np.array(["view_2 is nearer than obj_000014"], dtype=object)
    assert reason_table(estimates, []).rows[0][0] == "view_2 is nearer than obj_000014"


def test_skipped_file_is_optional(tmp_path):
    assert read_run_skipped(RunFiles(tmp_path)) == []
    row = {**SKIPPED[0].key._asdict(), "reason": SKIPPED[0].reason}
    (tmp_path / "skipped.jsonl").write_text(to_line(row))
    (skipped,) = read_run_skipped(RunFiles(tmp_path))
    assert (skipped.key, skipped.reason) == (SKIPPED[0].key, SKIPPED[0].reason)


def test_estimates_are_counted(tmp_path, capsys):
    run = RunFiles(tmp_path)
    write_predictions(run.predictions, [Prediction(0, i, 1, 0.5, np.eye(4)) for i in range(3)])
    print_estimates(run, tmp_path, {"network": 0.3}, 3)
    assert capsys.readouterr().out == (
        f"{tmp_path}: 3 poses, 0 instances skipped (skipped.jsonl says why)\nms an instance: network 100.0\n"
    )
    write_predictions(run.predictions, [])
    with pytest.raises(DataError, match="no instance of"):
        print_estimates(run, tmp_path, {}, 0)
