"""`selfpose6d validate DATASET`: what is wrong with a data set, where, and how to mend it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from selfpose6d.selection import Selection


@dataclass(frozen=True)
class Command:
    """Check a data set: print every problem with path, reason and remedy; exit 1 on errors, 0 without."""

    dataset: tyro.conf.Positional[Path]
    """BOP root, YCB-Video root or capture folder."""
    split: str = "test"
    """Split to check."""
    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    models: Path | None = None
    """Folder of mesh files, instead of the data set's own `models/`."""
    model_unit: Literal["mm", "m"] | None = None
    """Unit of the mesh files, where the layout does not say it."""
    detections: Path | None = None
    """BOP detections file whose masks are checked instead of the data set's."""

    def run(self) -> int:
        """Check everything; problems go to standard output, progress to the terminal."""
        from rich.console import Console
        from rich.progress import Progress

        from selfpose6d.datasets.doctor.problems import Problem
        from selfpose6d.datasets.doctor.validate import Validation
        from selfpose6d.datasets.layouts import open_dataset
        from selfpose6d.errors import DataError

        try:
            dataset = open_dataset(
                self.dataset,
                self.split,
                self.selection,
                self.models,
                self.model_unit,
                self.detections,
                require_model_files=False,
            )
        except DataError as error:
            print(Problem("error", str(error)))
            return 1
        validation = Validation(dataset)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for problems in progress.track(
                validation.run(), total=len(dataset.frame_ids()) + 2, description="validate"
            ):
                for problem in problems:
                    print(problem)
        print(validation.summary())
        return 1 if validation.errors else 0
