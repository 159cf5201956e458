"""What long commands show on the terminal: a bar with rate and time left, warnings above it."""

import sys
from collections.abc import Iterable

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


class DecodingBar:
    """Shows how many frames are decoded; gone when all are: the training has a bar of its own."""

    def __init__(self, frames: int) -> None:
        self._bar, self._frames, self._done = Progress(transient=True), frames, 0
        self._task = self._bar.add_task("decoding", total=frames)

    def __enter__(self) -> "DecodingBar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One more frame is decoded."""
        if self._done == 0:
            self._bar.start()
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if self._done == self._frames:
            self._bar.stop()
            print(f"decoded {self._frames} frames")
