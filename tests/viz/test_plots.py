"""Panels are well-formed SVG that says what its axes are."""

import xml.etree.ElementTree as ET

import numpy as np

from selfpose6d.viz.plots import (
    Curve,
    accuracy_panel,
    counts_panel,
    coverage_panel,
    curve_style,
    learning_panel,
    reliability_panel,
)

X = np.linspace(0, 10, 5)


def texts(svg: str) -> set[str]:
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    return {"".join(element.itertext()).strip() for element in root.iter() if element.tag.endswith("text")}


def test_axes_are_named():
    assert {"threshold, cm", "fraction of instances"} <= texts(accuracy_panel([Curve(X, X / 10)] * 2))
    assert {"stated confidence", "fraction right"} <= texts(reliability_panel([Curve([0.1], [0.2], True)]))
    assert {"stated confidence", "estimates"} <= texts(counts_panel([[3] + [0] * 9]))
    assert "coverage: fraction of all targets" in texts(coverage_panel([Curve([0.5], [1.0])]))
    assert "step" in texts(learning_panel([Curve([0, 1, 2], [3, 2, 1])]))


def test_every_curve_is_drawn_in_its_own_style():
    svg = accuracy_panel([Curve(X, X / (10 + i)) for i in range(10)])
    assert len({curve_style(i) for i in range(24)}) == 24
    for index in range(10):
        assert curve_style(index).colour in svg


def test_intervals_are_drawn():
    interval = np.array([[0.1, 0.3]])
    drawn, plain = (reliability_panel([Curve([0.1], [0.2], True, one)]) for one in (interval, None))
    assert drawn.count("<path") > plain.count("<path")


def test_a_single_point_is_seen():
    one, none = (learning_panel([Curve(x, x)]) for x in ([4], []))
    assert f"stroke: {curve_style(0).colour}" in one
    assert f"stroke: {curve_style(0).colour}" not in none


def test_gaps_and_empty_curves_are_no_error():
    texts(coverage_panel([Curve([0.5, 1.0], [np.nan, np.nan])]))
    texts(reliability_panel([Curve([], [])]))
    texts(counts_panel([[0] * 10]))


def test_same_data_gives_the_same_bytes():
    assert accuracy_panel([Curve(X, X / 10)]) == accuracy_panel([Curve(X, X / 10)])


def test_panels_of_one_page_share_no_name_of_a_group():
    assert 'id="axes_1"' not in accuracy_panel([Curve(X, X / 10)])
