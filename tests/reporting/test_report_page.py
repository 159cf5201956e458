"""The page as text: what is given stands on it, escaped, and nothing is fetched from elsewhere."""

import base64
import hashlib
import re
from pathlib import Path

from selfpose6d.reporting.page import (
    Chart,
    Gallery,
    InstanceLine,
    InstanceList,
    LegendEntry,
    Panel,
    Picture,
    PictureGroup,
    Report,
    Statistic,
    StatusCount,
    render_report,
    write_report,
)
from selfpose6d.reporting.tables import TextTable
from selfpose6d.viz.plots import CurveStyle

TABLE = TextTable(("\nobject", "ADD\nAUC"), (("1 <mug>", "90.00"), ("pooled", "91.00")), 1, "a note & more")
HOSTILE = "<script>alert(1)</script>"


def full_report() -> Report:
    picture = Picture(b"\xff\xd8jpeg", "image/jpeg", 4, 3, "too <close>")
    group = PictureGroup([picture], "mug (1)", ("scene 0", "why"), "rejected", "instance-0", 1)
    line = InstanceLine(
        "mug (1)", 1, "rejected", "reject", "0.20", "12.0", "0 / 1 / 2", "too close", 0, picture, "instance-0"
    )
    legend = [LegendEntry("one & two", CurveStyle("#123456", "dashed"))]
    return Report(
        "my run",
        "annotate on here",
        {"data set": "here"},
        {"seed": "7"},
        (StatusCount("rejected", 1),),
        (Statistic("91.0", "ADD AUC"),),
        (Gallery("Worst", "first the worst", (group,)),),
        InstanceList([line], ["rejected"], {1: "mug (1)"}, ["too close"], True, "All 1 instances."),
        (("Scores", TABLE),),
        (Chart("Accuracy", [Panel("ADD", "<svg><text>curve</text></svg>")], "dotted", legend),),
        ("a remark",),
        ("not scored",),
    )


def test_everything_stands_on_the_page():
    page = render_report(full_report())
    for text in (
        "my run",
        "annotate on here",
        "here",
        "seed",
        "91.0",
        "Scores",
        "90.00",
        "Accuracy",
        "dotted",
    ):
        assert text in page
    for text in (
        "Worst",
        "first the worst",
        "a remark",
        "not scored",
        "All 1 instances.",
        "12.0",
        "(review: reject)",
        "#123456",
    ):
        assert text in page
    assert "ADD<br>AUC" in page
    assert '<tr class="total first"><td>pooled</td>' in page
    assert 'class="group rejected" id="instance-0"' in page
    assert page.count(base64.b64encode(b"\xff\xd8jpeg").decode()) == 2


def test_text_is_escaped_and_drawings_are_not():
    page = render_report(full_report())
    assert "1 &lt;mug&gt;" in page
    assert "too &lt;close&gt;" in page
    assert "a note &amp; more" in page
    assert "one &amp; two" in page
    assert "<svg><text>curve</text></svg>" in page


def test_hostile_names_are_text():
    picture = Picture(b"x", "image/webp", 1, 1, HOSTILE)
    line = InstanceLine(HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0, picture, HOSTILE)
    group = PictureGroup([picture], HOSTILE, (HOSTILE,), HOSTILE, HOSTILE, 1)
    legend = [LegendEntry(HOSTILE, CurveStyle("#123456", "solid"))]
    report = Report(
        HOSTILE,
        HOSTILE,
        {HOSTILE: HOSTILE},
        {HOSTILE: HOSTILE},
        (StatusCount(HOSTILE, 1),),
        (Statistic(HOSTILE, HOSTILE),),
        (Gallery(HOSTILE, HOSTILE, (group,)),),
        InstanceList([line], [HOSTILE, "b"], {1: HOSTILE}, [HOSTILE], True, HOSTILE),
        ((HOSTILE, TextTable((HOSTILE,), ((HOSTILE,),), 0, HOSTILE)),),
        (Chart(HOSTILE, [Panel(HOSTILE, "<svg></svg>")], HOSTILE, legend),),
        (HOSTILE,),
        (HOSTILE,),
    )
    page = render_report(report)
    assert page.count("<script>") == 1  # the page's own
    assert "alert(1)</" not in page.replace("&lt;", "<").split("<script>")[-1]


def test_only_the_pages_own_script_may_run():
    page = render_report(full_report())
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


def test_the_page_does_not_say_where_folders_lie(tmp_path):
    root = tmp_path / "data set"
    report = Report(
        "run",
        metadata={"keep": f"{root}/test/1.png", "other": "/home/somebody/place/file.json: broken"},
        notes=(f"Not scored: {root} is gone", "a 1/2 (x / y) fraction"),
        folders=(root,),
    )
    page = render_report(report)
    assert str(tmp_path) not in page
    assert "data set/test/1.png" in page
    assert "somebody" not in page
    assert "file.json: broken" in page
    assert "Not scored: data set is gone" in page
    assert "a 1/2 (x / y) fraction" in page


def test_empty_parts_are_left_out():
    page = render_report(Report("my run"))
    assert "Curves" not in page
    assert "<table" not in page
    assert "Outlines" not in page
    assert "About" not in page


def test_page_replaces_the_old_one_whole(tmp_path: Path):
    path = tmp_path / "report.html"
    path.write_text("old")
    write_report(full_report(), path)
    assert path.read_text().startswith("<!doctype html>")
    assert list(tmp_path.iterdir()) == [path]
