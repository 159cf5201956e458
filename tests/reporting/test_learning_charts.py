"""No series of a training is left out in silence."""

import json

from selfpose6d.reporting.learning_charts import MOST_POINTS, learning_charts
from selfpose6d.runs.files import RunFiles


def charts_of(tmp_path, rows):
    run = RunFiles(tmp_path)
    run.log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {chart.title: chart for chart in learning_charts(run)}


def test_all_of_many_series_are_drawn(tmp_path):
    names = [f"term_{i}" for i in range(20)] + [
        "distance_m",
        "gradient_norm",
        "gradient_of_iou",
        "learning_rate",
    ]
    rows = [{"step": s, "kind": "train", "stage": "one", **dict.fromkeys(names, s + 0.5)} for s in range(3)]
    charts = charts_of(tmp_path, rows)
    assert {panel.title for chart in charts.values() for panel in chart.panels} == set(names)
    assert [p.title for p in charts["Training: gradients"].panels] == ["gradient_norm", "gradient_of_iou"]
    assert [p.title for p in charts["Training: error and quality"].panels] == ["distance_m"]


def test_training_and_validation_share_a_panel(tmp_path):
    rows = [{"step": s, "kind": kind, "loss": s} for s in range(3) for kind in ("train", "validation")]
    (chart,) = charts_of(tmp_path, rows).values()
    assert [panel.title for panel in chart.panels] == ["loss"]
    assert [entry.name for entry in chart.legend] == ["train", "validation"]
    assert all(entry.style.colour in chart.panels[0].svg for entry in chart.legend)


def test_what_has_no_curve_is_said(tmp_path):
    rows = [
        {"step": 0, "kind": "held out", "note": "held out: scene 3"},
        *({"step": s, "kind": "train", "loss": s, "instances": 12, "broken": None} for s in range(2)),
    ]
    said = charts_of(tmp_path, rows)["Training: also logged"].note
    assert "train instances: always 12" in said
    assert "broken: no number" in said
    assert "held out: scene 3" in said


def test_long_logs_are_thinned_and_it_is_said(tmp_path):
    rows = [{"step": s, "kind": "train", "loss": s % 7} for s in range(10 * MOST_POINTS)]
    chart = charts_of(tmp_path, rows)["Training: losses"]
    assert "10 rows" in chart.note
    assert len(chart.panels[0].svg) < 40_000


def test_no_log_no_chart(tmp_path):
    assert learning_charts(RunFiles(tmp_path)) == []
