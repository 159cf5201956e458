"""What long commands show on the terminal: a bar with rate and time left, warnings above it."""

import sys

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
