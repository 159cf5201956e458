"""The page in a browser: sorted, filtered, zoomed, without script, and on a phone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from selfpose6d.reporting.page import (
    Chart,
    Gallery,
    InstanceLine,
    InstanceList,
    LegendEntry,
    Panel,
    PictureGroup,
    Report,
    Statistic,
    StatusCount,
    write_report,
)
from selfpose6d.reporting.pictures import encoded
from selfpose6d.reporting.tables import TextTable
from selfpose6d.viz.plots import Curve, accuracy_panel, curve_style

sync_api = pytest.importorskip("playwright.sync_api", reason="skipped: playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'>"
STATUSES = ("certified", "ambiguous", "rejected", "skipped")
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    if CHROMIUM is None:
        pytest.skip("skipped: no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    """A page of 40 instances with everything that a page has, and names that are markup."""
    image = np.full((240, 240, 3), 200, np.uint8)
    cv2.circle(image, (120, 120), 60, (255, 0, 0), 3)
    tile = encoded(image, "outline")
    lines = [_line(i, tile) for i in range(40)]
    groups = [
        PictureGroup([tile] * 5, line.name, ("scene 0", line.reason), line.status, line.anchor, line.obj_id)
        for line in lines[:6]
    ]
    wide = TextTable(tuple(f"metric {i}" for i in range(14)), (tuple("abcdefghijklmn"),) * 3, 1, "note")
    legend = [LegendEntry(name, curve_style(i)) for i, name in enumerate(("one", HOSTILE))]
    panels = [Panel(title, accuracy_panel([Curve([0, 1], [0, 1])] * 2)) for title in ("ADD", "ADD-S", "both")]
    report = Report(
        HOSTILE,
        "annotate on a-very-long-name-of-a-data-set-that-has-no-blank-in-it-and-goes-on-and-on, split test",
        {"data set": "here"},
        {"option": "x" * 200},
        [StatusCount(status, 10) for status in STATUSES],
        [Statistic("100.0 %", "of certified within 10 % of the diameter")] * 7,
        [Gallery("Ambiguous", "All 6.", groups, "rows"), Gallery("Frames", "1 of 9.", groups[:1], "frames")],
        InstanceList(lines, STATUSES, {1: "mug (1)", 2: HOSTILE}, ["too close", "no depth"], True, "All 40."),
        [("Scores", wide)],
        [Chart("Accuracy", panels, "note", legend)],
        ("a remark",),
    )
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_report(report, path)
    return path


def _line(i: int, tile) -> InstanceLine:
    status, obj_id = STATUSES[i % 4], 1 + i % 2
    reason = ("too close", "no depth")[i % 2]
    return InstanceLine(
        "mug (1)" if obj_id == 1 else HOSTILE,
        obj_id,
        status,
        "accept" if i == 0 else "",
        f"{i / 40:.2f}",
        "" if i == 7 else f"{(i * 7 % 40) * 2.5:.1f}",
        f"0 / {i} / 0",
        reason,
        i % 2,
        tile if i < 20 else None,
        f"instance-{i}" if i < 6 else "",
    )


@pytest.fixture
def page(browser, page_file) -> Iterator:
    page = browser.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(page_file.as_uri())
    yield page
    assert page.errors == []
    page.close()


def column(page, index: int) -> list[str]:
    """The texts of a column of the list, as shown."""
    cells = page.locator(f".instances tbody tr:visible td:nth-child({index})")
    return [text.strip() for text in cells.all_text_contents()]


def test_names_run_nowhere(page):
    assert page.evaluate("window.ran") is None
    assert page.title() == HOSTILE
    assert page.locator("h1").text_content() == HOSTILE


def test_columns_are_sorted_by_number_both_ways(page):
    page.get_by_role("button", name="ADD(-S) mm").click()
    found = [float(text) for text in column(page, 5) if text]
    assert found == sorted(found)
    assert column(page, 5)[-1] == ""  # what is not known comes last
    page.get_by_role("button", name="ADD(-S) mm").click()
    found = [float(text) for text in column(page, 5) if text]
    assert found == sorted(found, reverse=True)
    assert column(page, 5)[-1] == ""
    page.get_by_role("button", name="scene / image / instance").click()
    assert column(page, 6) == [f"0 / {i} / 0" for i in range(40)]


def test_totals_stay_below(page):
    page.get_by_role("button", name="metric 0", exact=True).click()
    assert "total" in page.locator(".scroll tbody tr").last.get_attribute("class")


def test_filters_work_together(page):
    assert page.locator("output").text_content() == "40 of 40"
    page.select_option("select[name=status]", "ambiguous")
    assert column(page, 3) == ["ambiguous"] * 10
    page.select_option("select[name=object]", "1")
    assert column(page, 3) == []
    page.select_option("select[name=object]", "2")
    page.select_option("select[name=reason]", "1")
    assert page.locator("output").text_content() == "10 of 40"
    page.fill("input[name=text]", "0 / 13 /")
    assert column(page, 6) == ["0 / 13 / 0"]
    assert page.locator("article:visible").count() == 0


def test_filters_hold_for_pictures_too(page):
    page.select_option("select[name=status]", "rejected")
    assert page.locator("section#gallery-1 article:visible").count() == 1


def test_a_click_enlarges_a_picture_and_keys_go_on(page):
    large = page.locator(".large")
    tile = page.locator("article img").first
    before = tile.bounding_box()["width"]
    tile.click()
    assert large.locator("img").bounding_box()["width"] > 2 * before
    assert large.get_attribute("data-title") == "mug (1)"
    assert large.locator("figcaption").is_visible()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert large.count() == 1
    assert large.get_attribute("data-title") == HOSTILE
    page.keyboard.press("ArrowLeft")
    assert large.get_attribute("data-title") == "mug (1)"
    page.keyboard.press("Escape")
    assert large.count() == 0
    tile.focus()
    page.keyboard.press("Enter")
    large.locator("img").click()
    assert large.count() == 0
    thumbnail = page.locator(".instances img").first
    thumbnail.click()
    assert thumbnail.bounding_box()["width"] > 500


def test_a_line_leads_to_its_pictures(page):
    page.locator(".instances a").nth(3).click()
    assert page.url.endswith("#instance-3")
    assert page.locator("#instance-3").is_visible()


def test_no_sideways_scrolling_on_a_phone(browser, page_file):
    page = browser.new_page(viewport=PHONE)
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    beyond = """[...document.querySelectorAll("main *")].filter(e => !e.closest("svg, .scroll, nav")
        && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
    assert page.evaluate(beyond) == []
    assert page.locator(".instances tbody tr").first.bounding_box()["height"] < 140
    assert min(panel.bounding_box()["width"] for panel in page.locator(".panels svg").all()) > 250
    page.close()


def test_all_of_it_is_readable_without_script(browser, page_file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert page.locator(".instances tbody tr:visible").count() == 40
    assert page.locator("article img:visible").count() == 6 * 5 + 5
    assert not page.locator(".filters").is_visible()
    context.close()
