"""What a run says of itself, without any true pose: statuses by object, and why instances were rejected."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from selfpose6d.evaluation.instances import Estimates
from selfpose6d.reporting.tables import TextTable
from selfpose6d.runs.predictions import read_skipped
from selfpose6d.types import PoseEstimate

MOST_REASONS = 20
STATUSES = ("certified", "ambiguous", "rejected")
SKIPPED_NAME = "skipped.jsonl"


def read_run_skipped(run: Path) -> list[PoseEstimate]:
    """The skipped instances of a run folder; none where it has no such file."""
    path = run / SKIPPED_NAME
    return list(read_skipped(path)) if path.is_file() else []


def status_table(
    estimates: Estimates, skipped: Iterable[PoseEstimate], names: Mapping[int, str]
) -> TextTable:
    """How many instances of each object have which status."""
    skips = Counter(instance.key.obj_id for instance in skipped)
    objects = sorted({*estimates.obj_id.tolist(), *skips})
    rows = [
        (f"{i} {names.get(i, '')}".strip(), *_cells(estimates.take(estimates.obj_id == i), skips[i]))
        for i in objects
    ]
    rows.append(("all", *_cells(estimates, skips.total())))
    headings = ("object", "instances", *STATUSES, "skipped", "median\nconfidence")
    return TextTable(headings, tuple(rows), 1, "")


def reason_table(estimates: Estimates, skipped: Iterable[PoseEstimate]) -> TextTable:
    """Why poses are not certified and instances were skipped, most frequent first; numbers are left out."""
    pairs = [
        (status, reason)
        for status, reason in zip(estimates.status.tolist(), estimates.reason.tolist(), strict=True)
        if reason and status != "certified"
    ]
    pairs += [("skipped", instance.reason) for instance in skipped]
    counts = Counter((status, _without_numbers(reason)) for status, reason in pairs)
    rows = tuple((reason, status, str(count)) for (status, reason), count in counts.most_common(MOST_REASONS))
    return TextTable(("reason", "status", "instances"), rows, 0, "")


def _cells(estimates: Estimates, skipped: int) -> tuple[str, ...]:
    counts = [str(int(np.sum(estimates.status == status))) for status in STATUSES]
    middle = f"{np.median(estimates.confidence):.2f}" if len(estimates) else "-"
    return (str(len(estimates) + skipped), *counts, str(skipped), middle)


def _without_numbers(reason: str) -> str:
    return re.sub(r"(?<![\w.])-?\d+(\.\d+)?(?![\w])", "#", reason)
