"""The table shows the statistics that results.json holds."""

import io
from dataclasses import replace

import pytest
from pose_rows import make_estimates, make_truths
from rich.console import Console

from selfpose6d.evaluation.results import Results, summarise
from selfpose6d.evaluation.score import score
from selfpose6d.reporting.tables import TextTable, comparison_table, scores_by_object, to_rich


@pytest.fixture
def results(points_m) -> Results:
    truths = make_truths([(0, 1, 1, 0.0, True), (0, 2, 1, 0.0, True), (0, 1, 2, 0.0, True)])
    rows = [(0, 1, 1, 0.9, 0.01, "certified"), (0, 1, 2, 0.2, 0.03, "rejected")]
    return summarise(score(make_estimates(rows), truths, points_m, {2}), (2,), "vertices", {}, True)


def printed(table: TextTable, width: int) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(to_rich(table, "title", width))
    return console.file.getvalue()


def test_rows_by_hand(results):
    table = scores_by_object(results, {1: "line"})
    rows = {row[0]: row[1:] for row in table.rows}
    # Object 1: 1 cm and a miss. Object 2 (symmetric): 3 cm.
    assert rows["line (1)"] == (
        "2",
        "45.00",
        "45.00",
        "45.00",
        "50.0",
        "50.0",
        "50.0",
        "50.0",
        "1",
        "50.0",
        "100.0",
        "100.0",
    )
    assert rows["object 2"] == (
        "1",
        "70.00",
        "70.00",
        "70.00",
        "0.0",
        "0.0",
        "0.0",
        "0.0",
        "0",
        "0.0",
        "-",
        "-",
    )
    assert rows["pooled"][:4] == ("3", "53.33", "53.33", "53.33")
    assert rows["mean"][:4] == ("", "57.50", "57.50", "57.50")
    assert table.total_rows == 2
    assert "vertices" in table.note
    assert "for: object 2" in table.note


def test_a_run_without_certificates_has_no_share_of_them(points_m):
    scores = score(
        make_estimates([(0, 1, 1, 0.9, 0.01, "")]), make_truths([(0, 1, 1, 0.0, True)]), points_m, set()
    )
    results = summarise(scores, (), "vertices", {}, False)
    assert [row[-4:] for row in scores_by_object(results, {}).rows[:2]] == [("0", "-", "-", "-")] * 2
    assert comparison_table({"only": results}, {}).rows[0][-4:] == ("0", "-", "-", "-")


def test_toolbox_columns_on_request(results):
    assert not any("toolbox" in heading for heading in scores_by_object(results, {}).headings)
    table = scores_by_object(results, {}, toolbox=True)
    column = table.headings.index("ADD-S\ntoolbox")
    assert table.rows[0][column] == f"{results.objects[1].adds_auc_toolbox:.2f}"


def test_all_metrics_below_a_tenth_on_request(results):
    assert [h for h in scores_by_object(results, {}).headings if "<10%d" in h] == [
        "ADD(-S)\n<10%d",
        "cert.\n<10%d",
    ]
    wide = scores_by_object(results, {}, wide=True)
    column = wide.headings.index("ADD\n<10%d")
    # 1 cm on a line of 20 cm, 3 cm on a square of 10 cm.
    assert [row[column] for row in wide.rows[:2]] == ["50.0", "0.0"]


def test_the_whole_table_fits_110_columns(results):
    table = scores_by_object(results, {1: "052_extra_large_clamp"})
    assert "052_extra_large_clamp (1)" in printed(table, 110)
    assert max(map(len, printed(table, 110).splitlines())) <= 110


def test_the_note_says_by_what_certified_poses_are_right(results):
    assert "right by ADD(-S)." in scores_by_object(results, {}).note
    note = scores_by_object(replace(results, right="least-add"), {}).note
    assert "right by least ADD over the written symmetries." in note


def test_every_row_fits_the_headings(results):
    for table in (
        scores_by_object(results, {}, True),
        comparison_table({"a": results, "b": results}, {}, True),
    ):
        assert {len(row) for row in table.rows} == {len(table.headings)}


def test_runs_side_by_side(results):
    table = comparison_table({"first": results, "second": results}, {})
    assert [row[0] for row in table.rows] == [
        "first (pooled)",
        "first (mean)",
        "second (pooled)",
        "second (mean)",
    ]
    assert table.rows[0][2] == "53.33"


def test_a_narrow_terminal_shortens_names_and_keeps_the_figures(results):
    table = scores_by_object(results, {1: "a_very_long_name_of_an_object"})
    wide, narrow = printed(table, 160), printed(table, 80)
    assert "a_very_long_name_of_an_object" in wide
    assert "a_very_long_name_of_an_object" not in narrow
    assert max(map(len, narrow.splitlines())) <= 80
    for row in table.rows:
        for cell in row[1:]:
            assert cell in narrow
