"""The measured table beside the printed one: as text, Markdown, CSV rows and JSON."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from selfpose6d.datasets.object_label import object_label
from selfpose6d.evaluation.results import Metrics, Results
from selfpose6d.reporting.tables import ABSENT, TextTable, percent
from selfpose6d.reproduction.measured import MeasuredColumn
from selfpose6d.reproduction.objects import TableObject
from selfpose6d.reproduction.printed import PrintedColumn

Metric = Literal["adds_auc", "add_auc", "add_or_adds_auc"]
METRIC_TITLES: Mapping[Metric, str] = {
    "adds_auc": "ADD-S AUC",
    "add_auc": "ADD AUC",
    "add_or_adds_auc": "ADD(-S) AUC",
}
PRINTED_METRIC: Metric = "adds_auc"
"""The only one of the paper."""


def summary_table(columns: Sequence[MeasuredColumn], objects: Sequence[TableObject]) -> TextTable:
    """One row a method: the three metrics, pooled over instances and as plain mean over objects, and the paper's."""
    headings = ["method", "n", "missed"]
    for title in METRIC_TITLES.values():
        short = title.removesuffix(" AUC")
        headings += [f"{short}\npooled", f"{short}\nmean"]
    headings += ["paper\nMEAN", "paper\nthese rows", "cert.\n%", "training\nmin", "training\nsteps"]
    rows = tuple(_summary_row(measured, objects) for measured in columns)
    note = (
        "AUC up to 10 cm, exact, 0-100; missed instances count as failures. Pooled: over instances; mean: plain mean "
        "over objects. The paper prints ADD-S; its MEAN is over all its objects (Table I: pooled, Self6D++ plain; "
        "Table II: plain), 'these rows' is the plain mean of its figures for the objects here."
    )
    return TextTable(tuple(headings), rows, 0, note)


def _summary_row(measured: MeasuredColumn, objects: Sequence[TableObject]) -> tuple[str, ...]:
    column, results, facts = measured.column, measured.results, measured.training
    cells = [str(results.instances), str(results.missed)] if results else [ABSENT, ABSENT]
    for metric in METRIC_TITLES:
        cells += [_auc(results and results.pooled, metric), _auc(results and results.mean, metric)]
    printed = column.printed
    cells += [f"{printed.mean:.1f}" if printed else ABSENT, _number(printed_mean(printed, objects))]
    cells += [percent(results.certified_share) if results else ABSENT]
    cells += [_number(facts.minutes) if facts and facts.minutes is not None else ABSENT]
    cells += [str(facts.steps) if facts and facts.steps is not None else ABSENT]
    return (column.title, *cells)


def metric_table(
    metric: Metric, columns: Sequence[MeasuredColumn], objects: Sequence[TableObject]
) -> TextTable:
    """One row an object, one column a method: the measured value, in brackets the printed one (ADD-S only)."""
    rows = [(_row_name(row), *(_cell(metric, c, row) for c in columns)) for row in objects]
    rows.append(("pooled", *(_auc(c.results and c.results.pooled, metric) for c in columns)))
    rows.append(("mean", *(_auc(c.results and c.results.mean, metric) for c in columns)))
    total_rows = 2
    if metric == PRINTED_METRIC:
        rows.append(
            (
                "MEAN in the paper",
                *(f"({c.column.printed.mean:.1f})" if c.column.printed else "" for c in columns),
            )
        )
        total_rows = 3
    headings = ("object", *(_two_lines(c.column.title) for c in columns))
    note = (
        "In brackets: what the paper prints." if metric == PRINTED_METRIC else "The paper does not print it."
    )
    return TextTable(headings, tuple(rows), total_rows, note)


def printed_mean(printed: PrintedColumn | None, objects: Sequence[TableObject]) -> float:
    """Plain mean of the printed figures for these objects; NaN unless the paper has them all."""
    values = [printed.values.get(row.ycb_id or 0) for row in objects] if printed else []
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else math.nan


def csv_rows(
    columns: Sequence[MeasuredColumn], objects: Sequence[TableObject]
) -> Iterator[tuple[str | int | float, ...]]:
    """Long form with a heading: one row a method, object (or pooled, mean) and metric."""
    yield ("column", "title", "obj_id", "object", "metric", "value", "printed", "instances")
    for measured in columns:
        for row in objects:
            instances = _instances(measured.results, row.obj_id)
            for metric in METRIC_TITLES:
                value, printed = _value(metric, measured, row), _printed(metric, measured, row)
                yield (
                    *_names(measured),
                    row.obj_id,
                    row.name,
                    metric,
                    *map(_csv, (value, printed)),
                    instances,
                )
        for kind in ("pooled", "mean"):
            for metric in METRIC_TITLES:
                scores = getattr(measured.results, kind) if measured.results else None
                instances = measured.results.instances if measured.results else 0
                yield (*_names(measured), "", kind, metric, _csv(_of(scores, metric)), "", instances)


def json_content(columns: Sequence[MeasuredColumn], objects: Sequence[TableObject]) -> list[dict[str, Any]]:
    """Every column with all that was measured of it and what the paper prints; unknown numbers are None."""
    found = []
    for measured in columns:
        column, printed, facts = measured.column, measured.column.printed, measured.training
        content: dict[str, Any] = {
            "column": column.name,
            "title": column.title,
            "supervision": column.supervision,
            "options": list(column.options),
            "note": column.note,
            "missing_because": measured.missing_because or None,
            "taken_from": str(measured.predictions_from) if measured.predictions_from else None,
            "training": None if facts is None else {n: _plain(v) for n, v in vars(facts).items()},
            "results": measured.results.to_json() if measured.results else None,
            "printed": None,
        }
        if printed:
            by_object = {str(row.obj_id): printed.values.get(row.ycb_id or 0) for row in objects}
            content["printed"] = {
                "title": printed.title,
                "metric": PRINTED_METRIC,
                "objects": by_object,
                "mean": printed.mean,
                "mean_kind": printed.mean_kind,
            }
        found.append(content)
    return found


def to_markdown(table: TextTable) -> str:
    """A pipe table; headings of two lines become one."""
    headings = [heading.replace("\n", " ").strip() for heading in table.headings]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *table.rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _cell(metric: Metric, measured: MeasuredColumn, row: TableObject) -> str:
    value, printed = _value(metric, measured, row), _printed(metric, measured, row)
    shown = _number(value)
    return shown if printed is None else f"{shown} ({printed:.1f})"


def _value(metric: Metric, measured: MeasuredColumn, row: TableObject) -> float:
    return _of(measured.results.objects.get(row.obj_id) if measured.results else None, metric)


def _printed(metric: Metric, measured: MeasuredColumn, row: TableObject) -> float | None:
    printed = measured.column.printed
    if metric != PRINTED_METRIC or printed is None or row.ycb_id is None:
        return None
    return printed.values.get(row.ycb_id)


def _names(measured: MeasuredColumn) -> tuple[str, str]:
    return measured.column.name, measured.column.title


def _instances(results: Results | None, obj_id: int) -> int:
    return results.counts[obj_id].instances if results and obj_id in results.counts else 0


def _auc(metrics: Metrics | None, metric: Metric) -> str:
    return _number(_of(metrics, metric))


def _of(metrics: Metrics | None, metric: Metric) -> float:
    return math.nan if metrics is None else float(getattr(metrics, metric))


def _number(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else ABSENT


def _csv(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _row_name(row: TableObject) -> str:
    return object_label(row.obj_id, {row.obj_id: row.name})


def _two_lines(title: str) -> str:
    """Break a long title at the blank nearest its middle."""
    blanks = [i for i, character in enumerate(title) if character == " "]
    if len(title) < 12 or not blanks:
        return title
    at = min(blanks, key=lambda i: abs(i - len(title) // 2))
    return f"{title[:at]}\n{title[at + 1 :]}"
