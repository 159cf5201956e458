"""What long commands show on the terminal: a bar with rate and time left, warnings above it."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from selfpose6d.runs.folder import RunFolder
from selfpose6d.runs.journal import JournalRecord

ERRORS = Console(stderr=True)


class RateColumn(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> Text:
        """The mean rate so far."""
        rate = task.finished_speed or task.speed
        return Text(f"{rate:.1f} frames/s" if rate else "- frames/s", style="progress.data.speed")


def progress_bar() -> Progress:
    """A bar on standard error; silent where that is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=ERRORS, disable=not sys.stderr.isatty())


def warn(message: str) -> None:
    """One line on standard error."""
    ERRORS.print(f"warning: {' '.join(message.split())}", markup=False, highlight=False, soft_wrap=True)


def keep_records(run: RunFolder, records: Iterable[JournalRecord], count: int, description: str) -> None:
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
