"""The panels of the report's charts as SVG text: no files, no state, one function a kind.

Titles and legends are the page's: a panel stands alone, so that it stays legible on a narrow screen.
"""

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

RUN_COLOURS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f")
Dashes = Literal["solid", "dashed", "dotted"]
DASHES: tuple[Dashes, ...] = ("solid", "dashed", "dotted")
PANEL_INCHES = (3.5, 2.7)
SMALL_PANEL_INCHES = (2.6, 1.8)
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
}
_GROUP_IDS = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
"""Names that matplotlib gives to groups: nothing refers to them, and several charts on a page would share them."""


@dataclass(frozen=True)
class CurveStyle:
    """Colour (`#rrggbb`) and dashes of a curve."""

    colour: str
    dashes: Dashes


@dataclass(frozen=True)
class Curve:
    """One line of a panel; `marked` draws its points, `interval` bars from low to high at each."""

    x: Sequence[float | int] | Float[np.ndarray, " points"]
    y: Sequence[float | int] | Float[np.ndarray, " points"]
    marked: bool = False
    interval: Float[np.ndarray, "points 2"] | None = None


@rc_context(_STYLE)
def accuracy_panel(curves: Sequence[Curve]) -> str:
    """Fraction of instances closer than a distance, one curve a run."""
    figure, ax = _figure(PANEL_INCHES)
    _draw(ax, curves)
    ax.axvline(CORRECT_BELOW_CM, color="#9aa0aa", linestyle=":", linewidth=1)
    ax.set(xlabel="threshold, cm", ylabel="fraction of instances", xlim=(0, MAX_DISTANCE_CM), ylim=(0, 1.02))
    return _svg(figure)


@rc_context(_STYLE)
def reliability_panel(curves: Sequence[Curve]) -> str:
    """Stated confidence against measured correctness (honest is the diagonal), one curve a run.

    With the interval of every fraction where the curve has one.
    """
    figure, ax = _figure(PANEL_INCHES)
    ax.plot([0, 1], [0, 1], color="#9aa0aa", linestyle="--", linewidth=1)
    _draw(ax, curves)
    ax.set(xlabel="stated confidence", ylabel="fraction right", xlim=(0, 1.02), ylim=(0, 1.02))
    return _svg(figure)


@rc_context(_STYLE)
def counts_panel(counts: Sequence[Sequence[int]]) -> str:
    """How often which confidence is stated: a bar a run and bin of equal width from 0 to 1."""
    figure, ax = _figure(PANEL_INCHES)
    for index, count in enumerate(counts):
        bins = len(count)
        width = 0.9 / bins / len(counts)
        left = (np.arange(bins) + 0.05) / bins + index * width
        ax.bar(left, count, width, align="edge", color=curve_style(index).colour)
    ax.set(xlabel="stated confidence", ylabel="estimates", xlim=(0, 1.02))
    return _svg(figure)


@rc_context(_STYLE)
def coverage_panel(curves: Sequence[Curve]) -> str:
    """Fraction of right poses among the best-rated ones, against how many targets these cover; one curve a run."""
    figure, ax = _figure(PANEL_INCHES)
    _draw(ax, curves)
    ax.set(xlabel="coverage: fraction of all targets", ylabel="precision of the best-rated")
    ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
    return _svg(figure)


@rc_context(_STYLE)
def learning_panel(curves: Sequence[Curve]) -> str:
    """A logged quantity against the training step, one curve a kind of row."""
    figure, ax = _figure(SMALL_PANEL_INCHES)
    _draw(ax, curves)
    ax.set(xlabel="step")
    return _svg(figure)


def _figure(inches: tuple[float, float]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=inches, layout="constrained")
    return figure, figure.subplots()


def curve_style(index: int) -> CurveStyle:
    """How the index-th run is drawn in every panel: no two of the first 24 alike."""
    dashes = DASHES[index // len(RUN_COLOURS) % len(DASHES)]
    return CurveStyle(RUN_COLOURS[index % len(RUN_COLOURS)], dashes)


def _draw(ax: Axes, curves: Iterable[Curve]) -> None:
    for index, curve in enumerate(curves):
        style, marker = curve_style(index), "o" if curve.marked or len(curve.x) == 1 else None
        ax.plot(curve.x, curve.y, color=style.colour, linestyle=style.dashes, marker=marker, markersize=4)
        if curve.interval is not None:
            ax.vlines(curve.x, *curve.interval.T, color=style.colour, linewidth=1, alpha=0.5)


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _GROUP_IDS.sub("", text.getvalue()[text.getvalue().index("<svg") :])
