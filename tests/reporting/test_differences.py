"""What the table of a comparison says, and when there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pose_rows import make_estimates, make_truths

from selfpose6d.datasets.options import DataOptions
from selfpose6d.evaluation.compare import Comparison, Difference, compare
from selfpose6d.evaluation.errors_file import instance_errors
from selfpose6d.evaluation.evaluate import Evaluation
from selfpose6d.evaluation.results import summarise
from selfpose6d.evaluation.score import score
from selfpose6d.reporting.differences import compared, difference_table, difference_title

FOUND = Comparison(
    run="B",
    baseline="A",
    instances=40,
    block="image",
    num_blocks=20,
    resamples=2000,
    seed=3,
    differences={
        "add_auc": Difference(1.5, 0.25, 2.75, True),
        "adds_below_2cm": Difference(-0.125, -0.3, 0.05, False),
    },
)


def evaluation(points_m, x_m: float) -> Evaluation:
    rows = [(0, im, 1, 0.9, x_m, "") for im in range(8)]
    truths = make_truths([(0, im, 1, 0.0, True) for im in range(8)])
    scores = score(make_estimates(rows), truths, points_m, set())
    return Evaluation(summarise(scores, (), "vertices", {}, False), instance_errors(scores, "test", {}))


def test_fractions_are_shown_in_percent():
    table = difference_table(FOUND)
    assert table.rows == (
        ("ADD AUC", "+1.50", "+0.25", "+2.75", "no"),
        ("ADD-S <2cm %", "-12.50", "-30.00", "+5.00", "yes"),
    )
    assert "whole images (20)" in table.note
    assert "seed 3" in table.note
    assert difference_title(FOUND) == "B - A"


def test_no_verdict_of_few_blocks_and_no_interval_of_one():
    one = replace(FOUND, num_blocks=1, differences={"add_auc": Difference(1.5, np.nan, np.nan, False)})
    assert difference_table(one).rows == (("ADD AUC", "+1.50", "-", "-", "not known (fewer than 6)"),)


def test_every_other_run_is_compared_with_the_first(points_m, tmp_path):
    runs = {
        "first": evaluation(points_m, 0.0),
        "off": evaluation(points_m, 0.01),
        "far": evaluation(points_m, 0.03),
    }
    tables, notes = compared([tmp_path] * 3, DataOptions(tmp_path), runs)
    assert notes == []
    assert [title for title, _ in tables] == ["off - first", "far - first"]
    assert [table.rows[1][:2] for _, table in tables] == [("ADD AUC", "-10.00"), ("ADD AUC", "-30.00")]
    assert tables[0][1] == difference_table(
        compare(runs["first"].errors, runs["off"].errors, ("first", "off"))
    )


def test_other_instances_are_a_note(points_m, tmp_path):
    first, second = evaluation(points_m, 0.0), evaluation(points_m, 0.01)
    fewer = replace(second, errors=second.errors.take(np.arange(5)))
    tables, notes = compared([tmp_path] * 2, DataOptions(tmp_path), {"first": first, "second": fewer})
    assert tables == []
    assert len(notes) == 1
    assert notes[0].startswith("Not compared: first and second were scored on different instances")


def test_one_run_has_nothing_to_be_compared_with(points_m):
    assert compared([Path("run")], DataOptions(Path("data")), {"run": evaluation(points_m, 0.0)}) == ([], [])
