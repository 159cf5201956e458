"""The results as tables: one run by object, or several runs side by side. ADD-S never stands without ADD."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rich import box
from rich.table import Table

from selfpose6d.datasets.object_label import object_label
from selfpose6d.evaluation.detection_ap import DetectionScores
from selfpose6d.evaluation.results import Metrics, ObjectCounts, Results, RightBy

_METRIC_NAMES = {"ADD-S": "adds", "ADD": "add", "ADD(-S)": "add_or_adds"}
AUC_COLUMNS = {f"{title}\nAUC": f"{name}_auc" for title, name in _METRIC_NAMES.items()}
TOOLBOX_COLUMNS = {f"{title}\ntoolbox": f"{name}_auc_toolbox" for title, name in _METRIC_NAMES.items()}
BELOW_COLUMNS = {f"{title}\n<2cm": f"{name}_below_2cm" for title, name in _METRIC_NAMES.items()}
BELOW_TENTH_COLUMNS = {f"{title}\n<10%d": f"{name}_below_10pct" for title, name in _METRIC_NAMES.items()}
BELOW_TENTH_COLUMN = dict(list(BELOW_TENTH_COLUMNS.items())[-1:])
"""ADD(-S) alone, where 110 columns must do; `results.json` and the page have all three."""
RECALL_COLUMNS = {"\nAR": "ar", "\nVSD": "ar_vsd", "\nMSSD": "ar_mssd", "\nMSPD": "ar_mspd"}
COUNT_COLUMNS = ("\nmissed", "cert.\n%", "cert.\n<2cm", "cert.\n<10%d")
RIGHT_TITLES: dict[RightBy, str] = {
    "add-or-adds": "ADD(-S)",
    "least-add": "least ADD over the written symmetries",
}
ABSENT = "-"
SHORTEST_NAME = 6
"""Characters that a narrow terminal leaves of a row's name."""


@dataclass(frozen=True)
class TextTable:
    """Rows of text under headings; `total_rows` rows at the end sum the others up."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    total_rows: int
    note: str


def scores_by_object(
    results: Results, names: Mapping[int, str], toolbox: bool = False, wide: bool = False
) -> TextTable:
    """One row an object, then pooled over instances and the plain mean over objects; `wide` shows every metric."""
    columns, has_certificates = (
        _metric_columns(results, toolbox, wide),
        math.isfinite(results.certified_share),
    )
    rows = [
        _row(
            object_label(obj_id, names),
            metrics,
            columns,
            results.counts[obj_id],
            has_certificates,
        )
        for obj_id, metrics in results.objects.items()
    ]
    rows += _total_rows(results, columns, "pooled", "mean")
    headings = ("\nobject", "\nn", *columns, *COUNT_COLUMNS)
    return TextTable(headings, tuple(rows), 2, _note(results, names))


def comparison_table(
    runs: Mapping[str, Results], names: Mapping[int, str], toolbox: bool = False, wide: bool = False
) -> TextTable:
    """Two rows a run: pooled over instances, and the plain mean over objects; `wide` shows every metric."""
    columns, rows = _metric_columns(next(iter(runs.values())), toolbox, wide), []
    for name, results in runs.items():
        rows += _total_rows(results, columns, f"{name} (pooled)", f"{name} (mean)")
    notes = dict.fromkeys(_note(results, names) for results in runs.values())
    return TextTable(("\nrun", "\nn", *columns, *COUNT_COLUMNS), tuple(rows), 0, " | ".join(notes))


def _metric_columns(results: Results, toolbox: bool, wide: bool) -> dict[str, str]:
    """Metric attribute by heading."""
    recalls = RECALL_COLUMNS if results.pooled.ar is not None else {}
    tenth = BELOW_TENTH_COLUMNS if wide else BELOW_TENTH_COLUMN
    return {**AUC_COLUMNS, **(TOOLBOX_COLUMNS if toolbox else {}), **BELOW_COLUMNS, **tenth, **recalls}


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


def _total_rows(
    results: Results, columns: Mapping[str, str], pooled: str, mean: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    certified = sum(count.certified for count in results.counts.values())
    precision = results.certified_precision, results.certified_precision_below_10pct
    total = ObjectCounts(results.instances, results.missed, certified, *precision)
    has_certificates = math.isfinite(results.certified_share)
    return _row(pooled, results.pooled, columns, total, has_certificates), _row(mean, results.mean, columns)


def _row(
    title: str,
    metrics: Metrics,
    columns: Mapping[str, str],
    counts: ObjectCounts | None = None,
    has_certificates: bool = False,
) -> tuple[str, ...]:
    cells = [_cell(name, metrics) for name in columns.values()]
    if counts is None:
        return (title, "", *cells, *[""] * len(COUNT_COLUMNS))
    certified = counts.certified / counts.instances if has_certificates and counts.instances else math.nan
    precision = counts.certified_precision, counts.certified_precision_below_10pct
    percents = (percent(fraction) for fraction in (certified, *precision))
    return (title, str(counts.instances), *cells, str(counts.missed), *percents)


def _cell(name: str, metrics: Metrics) -> str:
    value = getattr(metrics, name)
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:.2f}" if "_auc" in name else f"{100 * value:.1f}"


def percent(fraction: float) -> str:
    """A fraction in percent, or that it is absent."""
    return f"{100 * fraction:.1f}" if math.isfinite(fraction) else ABSENT


def _note(results: Results, names: Mapping[int, str]) -> str:
    symmetric = ", ".join(object_label(i, names) for i in results.symmetric_ids) or "none"
    recalls = "" if results.pooled.ar is None else " Recalls know the symmetries of models_info.json only."
    return (
        f"AUC up to 10 cm, 0-100; fractions in %; missed count as failures; d: diameter. Model points: "
        f"{results.points}. ADD(-S) takes ADD-S for: {symmetric}. Certified (cert.) ones right by "
        f"{RIGHT_TITLES[results.right]}.{recalls}"
    )


def detection_table(scores: DetectionScores) -> TextTable:
    """Average precision of boxes and masks."""
    names = {"bbox": "box of the whole object", "segm": "mask of its visible part"}
    rows = [
        (names[kind], *(f"{value:.1f}" for value in (one.ap, one.ap50, one.ap75, one.ar)))
        for kind, one in scores.items()
    ]
    return TextTable(("", "AP", "AP50", "AP75", "AR"), tuple(rows), 1, "IoU 0.5 to 0.95, mean over objects.")
