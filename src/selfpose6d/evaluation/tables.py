"""The results as tables: one run by object, or several runs side by side. ADD-S never stands without ADD."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from selfpose6d.evaluation.results import Metrics, ObjectCounts, Results

AUC_COLUMNS = {"ADD-S": "adds_auc", "ADD": "add_auc", "ADD(-S)": "add_or_adds_auc"}
TOOLBOX_COLUMNS = {f"{title} tb": f"{name}_toolbox" for title, name in AUC_COLUMNS.items()}
SHARE_COLUMNS = {
    "ADD-S <2cm": "adds_below_2cm",
    "ADD <2cm": "add_below_2cm",
    "ADD(-S) <2cm": "add_or_adds_below_2cm",
}
RECALL_COLUMNS = {"AR": "ar", "VSD": "ar_vsd", "MSSD": "ar_mssd", "MSPD": "ar_mspd"}
ABSENT = "-"


@dataclass(frozen=True)
class TextTable:
    """Rows of text under headings; `total_rows` rows at the end sum the others up."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total_rows: int
    note: str


def object_table(results: Results, names: Mapping[int, str], toolbox: bool = False) -> TextTable:
    """One row an object, then pooled over instances and the plain mean over objects."""
    columns = metric_columns(results, toolbox)
    rows = [
        _row(_object_title(obj_id, names), results.objects[obj_id], results.counts[obj_id], columns)
        for obj_id in results.objects
    ]
    total = _total(results)
    rows.append(_row("pooled", results.pooled, total, columns))
    rows.append(_row("mean", results.mean, None, columns))
    headings = ("object", "n", *columns, "missed", "certified", "precision")
    return TextTable(headings, tuple(rows), 2, _note(results))


def comparison_table(runs: Mapping[str, Results], toolbox: bool = False) -> TextTable:
    """One row a run, pooled over instances; the plain means are in brackets."""
    columns = metric_columns(next(iter(runs.values())), toolbox)
    rows = []
    for name, results in runs.items():
        cells = [
            f"{_cell(column, results.pooled)} ({_cell(column, results.mean)})" for column in columns.values()
        ]
        rows.append((name, str(results.instances), *cells, *_count_cells(_total(results))))
    headings = ("run", "n", *columns, "missed", "certified", "precision")
    notes = dict.fromkeys(_note(results) for results in runs.values())
    return TextTable(headings, tuple(rows), 0, "pooled (plain mean). " + " | ".join(notes))


def metric_columns(results: Results, toolbox: bool) -> dict[str, str]:
    """Metric attribute by heading."""
    recalls = RECALL_COLUMNS if results.pooled.ar is not None else {}
    return {**AUC_COLUMNS, **(TOOLBOX_COLUMNS if toolbox else {}), **SHARE_COLUMNS, **recalls}


def to_rich(table: TextTable, title: str) -> Table:
    """For the terminal."""
    drawn = Table(title=title, caption=table.note, title_justify="left", caption_justify="left")
    for index, heading in enumerate(table.headings):
        drawn.add_column(heading, justify="left" if index == 0 else "right", no_wrap=index == 0)
    for index, row in enumerate(table.rows):
        drawn.add_row(*row, end_section=index == len(table.rows) - table.total_rows - 1)
    return drawn


def _row(
    title: str, metrics: Metrics, counts: ObjectCounts | None, columns: Mapping[str, str]
) -> tuple[str, ...]:
    cells = [_cell(name, metrics) for name in columns.values()]
    count = str(counts.instances) if counts else ""
    return (title, count, *cells, *(_count_cells(counts) if counts else ("", "", "")))


def _cell(name: str, metrics: Metrics) -> str:
    value = getattr(metrics, name)
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}" if "_auc" in name else f"{100 * value:.1f}"


def _count_cells(counts: ObjectCounts) -> Sequence[str]:
    share = counts.certified / counts.instances if counts.instances else math.nan
    return str(counts.missed), _percent(share), _percent(counts.certified_precision)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if math.isfinite(share) else ABSENT


def _total(results: Results) -> ObjectCounts:
    certified = sum(count.certified for count in results.counts.values())
    return ObjectCounts(results.instances, results.missed, certified, results.certified_precision)


def _object_title(obj_id: int, names: Mapping[int, str]) -> str:
    return f"{obj_id} {names[obj_id]}" if obj_id in names else str(obj_id)


def _note(results: Results) -> str:
    symmetric = " ".join(map(str, results.symmetric_ids)) or "none"
    return (
        f"AUC up to 10 cm, 0-100; shares in %; missed count as failures. Model points: {results.points}. "
        f"ADD(-S) takes ADD-S for objects: {symmetric}."
    )
