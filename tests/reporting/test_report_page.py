"""The page as text: what is given stands on it, escaped, and nothing is fetched from elsewhere."""

import base64

from selfpose6d.reporting.page import Chart, Gallery, Picture, Report, Statistic, render_report, write_report
from selfpose6d.reporting.tables import TextTable

TABLE = TextTable(("\nobject", "ADD\nAUC"), (("1 <mug>", "90.00"), ("pooled", "91.00")), 1, "a note & more")


def full_report() -> Report:
    picture = Picture(b"\xff\xd8jpeg", "image/jpeg", ("scene 0", "too <close>"), "rejected")
    return Report(
        "my run",
        {"data set": "here"},
        (Statistic("91.0", "ADD AUC"),),
        (("Scores", TABLE),),
        (Chart("Accuracy", "<svg><text>curve</text></svg>", "dotted"),),
        (Gallery("Worst", "first the worst", (picture,)),),
        ("a remark",),
    )


def test_everything_stands_on_the_page():
    page = render_report(full_report())
    for text in ("my run", "here", "91.0", "Scores", "90.00", "Accuracy", "dotted", "Worst", "a remark"):
        assert text in page
    assert "ADD<br>AUC" in page
    assert '<tr class="total first"><td>pooled</td>' in page
    assert 'class="picture rejected"' in page
    assert base64.b64encode(b"\xff\xd8jpeg").decode() in page


def test_text_is_escaped_and_drawings_are_not():
    page = render_report(full_report())
    assert "1 &lt;mug&gt;" in page
    assert "too &lt;close&gt;" in page
    assert "a note &amp; more" in page
    assert "<svg><text>curve</text></svg>" in page


def test_empty_parts_are_left_out():
    page = render_report(Report("my run", {}))
    assert "Curves" not in page
    assert "<table>" not in page
    assert "Outlines" not in page


def test_page_replaces_the_old_one_whole(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(full_report(), path)
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
