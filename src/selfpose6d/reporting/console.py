"""What long commands show on the terminal: a bar with rate and time left, warnings above it."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from selfpose6d.options import QUIET_VARIABLE

if TYPE_CHECKING:
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.journal import JournalRecord


def plain_console(stderr: bool = False, width: int | None = None) -> Console:
    """A terminal to print names and paths on, which are text whatever brackets and colons are in them."""
    return Console(stderr=stderr, width=width, markup=False, emoji=False)


ERRORS = plain_console(stderr=True)


class RateColumn(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> Text:
        """The mean rate so far."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.1f} frames/s" if rate else "- frames/s", style="progress.data.speed")


class ProgressLines(Progress):
    """A bar on a terminal; elsewhere a line every tenth of the work, at most one in `SECONDS_A_LINE`."""

    SECONDS_A_LINE = 10.0

    def __init__(self, *columns: ProgressColumn, unit: str, **options: Any) -> None:
        """`unit`: what is counted, in the plural; `options` are `rich.progress.Progress`'s."""
        self._lines = not ERRORS.is_terminal and QUIET_VARIABLE not in os.environ
        self._unit = unit
        self._said: dict[TaskID, tuple[float, float]] = {}
        options = {
            "console": ERRORS,
            "disable": not sys.stderr.isatty(),
            "auto_refresh": sys.stderr.isatty(),
        } | options
        super().__init__(*columns, **options)

    def update(self, task_id: TaskID, *args: Any, **fields: Any) -> None:
        """As rich does, and perhaps a line."""
        super().update(task_id, *args, **fields)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: int | float = 1) -> None:
        """As rich does, and perhaps a line."""
        super().advance(task_id, advance)
        self._say(task_id)

    def _say(self, task_id: TaskID) -> None:
        if not self._lines:
            return
        task, now_s = self._tasks[task_id], time.monotonic()
        done = task.completed / task.total if task.total else None
        last_done, last_s = self._said.setdefault(task_id, (0.0, now_s))
        is_far = done is None or (done - last_done >= 0.1 and done < 1)
        if is_far and now_s - last_s >= self.SECONDS_A_LINE:
            left_s = f", {task.time_remaining:.0f} s left" if task.time_remaining else ""
            total = f" of {task.total:.0f}" if task.total else ""
            ERRORS.print(
                f"{task.description}: {task.completed:.0f}{total} {self._unit}{left_s}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
            self._said[task_id] = done or 0.0, now_s


def progress_bar(unit: str = "frames", **options: Any) -> Progress:
    """Progress on standard error: a bar on a terminal, now and then a line elsewhere, nothing with `--quiet`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    quiet = {"disable": True} if QUIET_VARIABLE in os.environ else {}
    return ProgressLines(*columns, unit=unit, **options, **quiet)


def warn(message: str) -> None:
    """One line on standard error."""
    ERRORS.print(f"warning: {' '.join(message.split())}", markup=False, highlight=False, soft_wrap=True)


def keep_records(run: "RunFolder", records: "Iterable[JournalRecord]", count: int, description: str) -> None:
    """Write each record to the journal when it comes, with a bar; a frame that could not be read is a warning."""
    with progress_bar() as progress:
        for record in progress.track(records, total=count, description=description):
            run.journal.append(record)
            if record.error:
                warn(f"frame skipped: {record.error}")


@contextmanager
def decoding_bar(frames: int) -> Iterator[Callable[[], None]]:
    """Gives what to call after each decoded frame; the bar is gone when all are: the training has one of its own."""
    bar = Progress(transient=True)
    task = bar.add_task("decoding", total=frames)

    def advance() -> None:
        bar.start()
        bar.advance(task)
        if bar.finished:
            bar.stop()
            print(f"decoded {frames} frames")

    try:
        yield advance
    finally:
        bar.stop()
