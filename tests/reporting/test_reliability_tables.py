"""What stated confidence and certificates are worth, as it is printed."""

import io

import pytest
from pose_rows import make_estimates, make_truths
from rich.console import Console

from selfpose6d.evaluation.claims import check_claims
from selfpose6d.evaluation.instances import Claim
from selfpose6d.evaluation.results import Results, summarise
from selfpose6d.evaluation.score import score
from selfpose6d.reporting.reliability_tables import claim_lines, claim_text, reliability_table
from selfpose6d.reporting.tables import to_rich

CLAIM = Claim(0.01, 0.0085, "a1b2")


@pytest.fixture
def results(points_m) -> Results:
    """Two lines right, one 1.5 cm off square: right by 2 cm, wrong by a tenth of its 10 cm; one target is missed."""
    rows = [
        (0, 1, 1, 0.95, 0.0, "certified"),
        (0, 2, 1, 0.35, 0.0, "ambiguous"),
        (0, 1, 2, 0.85, 0.015, "certified"),
    ]
    truths = make_truths(
        [(0, 1, 1, 0.0, True), (0, 2, 1, 0.0, True), (0, 1, 2, 0.0, True), (0, 2, 2, 0.0, True)],
        ["exact", "exact", "shifted", "shifted"],
    )
    estimates = make_estimates(rows, ["exact", "exact", "box"], CLAIM)
    scores = score(estimates, truths, points_m, set())
    return summarise(scores, (), "vertices", {}, True, claims=check_claims(scores))


def test_rows_by_hand(results):
    rows = {row[0]: row[1:] for row in reliability_table(results).rows}
    assert list(rows) == ["all", "mask box", "mask exact", "made exact", "made shifted", "ambiguous"]
    n, near, tenth, _, _, certified, certified_near, certified_tenth = rows["all"]
    assert (n, certified) == ("3", "2")
    assert (near, tenth) == ("100.0 [29.2 100.0]", "66.7 [9.4 99.2]")
    assert (certified_near, certified_tenth) == ("100.0 [15.8 100.0]", "50.0 [1.3 98.7]")
    # The box: stated 0.85, right by 2 cm, wrong by a tenth.
    assert rows["mask box"][3:5] == ("0.150", "0.850")
    assert rows["ambiguous"][0] == "1"
    assert len({len(row) for row in rows.values()}) == 1


def test_coverage_is_of_all_targets(results):
    # Three estimates of four targets: two of them are half, nine tenths are not reached.
    note = reliability_table(results).note
    assert "coverage of all targets" in note
    assert "50 %: 100.0/50.0" in note
    assert "90 %: -/-" in note


def test_the_claim_stands_beside_what_was_measured(results):
    assert claim_lines(results) == [
        "claim: certified at risk 0.01, with 95 % confidence at most 0.85 % wrong (calibration a1b2)",
        "  < 2 cm: 0 of 2 certified wrong, 0.0 % [0.0 84.2]: not contradicted",
        "  < 10 % of the diameter: 1 of 2 certified wrong, 50.0 % [1.3 98.7]: contradicted",
    ]


def test_a_claim_may_be_without_bound():
    assert (
        claim_text(Claim(0.05, float("nan"), ""))
        == "certified at risk 0.05, no bound known (calibration not said)"
    )


def test_without_certificates_nothing_is_claimed(points_m):
    truths = make_truths([(0, 1, 1, 0.0, True)])
    results = summarise(score(make_estimates([]), truths, points_m, set()), (), "vertices", {}, False)
    assert claim_lines(results) == []
    assert reliability_table(results).rows == (("all", "0", "-", "-", "-", "-", "0", "-", "-"),)


def test_it_fits_110_columns(results):
    console = Console(width=110, file=io.StringIO())
    table = reliability_table(results)
    console.print(to_rich(table, "reliability", 110))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 110
    for row in table.rows:
        assert any(all(cell in line for cell in row) for line in lines)
