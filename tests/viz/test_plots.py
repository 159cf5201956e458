"""Charts are well-formed SVG that says what it shows."""

import xml.etree.ElementTree as ET

import numpy as np

from selfpose6d.viz.plots import Curve, accuracy_panels, coverage_chart, learning_chart, reliability_chart

X = np.linspace(0, 10, 5)


def texts(svg: str) -> set[str]:
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    return {"".join(element.itertext()).strip() for element in root.iter() if element.tag.endswith("text")}


def test_accuracy_has_a_panel_a_metric_and_a_line_a_run():
    runs = {name: Curve(X, X / 10, name) for name in ("mine", "theirs")}
    shown = texts(accuracy_panels({"ADD-S": runs, "ADD": runs}))
    assert {"ADD-S", "ADD", "mine", "theirs", "threshold, cm"} <= shown


def test_reliability_and_coverage():
    interval = np.array([[0.1, 0.3], [0.8, 1.0]])
    panels = {
        right: {"mine": Curve([0.1, 0.9], [0.2, 1.0], "mine", True, interval)} for right in ("near", "tenth")
    }
    shown = texts(reliability_chart(panels, {"mine": [3] + [0] * 9}))
    assert {"stated confidence", "mine", "right: near", "right: tenth", "how often it is stated"} <= shown
    assert {"coverage: fraction of all targets", "right: near", "right: tenth"} <= texts(
        coverage_chart(panels)
    )


def test_intervals_are_drawn():
    with_bars = {"": {"mine": Curve([0.1], [0.2], "mine", True, np.array([[0.1, 0.3]]))}}
    without = {"": {"mine": Curve([0.1], [0.2], "mine", True)}}
    drawn, plain = (reliability_chart(panels, {"mine": [1] * 10}) for panels in (with_bars, without))
    assert drawn.count("LineCollection") == plain.count("LineCollection") + 1


def test_learning_has_a_panel_a_quantity():
    panels = {f"train loss {i}": Curve([0, 1, 2], [3, 2, 1]) for i in range(4)}
    assert set(panels) <= texts(learning_chart(panels))


def test_gaps_and_empty_curves_are_no_error():
    assert "mine" in texts(coverage_chart({"near": {"mine": Curve([0.5, 1.0], [np.nan, np.nan], "mine")}}))
    texts(reliability_chart({"near": {"none": Curve([], [], "none")}}, {"none": [0] * 10}))


def test_same_data_gives_the_same_bytes():
    runs = {"mine": Curve(X, X / 10, "mine")}
    assert accuracy_panels({"ADD": runs}) == accuracy_panels({"ADD": runs})
