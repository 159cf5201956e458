"""What a training run says while it runs: `log.jsonl`, TensorBoard and the terminal."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from selfpose6d.files import replacing
from selfpose6d.runs.files import RunFiles
from selfpose6d.runs.json_lines import read_lines, to_line

_LINE_EVERY_S = 10.0


class RunLog:
    """Rows of numbers by step, to `log.jsonl` and TensorBoard."""

    def __init__(self, folder: Path, first_step: int) -> None:
        """Rows of a later step than `first_step`, written before a crash, are dropped.

        They are made again.
        """
        self._path = RunFiles(folder).log
        earlier = read_lines(self._path) if self._path.is_file() else ()
        kept = [row for _, row in earlier if row["step"] <= first_step]
        with replacing(self._path) as file:
            file.writelines(map(to_line, kept))
        self._board = SummaryWriter(str(RunFiles(folder).tensorboard), purge_step=first_step + 1)

    def add(self, step: int, kind: str, values: Mapping[str, float], stage: str) -> None:
        """Write one row; `kind` is `train` or `validation`, `step` the number of steps done."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(to_line({"step": step, "kind": kind, "stage": stage, **values}))
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Flush TensorBoard's file."""
        self._board.close()


class StepProgress:
    """A progress bar with loss, rate and time left.

    Plain lines every few seconds where there is no terminal.
    """

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._last_line_s = 0.0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        self._bar = Progress(*columns, disable=not (enabled and sys.stdout.isatty()))
        self._task = self._bar.add_task("training", total=None, note="")

    def __enter__(self) -> "StepProgress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def update(self, stage: str, step: int, total: int | None, note: str) -> None:
        """Show that `step` of `total` steps are done."""
        self._bar.update(self._task, description=stage, completed=step, total=total, note=note)
        now_s = time.monotonic()
        due = now_s - self._last_line_s > _LINE_EVERY_S or step == total
        if self._enabled and self._bar.disable and due:
            self._last_line_s = now_s
            print(f"{stage}: step {step} of {total or '?'}, {note}", flush=True)
