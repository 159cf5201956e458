"""The report's charts as SVG text: no files, no state, one function a chart."""

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RUN_COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
PANEL_INCHES = (3.5, 2.9)
# the field's: AUC up to 10 cm, correct below 2 cm
MAX_DISTANCE_CM, CORRECT_BELOW_CM = 10.0, 2.0
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "selfpose6d",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "axes.edgecolor": "#9aa0aa",
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True)
class Curve:
    """One line of a chart; `marked` draws its points, `interval` bars from low to high at each."""

    x: Sequence[float | int] | Float[np.ndarray, "points"]
    y: Sequence[float | int] | Float[np.ndarray, "points"]
    label: str = ""
    marked: bool = False
    interval: Float[np.ndarray, "points 2"] | None = None


@rc_context(_STYLE)
def accuracy_panels(panels: Mapping[str, Mapping[str, Curve]]) -> str:
    """One panel a metric (ADD-S, ADD, ...), one curve a run: fraction of instances closer than a distance."""
    figure, axes = _figure(len(panels))
    for ax, (title, runs) in zip(axes, panels.items(), strict=True):
        _draw(ax, runs.values())
        ax.axvline(CORRECT_BELOW_CM, color="#9aa0aa", linestyle=":", linewidth=1)
        ax.set(title=title, xlabel="threshold, cm", xlim=(0, MAX_DISTANCE_CM), ylim=(0, 1.02))
    axes[0].set_ylabel("fraction of instances")
    _legend(axes[-1], "lower right")
    return _svg(figure)


@rc_context(_STYLE)
def reliability_chart(panels: Mapping[str, Mapping[str, Curve]], counts: Mapping[str, Sequence[int]]) -> str:
    """Stated confidence against measured correctness (honest is the diagonal), and how often it is stated.

    One panel a meaning of right, one curve a run, with the interval of every fraction where the curve has one.
    """
    figure, axes = _figure(len(panels) + 1)
    for ax, (right, runs) in zip(axes, panels.items(), strict=False):
        ax.plot([0, 1], [0, 1], color="#9aa0aa", linestyle="--", linewidth=1)
        _draw(ax, runs.values())
        ax.set(title=f"right: {right}", xlabel="stated confidence", xlim=(0, 1.02), ylim=(0, 1.02))
    axes[0].set_ylabel("fraction right")
    _legend(axes[0], "upper left")
    _draw_counts(axes[-1], counts)
    return _svg(figure)


@rc_context(_STYLE)
def coverage_chart(panels: Mapping[str, Mapping[str, Curve]]) -> str:
    """Fraction of right poses among the best-rated ones, against how many targets these cover.

    One panel a meaning of right, one curve a run.
    """
    figure, axes = _figure(len(panels))
    for ax, (right, runs) in zip(axes, panels.items(), strict=True):
        _draw(ax, runs.values())
        ax.set(
            title=f"right: {right}",
            xlabel="coverage: fraction of all targets",
            xlim=(0, 1.02),
            ylim=(0, 1.02),
        )
    axes[0].set_ylabel("precision of the best-rated")
    _legend(axes[0], "lower left")
    return _svg(figure)


@rc_context(_STYLE)
def learning_chart(panels: Mapping[str, Curve]) -> str:
    """One small panel a logged quantity, against the training step."""
    columns = min(3, len(panels))
    figure, axes = _figure(columns, rows=-(-len(panels) // columns))
    for ax, (name, curve) in zip(axes, panels.items(), strict=False):
        _draw(ax, [curve])
        ax.set(title=name, xlabel="step")
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    return _svg(figure)


def _figure(columns: int, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(PANEL_INCHES[0] * columns, PANEL_INCHES[1] * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).reshape(-1))


def _draw(ax: Axes, curves: Iterable[Curve]) -> None:
    for curve, colour in zip(curves, itertools.cycle(RUN_COLOURS), strict=False):
        marker = "o" if curve.marked else None
        ax.plot(curve.x, curve.y, color=colour, label=curve.label or None, marker=marker)
        if curve.interval is not None:
            ax.vlines(curve.x, *curve.interval.T, color=colour, linewidth=1, alpha=0.5)


def _draw_counts(ax: Axes, counts: Mapping[str, Sequence[int]]) -> None:
    for index, (name, count) in enumerate(counts.items()):
        bins = len(count)
        width = 0.9 / bins / len(counts)
        left = (np.arange(bins) + 0.05) / bins + index * width
        ax.bar(left, count, width, align="edge", color=RUN_COLOURS[index % len(RUN_COLOURS)], label=name)
    ax.set(title="how often it is stated", xlabel="stated confidence", ylabel="estimates", xlim=(0, 1.02))


def _legend(ax: Axes, location: Literal["lower right", "upper left", "lower left"]) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc=location)


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
