"""Paths are cut to what a reader elsewhere can use."""

from pathlib import Path

import pytest

from selfpose6d.reporting.shown_text import path_shortener, unique_titles


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/data/ycbv/test/1.png: missing", "ycbv/test/1.png: missing"),
        ("no run: /data/ycbv is no folder", "no run: ycbv is no folder"),
        ("/data/ycbv-2/a/1.png", "1.png"),
        ("see /home/me/runs/first/config.yaml.", "see config.yaml."),
        ("'/home/me/x.png'", "'x.png'"),
        (r"C:\Users\me\x.png", "x.png"),
        ("~/runs/first", "first"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("runs/first/config.yaml", "runs/first/config.yaml"),
        ("0 / 1 / 2, 1/2, 50 %/60 %", "0 / 1 / 2, 1/2, 50 %/60 %"),
    ],
)
def test_paths(text, shown):
    assert path_shortener([Path("/data/ycbv")])(text) == shown


def test_without_known_folders_nothing_else_changes():
    assert path_shortener([])("pooled over 5 runs") == "pooled over 5 runs"


def test_titles_are_as_long_as_it_takes():
    runs = [Path("/a/one/run"), Path("/a/two/run"), Path("/a/other")]
    assert unique_titles(runs) == ["one/run", "two/run", "other"]
    assert unique_titles([Path("/a/run")]) == ["run"]
