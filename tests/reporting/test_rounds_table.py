"""Rounds as a table and as lines."""

from dataclasses import replace
from io import StringIO

from rich.console import Console

from selfpose6d.reporting.rounds_table import HEADINGS, round_line, rounds_table
from selfpose6d.reporting.tables import to_rich
from selfpose6d.training.round_folder import Round

FIRST = Round(0, 40, 30, 0.75, 30, 0, 2.34, "rounds/0/labels", "abcdef0123456789", None, "rounds/0/model")
SECOND = replace(FIRST, round=1, certified=36, certified_share=0.9, newly_certified=6, from_hypotheses=2)


def test_a_row_a_round():
    table = rounds_table([replace(FIRST, train_min=1.26, steps=50, validation=0.1), SECOND])
    names = [heading.replace("\n", " ").strip() for heading in HEADINGS]
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    assert rows[0]["cert. %"] == "75.0"
    assert (rows[0]["label min"], rows[0]["train min"], rows[0]["steps"]) == ("2.3", "1.3", "50")
    assert (rows[1]["train min"], rows[1]["steps"]) == ("-", "-")
    assert (rows[1]["cert."], rows[1]["new"], rows[1]["by hyp."]) == ("36", "6", "2")
    assert table.total_rows == 0


def test_it_fits_a_terminal_of_80_characters():
    console = Console(width=80, record=True, file=StringIO())
    console.print(to_rich(rounds_table([FIRST, SECOND]), "Rounds", 80))
    text = console.export_text()
    assert "abcdef0123456789" in text
    assert "…" not in text


def test_a_line_says_what_is_new():
    assert round_line(SECOND) == (
        "round 1: 36 of 40 instances certified (6 new, 2 by hypotheses), labels rounds/0/labels, model rounds/0/model"
    )
