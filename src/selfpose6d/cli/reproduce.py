"""`selfpose6d reproduce TABLE [DATASET] --out RUN`: the paper's tables and figure, ours beside the printed ones."""

import contextlib
import importlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset

if TYPE_CHECKING:
    from rich.console import Console

    from selfpose6d.reproduction.request import Request

PIPED_WIDTH = 200
"""Columns of the tables where there is no terminal: all of a wide table side by side."""
QUIET = ("evaluate",)
"""Commands whose own tables are left out: the scores stand in the one that is made."""


@dataclass(frozen=True)
class Command:
    """Train what is missing or take finished runs, score them all, and write the table beside the printed figures.

    Writes <table>.md, .csv, .json and index.html. Every column is an ordinary run folder made by the commands that are
    printed. The same command again goes on where it stopped; finished columns are not made again.
    """

    table: Annotated[Positional[Literal["table1", "table2", "table3", "figure4"]], arg(metavar="TABLE")]
    """table1: all methods, ADD-S as printed, with ADD and ADD(-S). table2: weighted fusion. table3: cost of
    resolver and renderer. figure4: back-projected models."""
    dataset: Annotated[Positional[Unset[Path]], arg(metavar="DATASET")] = None
    """BOP root or YCB-Video root with train and test frames (default: frames rendered into RUN/data)."""
    out: Path = field(kw_only=True)
    """The folder of the table and of its runs."""
    objects: Several[int] = ()
    """Rows (default: the paper's objects where the models have them, else all)."""
    columns: Several[str] = ()
    """Only these columns (default: all)."""
    budget: Unset[float] = None
    """Minutes that everything may take. Up to a quarter goes to estimating, the trainings share the rest equally;
    frames are taken as the time allows."""
    max_steps: Unset[int] = None
    """Steps of each training, instead of a share of the budget."""
    runs: Several[str] = ()
    """COLUMN=FOLDER: take a finished run of train, estimate or annotate instead of making it."""
    models: Unset[Path] = None
    """Folder of meshes: to render from, or instead of the data set's own."""
    model_unit: Unset[Unit] = None
    """Unit of the meshes, where their layout does not say it."""
    train_split: Unset[str] = None
    """Split to train on (default: train, or train_real)."""
    test_split: str = "test"
    """Split to test on."""
    train_frames: Unset[int] = None
    """Most frames to train on, evenly spread (default: all; rendered: 1200)."""
    test_frames: Unset[int] = None
    """Most frames to test on, evenly spread (default: all; rendered: 60)."""
    size: Literal["small", "paper"] = "small"
    """The network: small for CPUs, paper as printed."""
    literal: bool = False
    """Train recipe paper with --literal: what the paper says and nothing else."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train and estimate."""
    seed: int = 0
    """Of rendered scenes, trainings and estimates."""
    dry_run: bool = False
    """Only say which frames, how much disk, memory and time it would take; a few frames are measured for that."""

    def run(self) -> int:
        """Make the table, print it, write it."""
        from selfpose6d.reporting.console import plain_console
        from selfpose6d.reporting.tables import to_rich
        from selfpose6d.reproduction.output import write_output
        from selfpose6d.reproduction.reproduce import reproduce

        console = plain_console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
        request = self._request()
        if self.dry_run:
            return self._dry_run(request, console)
        output = reproduce(request, _run, _say, lambda part: _write(part, self.out))
        for title, table in output.tables:
            console.print(to_rich(table, f"{output.title}: {title}", console.width))
        for line in output.protocol:
            print(f"- {line}")
        print(f"written: {' '.join(map(str, write_output(output, self.out)))}")
        return 0

    def _request(self) -> "Request":
        from selfpose6d.backend import resolve_device
        from selfpose6d.reproduction.request import Request, parse_runs

        return Request(
            table=self.table,
            out=self.out,
            dataset=self.dataset,
            models=self.models,
            model_unit=self.model_unit,
            objects=self.objects,
            columns=self.columns,
            budget_minutes=self.budget,
            max_steps=self.max_steps,
            size=self.size,
            literal=self.literal,
            train_split=self.train_split,
            test_split=self.test_split,
            train_frames=self.train_frames,
            test_frames=self.test_frames,
            runs=parse_runs(self.runs),
            device=resolve_device(self.device),
            seed=self.seed,
        )

    def _dry_run(self, request: "Request", console: "Console") -> int:
        from selfpose6d.errors import UsageError
        from selfpose6d.reporting.tables import to_rich
        from selfpose6d.reproduction.dry_run import dry_run
        from selfpose6d.reproduction.reproduce import planned

        if request.table == "table3":
            raise UsageError("--dry-run: table3 takes a minute and trains nothing. Leave it out.")
        plan, left_out = planned(request, dry=True)
        frames, times, lines = dry_run(request, plan, _run)
        console.print(to_rich(frames, f"{plan.name}: frames", console.width))
        console.print(to_rich(times, f"{plan.name}: time", console.width))
        for line in (*left_out, *lines):
            print(line)
        return 0


def _run(name: str, arguments: Sequence[str]) -> int:
    """Run another command in this process; what it cannot do is raised."""
    from selfpose6d.cli.main import parse

    _say(f"$ selfpose6d {name} {_shortened(arguments)}")
    command = parse(importlib.import_module(f"selfpose6d.cli.{name}").Command, name, arguments)
    with contextlib.redirect_stdout(io.StringIO()) if name in QUIET else contextlib.nullcontext():
        return command.run()


def _shortened(arguments: Sequence[str], longest: int = 300) -> str:
    text = " ".join(arguments)
    return text if len(text) <= longest else f"{text[:longest]} ..."


def _say(line: str) -> None:
    print(line, flush=True)


def _write(output: object, folder: Path) -> None:
    from selfpose6d.reproduction.output import Output, write_output

    assert isinstance(output, Output)
    write_output(output, folder)
