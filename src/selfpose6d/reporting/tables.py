"""The results as tables: one run by object, or several runs side by side. ADD-S never stands without ADD."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.table import Table

from selfpose6d.evaluation.results import Metrics, ObjectCounts, Results

_METRIC_NAMES = {"ADD-S": "adds", "ADD": "add", "ADD(-S)": "add_or_adds"}
AUC_COLUMNS = {f"{title}\nAUC": f"{name}_auc" for title, name in _METRIC_NAMES.items()}
TOOLBOX_COLUMNS = {f"{title}\ntoolbox": f"{name}_auc_toolbox" for title, name in _METRIC_NAMES.items()}
SHARE_COLUMNS = {f"{title}\n<2cm": f"{name}_below_2cm" for title, name in _METRIC_NAMES.items()}
RECALL_COLUMNS = {"\nAR": "ar", "\nVSD": "ar_vsd", "\nMSSD": "ar_mssd", "\nMSPD": "ar_mspd"}
COUNT_COLUMNS = ("\nmissed", "cert.\n%", "cert.\nright")
ABSENT = "-"
SHORTEST_NAME = 6


@dataclass(frozen=True)
class TextTable:
    """Rows of text under headings; `total_rows` rows at the end sum the others up."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total_rows: int
    note: str


def scores_by_object(results: Results, names: Mapping[int, str], toolbox: bool = False) -> TextTable:
    """One row an object, then pooled over instances and the plain mean over objects."""
    columns, judged = metric_columns(results, toolbox), _judged(results)
    rows = [
        _row(_object_title(obj_id, names), results.objects[obj_id], results.counts[obj_id], columns, judged)
        for obj_id in results.objects
    ]
    total = _total(results)
    rows.append(_row("pooled", results.pooled, total, columns, judged))
    rows.append(_row("mean", results.mean, None, columns))
    headings = ("\nobject", "\nn", *columns, *COUNT_COLUMNS)
    return TextTable(headings, tuple(rows), 2, _note(results))


def comparison_table(runs: Mapping[str, Results], toolbox: bool = False) -> TextTable:
    """Two rows a run: pooled over instances, and the plain mean over objects."""
    columns = metric_columns(next(iter(runs.values())), toolbox)
    rows = []
    for name, results in runs.items():
        rows.append(_row(f"{name} (pooled)", results.pooled, _total(results), columns, _judged(results)))
        rows.append(_row(f"{name} (mean)", results.mean, None, columns))
    notes = dict.fromkeys(_note(results) for results in runs.values())
    return TextTable(("\nrun", "\nn", *columns, *COUNT_COLUMNS), tuple(rows), 0, " | ".join(notes))


def metric_columns(results: Results, toolbox: bool) -> dict[str, str]:
    """Metric attribute by heading."""
    recalls = RECALL_COLUMNS if results.pooled.ar is not None else {}
    return {**AUC_COLUMNS, **(TOOLBOX_COLUMNS if toolbox else {}), **SHARE_COLUMNS, **recalls}


def to_rich(table: TextTable, title: str, width: int) -> Table:
    """For a terminal of `width` characters; a narrow one gets narrow gaps and shortened names."""
    drawn = Table(
        title=title, caption=table.note, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD
    )
    widths = [_widest(table, column) for column in range(len(table.headings))]
    gap = 3 if sum(widths) + 3 * len(widths) < width else 1
    drawn.padding = (0, gap // 2)
    for column, heading in enumerate(table.headings):
        drawn.add_column(heading, justify="right" if column else "left", no_wrap=True)
    room = max(SHORTEST_NAME, width - sum(widths[1:]) - gap * len(widths) - 1)
    for index, (name, *cells) in enumerate(table.rows):
        short = name if len(name) <= room else f"{name[: room - 1]}…"
        drawn.add_row(short, *cells, end_section=index == len(table.rows) - table.total_rows - 1)
    return drawn


def _widest(table: TextTable, column: int) -> int:
    heading = table.headings[column].split("\n")
    return max(len(text) for text in (*heading, *(row[column] for row in table.rows)))


def _row(
    title: str,
    metrics: Metrics,
    counts: ObjectCounts | None,
    columns: Mapping[str, str],
    judged: bool = False,
) -> tuple[str, ...]:
    cells = [_cell(name, metrics) for name in columns.values()]
    count = str(counts.instances) if counts else ""
    return (title, count, *cells, *(_count_cells(counts, judged) if counts else ("", "", "")))


def _cell(name: str, metrics: Metrics) -> str:
    value = getattr(metrics, name)
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}" if "_auc" in name else f"{100 * value:.1f}"


def _count_cells(counts: ObjectCounts, judged: bool) -> tuple[str, str, str]:
    share = counts.certified / counts.instances if judged and counts.instances else math.nan
    return str(counts.missed), _percent(share), _percent(counts.certified_precision)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}" if math.isfinite(share) else ABSENT


def _judged(results: Results) -> bool:
    """Whether the run has certificates."""
    return math.isfinite(results.certified_share)


def _total(results: Results) -> ObjectCounts:
    certified = sum(count.certified for count in results.counts.values())
    return ObjectCounts(results.instances, results.missed, certified, results.certified_precision)


def _object_title(obj_id: int, names: Mapping[int, str]) -> str:
    return f"{obj_id} {names[obj_id]}" if obj_id in names else str(obj_id)


def _note(results: Results) -> str:
    symmetric = " ".join(map(str, results.symmetric_ids)) or "none"
    recalls = "" if results.pooled.ar is None else " Recalls know the symmetries of models_info.json only."
    return (
        f"AUC up to 10 cm, 0-100; shares in %; missed count as failures. Model points: {results.points}. "
        f"ADD(-S) takes ADD-S for objects: {symmetric}.{recalls}"
    )
