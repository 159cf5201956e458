"""The site: pages made from the code are complete, it builds without a warning, and it needs no network."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import selfpose6d
from selfpose6d.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
HELP = """usage: selfpose6d cut [-h] [OPTIONS] IN

Cut a file.

More
on it.

╭─ positional arguments ──────────────╮
│ IN            The file. (required)  │
╰─────────────────────────────────────╯
╭─ data options ──────────────────────╮
│ A part of it.                       │
│ ─────────────────────────────────── │
│ --unit {mm,m}                       │
│               Unit.                 │
│               (default: mm)         │
│ --size INT    How much.             │
╰─────────────────────────────────────╯
"""


@pytest.fixture(scope="module")
def pages(load_script):
    """The hook that makes pages from the code."""
    return load_script(ROOT / "docs" / "generated_pages.py")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; any warning of the build is a failure."""
    if importlib.util.find_spec("mkdocs") is None or importlib.util.find_spec("mkdocstrings") is None:
        pytest.skip("skipped: MkDocs is not installed (make docs installs it)")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_help_text_is_read(pages):
    usage, description, groups = pages.read_help(HELP)
    assert usage == "selfpose6d cut [-h] [OPTIONS] IN"
    assert description == ["Cut a file.", "More on it."]
    assert [group.title for group in groups] == ["positional arguments", "data options"]
    assert groups[0].entries == [pages.Entry("IN", ["The file. (required)"])]
    assert groups[1].introduction == ["A part of it."]
    assert groups[1].entries == [
        pages.Entry("--unit {mm,m}", ["Unit.", "(default: mm)"]),
        pages.Entry("--size INT", ["How much."]),
    ]


def test_the_command_line_page_has_every_option_of_every_command(pages):
    sections = re.split(r"^## ", pages.commands_page(), flags=re.MULTILINE)[1:]
    by_command = {re.findall(r"[\w-]+", section)[0]: section for section in sections}
    for name in COMMANDS:
        options = re.findall(r"^│ (--[\w-]+)", pages.help_text(name), flags=re.MULTILINE)
        explained = re.findall(r"^`(--[\w-]+).*`\n:   \S", by_command[name], flags=re.MULTILINE)
        assert explained == options


def test_the_python_page_has_every_public_name(pages):
    named = re.findall(r"^::: selfpose6d\.(\w+)$", pages.python_page(), flags=re.MULTILINE)
    assert sorted(named) == sorted(name for name in selfpose6d.__all__ if name != "__version__")


def test_public_names_and_fields_are_on_the_built_page(site):
    text = (site / "api" / "index.html").read_text(encoding="utf-8")
    for name in selfpose6d.__all__:
        assert name == "__version__" or f'id="selfpose6d.{name}"' in text
    for member in ("PredictOptions.refine", "Predictor.load", "Predictor.__call__"):
        assert f'id="selfpose6d.{member}"' in text
    assert "__post_init__" not in text


def test_the_built_site_loads_nothing_from_elsewhere(site):
    """Links to other places are fine; scripts, styles, fonts and pictures from there are not."""
    loaded = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"']?(https?:)?//|<link[^>]*\shref=[\"']?(https?:)?//"
    )
    html = list(site.rglob("*.html"))
    assert len(html) > 10
    assert [str(page) for page in html if loaded.search(page.read_text(encoding="utf-8"))] == []
    sheets = [sheet.read_text(encoding="utf-8") for sheet in site.rglob("*.css")]
    assert sheets
    assert [
        sheet[:80] for sheet in sheets if re.search(r"(?:url\(|@import)\s*[\"']?(https?:)?//", sheet)
    ] == []


def test_the_search_has_every_page(site):
    index = (site / "search" / "search_index.json").read_text(encoding="utf-8")
    for page in ("tutorial/", "commands/#annotate", "api/#selfpose6d.annotate", "method/"):
        assert f'"location":"{page}"' in index
