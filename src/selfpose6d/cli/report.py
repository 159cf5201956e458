"""`selfpose6d report RUN`: one self-contained page of a run, `RUN/report.html`, and its contact sheets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from selfpose6d.cli.output import add_result
from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset


@dataclass(frozen=True)
class Command:
    """Write one page: frames, doubtful instances with their alternatives, all instances, scores by object, curves.

    It is one file that fetches nothing and names no folder. Scores are those of evaluate, which runs first where it has
    not; a person's review is honoured. Without true poses the page has statuses, reasons and pictures. A training run's
    page has its learning curves, and so has that of an estimate made with it.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of annotate, estimate or train."""
    compare: Several[Path] = ()
    """More runs or predictions files on the same data, side by side in tables, curves and pictures of what differs."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""
    pictures: int = 8
    """How many frames and ambiguous, rejected, worst and differing instances to show, each; 0 leaves pictures out."""
    out: Unset[Path] = None
    """The page (default: report.html in the run's folder)."""

    def run(self) -> int:
        """Gather what there is, write the page, print its path."""
        from selfpose6d.reporting.contents import gather
        from selfpose6d.reporting.page import write_report
        from selfpose6d.reporting.run_sources import resolve_sources

        if self.pictures < 0:
            raise UsageError(f"--pictures must be 0 or more, got {self.pictures}. 0 leaves pictures out.")
        sources = resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit)
        path = self.out or sources.files.report
        write_report(gather(sources, self.compare, self.pictures), path)
        print(f"written: {path}")
        add_result(report=path)
        return 0
