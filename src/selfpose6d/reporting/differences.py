"""Paired comparisons as tables: how much better one run is than another, and whether that may be chance."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import SelfPose6DError
from selfpose6d.evaluation.compare import MIN_BLOCKS, Comparison, Difference, compare, require_asked
from selfpose6d.evaluation.evaluate import Evaluation
from selfpose6d.reporting.tables import ABSENT, AUC_COLUMNS, BELOW_COLUMNS, TextTable

HEADINGS = ("metric", "difference", "from", "to", "may be chance")
_TITLES = {name: title.replace("\n", " ") for title, name in (AUC_COLUMNS | BELOW_COLUMNS).items()}


def difference_table(comparison: Comparison) -> TextTable:
    """One row a metric: the difference in its points (fractions in percent) and its 95 % interval."""
    rows = tuple(_row(name, row, comparison.num_blocks) for name, row in comparison.differences.items())
    note = (
        f"{comparison.instances} instances of both, a miss scores 0. From, to: 95 % interval of "
        f"{comparison.resamples} paired resamples (seed {comparison.seed}) of whole {comparison.block}s "
        f"({comparison.num_blocks})."
    )
    return TextTable(HEADINGS, rows, 0, note)


def compared(
    runs: Sequence[Path], data: DataOptions | None, evaluations: Mapping[str, Evaluation]
) -> tuple[list[tuple[str, TextTable]], list[str]]:
    """Titles and tables of what each other run has more than the first, or a note why that cannot be said.

    `evaluations` are the runs' by title, in their order; `data` is what they were scored by.
    """
    if data is None or len(evaluations) < 2:
        return [], []
    (baseline, first), *others = evaluations.items()
    try:
        for run in runs:
            require_asked(run, first.errors, data)
        found = [compare(first.errors, other.errors, (baseline, title)) for title, other in others]
    except SelfPose6DError as error:
        return [], [f"Not compared: {error}"]
    return [(difference_title(one), difference_table(one)) for one in found], []


def difference_title(comparison: Comparison) -> str:
    """What is subtracted from what."""
    return f"{comparison.run} - {comparison.baseline}"


def _row(name: str, row: Difference, num_blocks: int) -> tuple[str, ...]:
    scale = 1 if name.endswith("_auc") else 100
    cells = (f"{scale * x:+.2f}" if math.isfinite(x) else ABSENT for x in (row.value, row.low, row.high))
    return (_TITLES[name] + ("" if scale == 1 else " %"), *cells, _verdict(row, num_blocks))


def _verdict(row: Difference, num_blocks: int) -> str:
    if num_blocks < MIN_BLOCKS:
        return f"not known (fewer than {MIN_BLOCKS})"
    return "no" if row.excludes_zero else "yes"
