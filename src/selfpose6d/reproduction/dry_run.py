"""What a reproduction would take, before anything starts: frames, instances, disk, memory, time by column."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfpose6d.crops.crop import record_dtype
from selfpose6d.errors import UsageError
from selfpose6d.network.config import SIZES
from selfpose6d.processes import default_workers
from selfpose6d.reporting.tables import ABSENT, TextTable
from selfpose6d.reproduction.budget import Rates
from selfpose6d.reproduction.data import RunCommand, TableData, capped, open_data
from selfpose6d.reproduction.parts import Part
from selfpose6d.reproduction.pilot import Measured, measure_rates
from selfpose6d.reproduction.plan import Column, Plan
from selfpose6d.reproduction.request import RENDERED_TEST, RENDERED_TRAIN, Request
from selfpose6d.reproduction.shares import Shares, minutes_of_each, share_out

MB = 1e6
PILOT_FRAMES = 16
"""Rendered to measure on where there is no data set: two scenes."""


def dry_run(request: Request, plan: Plan, run: RunCommand) -> tuple[TextTable, TextTable, tuple[str, ...]]:
    """Frames and disk by part, time by column, and lines that say the rest. Nothing is written to `--out`.

    A few frames are cut, annotated and estimated to know the times; they are rendered aside where there is no data set.
    """
    with tempfile.TemporaryDirectory() as aside:
        asked = request
        if request.dataset is None:
            asked = replace(request, train_frames=PILOT_FRAMES, test_frames=PILOT_FRAMES)
        data = open_data(replace(asked, out=Path(aside)), plan, run)
        if request.dataset is not None:
            data = capped(data, request)
        measured = measure_rates(plan, data.train, data.test, request.size, request.device)
        shares, problem = _shares(request, plan, data)
        if request.dataset is None:
            shares = _scaled(request, plan, shares)
        times = _time_table(request, plan, shares, measured.rates)
        frames = _frame_table(request, plan, data, shares)
        return frames, times, (*_lines(request, measured), *problem)


def _shares(request: Request, plan: Plan, data: TableData) -> tuple[Shares, tuple[str, ...]]:
    """As the run would find them, whole where the budget is too small."""
    try:
        return share_out(request, plan, data), ()
    except UsageError as error:
        return share_out(replace(request, budget_minutes=None), plan, data), (str(error),)


def _scaled(request: Request, plan: Plan, shares: Shares) -> Shares:
    """Of the frames that would be rendered, instead of the pilot's."""
    train = (request.train_frames or RENDERED_TRAIN) if plan.trainings else 0
    test = request.test_frames or RENDERED_TEST
    return replace(shares, train_counts=(train, train), test_counts=(test, test))


def _frame_table(request: Request, plan: Plan, data: TableData, shares: Shares) -> TextTable:
    record_mb = record_dtype(SIZES[request.size].crop_px).itemsize / MB
    rows = []
    if plan.trainings:
        frames, all_frames = shares.train_counts
        instances = round(frames * shares.train_per_frame)
        rows.append(_frame_row("train", data.train, frames, all_frames, instances, instances * record_mb))
    if any(training.uses_synthetic for training in plan.trainings):
        frames = request.train_frames or RENDERED_TRAIN
        instances = round(frames * shares.train_per_frame)
        rows.append(("synthetic", "rendered", str(frames), str(frames), str(instances),
                     f"{instances * record_mb:.0f}"))  # fmt: skip
    rows.append(_frame_row("test", data.test, *shares.test_counts, shares.test_instances, 0.0))
    headings = ("part", "split", "frames\ntaken", "frames\nthere", "instances\n(about)", "crop cache\nMB")
    return TextTable(headings, tuple(rows), 0, "Crops are cut once and shared by all trainings.")


def _frame_row(
    name: str, part: Part, frames: int, all_frames: int, instances: int, disk_mb: float
) -> tuple[str, ...]:
    return (
        name,
        part.split,
        str(frames),
        str(all_frames),
        str(instances),
        f"{disk_mb:.1f}" if disk_mb else ABSENT,
    )


def _time_table(request: Request, plan: Plan, shares: Shares, rates: Rates) -> TextTable:
    minutes = _training_minutes(request, plan, shares, rates)
    trained: set[str] = set()
    rows = [_time_row(column, shares, rates, minutes, trained) for column in plan.columns]
    label_min = shares.label_frames * shares.train_per_frame * rates.label_s / 60
    if shares.labels is not None:
        rows.append(("labels", "annotate train frames", ABSENT, _minutes(label_min)))
    headings = ("column", "how", "training\nmin", "estimating\nmin")
    how = (
        "of each network, by --max-steps" if request.max_steps is not None else "of each network, by --budget"
    )
    note = f"Training: {how}. Estimating: measured on a few frames, of the whole machine."
    return TextTable(headings, tuple(rows), 0, note)


def _time_row(
    column: Column, shares: Shares, rates: Rates, minutes: float | None, trained: set[str]
) -> tuple[str, ...]:
    estimating_min = shares.test_instances * rates.instance_s[column.name] / 60
    training = ABSENT
    how = " ".join(("annotate", *column.options))
    if column.training is not None:
        shared = column.training.name in trained
        training = "shared" if shared else "?" if minutes is None else _minutes(minutes)
        trained.add(column.training.name)
        how = f"recipe {column.training.recipe}; estimate {' '.join(column.options)}".strip()
    return (column.name, how, training, _minutes(estimating_min))


def _training_minutes(request: Request, plan: Plan, shares: Shares, rates: Rates) -> float | None:
    if request.budget_minutes is None or request.max_steps is not None or not plan.trainings:
        return None
    annotating = (c for c in plan.columns if c.training is None)
    before_s = shares.test_instances * sum(rates.instance_s[column.name] for column in annotating)
    before_s += shares.train_counts[0] * rates.crop_frame_s
    before_s += shares.label_frames * shares.train_per_frame * rates.label_s
    shares = replace(shares, rates=rates)
    return minutes_of_each(request, plan, shares, before_s, len(plan.trainings))


def _minutes(value: float) -> str:
    return f"{value:.1f}" if value >= 0.05 or value == 0 else "<0.1"


def _lines(request: Request, measured: Measured) -> Sequence[str]:
    rates = measured.rates
    per_instance = ", ".join(f"{name} {1e3 * s:.0f}" for name, s in rates.instance_s.items())
    return (
        f"memory: {measured.peak_mb / 1000:.1f} GB in this process so far; annotating takes as much in each of "
        f"{default_workers()} processes, a training about as much again",
        f"measured on {measured.instances} instances: ms an instance: {per_instance}; cutting a frame's crops "
        f"{1e3 * rates.crop_frame_s:.0f} ms",
        f"nothing was written to {request.out}",
    )
