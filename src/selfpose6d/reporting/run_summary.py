"""What a run says of itself, without any true pose: statuses by object, and why instances were rejected."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from selfpose6d.datasets.object_label import object_label, with_object_names
from selfpose6d.errors import DataError
from selfpose6d.evaluation.instances import Claim, Estimates, claim_of
from selfpose6d.reporting.reasons import count_reasons, without_details
from selfpose6d.reporting.reliability_tables import claim_text
from selfpose6d.reporting.tables import TextTable
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.predictions import read_skipped
from selfpose6d.types import MaskQuality, PoseEstimate, Status

MOST_REASONS = 20
"""Rows of the page's table; `annotate` prints the first `MOST_PRINTED` only."""
MOST_PRINTED = 6
STATUSES = get_args(Status)
MASK_QUALITIES = get_args(MaskQuality)


def read_run_skipped(run: RunFiles) -> list[PoseEstimate]:
    """The skipped instances of a run folder; none where it has no such file."""
    return list(_skipped(run))


def _skipped(run: RunFiles) -> Iterator[PoseEstimate]:
    return read_skipped(run.skipped) if run.skipped.is_file() else iter(())


def status_table(
    estimates: Estimates, skipped: Iterable[PoseEstimate], names: Mapping[int, str]
) -> TextTable:
    """How many instances of each object have which status."""
    skips = Counter(instance.key.obj_id for instance in skipped)
    objects = sorted({*estimates.obj_id.tolist(), *skips})
    rows = [
        (object_label(i, names), *_cells(estimates.take(estimates.obj_id == i), skips[i])) for i in objects
    ]
    rows.append(("all", *_cells(estimates, skips.total())))
    headings = ("object", "instances", *STATUSES, "skipped", "median\nconfidence")
    return TextTable(headings, tuple(rows), 1, "")


def reason_table(
    estimates: Estimates, skipped: Iterable[PoseEstimate], names: Mapping[int, str]
) -> TextTable:
    """Why poses are not certified and instances were skipped, most frequent first."""
    pairs = [
        (status, reason)
        for status, reason in zip(estimates.status.tolist(), estimates.reason.tolist(), strict=True)
        if reason and status != "certified"
    ]
    pairs += [("skipped", instance.reason) for instance in skipped]
    counted = count_reasons((status, with_object_names(reason, names)) for status, reason in pairs)
    rows = tuple((reason, status, str(count)) for status, reason, count in counted[:MOST_REASONS])
    return TextTable(("reason", "status", "instances"), rows, 0, _left_out(counted))


def turned_away_table(rows: Iterable[Mapping[str, Any]], names: Mapping[int, str]) -> TextTable:
    """Reasons for which pieces of the surface are not an object, by object, most frequent first."""
    counted = count_reasons(
        (object_label(int(row["obj_id"]), names), with_object_names(str(row["reason"]), names))
        for row in rows
    )
    body = tuple((label, reason, str(count)) for label, reason, count in counted[:MOST_REASONS])
    return TextTable(("object", "reason", "pieces"), body, 0, _left_out(counted))


def _cells(estimates: Estimates, skipped: int) -> tuple[str, ...]:
    counts = [str(int(np.sum(estimates.status == status))) for status in STATUSES]
    middle = f"{np.median(estimates.confidence):.2f}" if len(estimates) else "-"
    return (str(len(estimates) + skipped), *counts, str(skipped), middle)


def _left_out(counted: list[tuple[str, str, int]]) -> str:
    """What a table of the first reasons says of the others."""
    rest = counted[MOST_REASONS:]
    return f"{len(rest)} rarer ones ({sum(row[2] for row in rest)} in all) are left out." if rest else ""


def print_summary(run: RunFiles, names: Mapping[int, str]) -> None:
    """Statuses, the most frequent reasons, what the certificates promise, and where an annotate run's files are.

    `names` are the objects', by id.
    """
    statuses, reasons, times_s = Counter[str](), Counter[str](), array("d")
    qualities, claims = Counter[str](), Counter[Claim]()
    for label in read_certificates(run.certificates):
        statuses[label.certificate.status] += 1
        times_s.append(label.time_s)
        qualities[label.certificate.mask_quality or ""] += 1
        if (claim := claim_of(label.certificate)) is not None:
            claims[claim] += 1
        if label.certificate.reason:
            reasons[without_details(label.certificate.reason)] += 1
    skipped = Counter(without_details(pose.reason) for pose in _skipped(run))
    said = (
        with_object_names(reason, names) for counted in (reasons, skipped) for reason in counted.elements()
    )
    total = statuses.total() + skipped.total()
    parts = [f"{statuses[status]} {status}" for status in STATUSES]
    print(f"{total} instances: {', '.join(parts)}, {skipped.total()} skipped")
    for _, reason, count in count_reasons(("", reason) for reason in said)[:MOST_PRINTED]:
        print(f"  {count:5d}  {reason}")
    if known := [f"{qualities[quality]} {quality}" for quality in MASK_QUALITIES if qualities[quality]]:
        print(f"masks: {', '.join(known)}")
    for claim in claims:
        print(claim_text(claim))
    if times_s:
        print(f"median {1e3 * float(np.median(times_s)):.0f} ms an instance")
    print(f"written: {run.predictions} {run.certificates.name} {run.skipped.name} {run.overlays.name}/")
    print(f"next: selfpose6d report {run.folder}, then selfpose6d export {run.folder} --to DIR")


def print_estimates(
    run: RunFiles,
    dataset: Path,
    times_s: Mapping[str, float],
    num_instances: int,
    names: Mapping[int, str],
) -> None:
    """How many poses an estimate run has, why the others are missing, and which stage took how long.

    `names` are the objects', by id.

    Raises:
        DataError: there is not one pose.
    """
    with run.predictions.open(encoding="utf-8") as file:
        estimated = sum(1 for _ in file) - 1  # below its header
    reasons = Counter(with_object_names(pose.reason, names) for pose in _skipped(run))
    if not estimated:
        shown = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3))
        raise DataError(
            f"no instance of {dataset} could be estimated: {shown or 'there is none'}. "
            f"Run selfpose6d validate {dataset}."
        )
    print(
        f"{run.folder}: {estimated} poses, {reasons.total()} instances skipped ({run.skipped.name} says why)"
    )
    if num_instances:
        parts = (f"{stage} {1e3 * time_s / num_instances:.1f}" for stage, time_s in times_s.items())
        print(f"ms an instance: {', '.join(parts)}")
