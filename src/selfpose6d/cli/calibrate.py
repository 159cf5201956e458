"""`selfpose6d calibrate --out FILE`: measure what a certificate is worth on rendered scenes."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from selfpose6d.cli.output import add_result
from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Several, Unset

if TYPE_CHECKING:
    from selfpose6d.calibration.make import CalibrateOptions


@dataclass(frozen=True)
class Command:
    """Measure what a certificate is worth: render scenes, annotate them, compare with the truth.

    Sensors (structured light, stereo, time of flight), masks (exact and of five faulty kinds), light, sizes, occlusion
    and the meshes' own errors vary. Half of the scenes teach a score, the other half choose the thresholds by
    Learn-then-Test. Pass the file to annotate --calibration. The same command continues a run that was stopped.
    """

    out: Path
    """The calibration file; the scenes' results are kept beside it, in OUT.scenes.jsonl."""
    models: Unset[Path] = None
    """Folder of meshes (default: the built-in objects)."""
    model_unit: Unset[Unit] = None
    """Unit of the meshes in --models; obj_NNNNNN.ply is in mm unless said otherwise."""
    objects: Several[int] = ()
    """Ids of the objects to use (default: all)."""
    scenes: int = 2000
    """How many to render: 2,000 take about ten minutes on two cores; the more, the less is lost to the bound (the
    shipped calibration has 6,233). Fewer than about 1,500 prove no risk of 1 %."""
    refinement: Literal["gauss-newton", "joint-loss"] = "gauss-newton"
    """As annotate's: a calibration holds for one."""
    seed: int = 0
    """All scenes follow it."""
    workers: int = 0
    """Processes; 0: one a core, as memory allows. Does not change the result."""

    def run(self) -> int:
        """Render and annotate with a bar, fit, write, and say what was found."""
        from selfpose6d.calibration.make import annotate_scenes, make_calibration
        from selfpose6d.reporting.calibration_summary import print_calibration
        from selfpose6d.reporting.console import progress_bar
        from selfpose6d.runs.in_use import claimed, lock_beside

        if self.workers < 0:
            raise UsageError(f"--workers must be 0 or more, got {self.workers}. 0 chooses by itself.")
        if self.out.is_dir():
            raise UsageError(f"--out {self.out} is a folder. Name a file, as in --out calibration.json.")
        options = self.options()
        journal = self.out.with_name(f"{self.out.name}.scenes.jsonl")
        with claimed(lock_beside(self.out), f"calibration {self.out}"):
            with progress_bar() as progress:
                bar = progress.add_task("calibrating", total=self.scenes)
                results = annotate_scenes(options, journal, self.workers, lambda: progress.advance(bar))
            calibration = make_calibration(options, results)
            calibration.save(self.out)
        print_calibration(calibration, results)
        print(f"written: {self.out}")
        add_result(calibration=self.out)
        print(f"next: selfpose6d annotate DATASET --out RUN --calibration {self.out}")
        return 0

    def options(self) -> "CalibrateOptions":
        """What the calibration is made from."""
        from selfpose6d.calibration.make import CalibrateOptions
        from selfpose6d.datasets.model_files import find_model_files, require_models
        from selfpose6d.labeling.annotate import AnnotateOptions
        from selfpose6d.labeling.search import SearchOptions

        models = None
        if self.models is not None:
            models = find_model_files(self.models, self.model_unit)
            require_models(models)
        annotate = AnnotateOptions(search=SearchOptions(refinement=self.refinement))
        return CalibrateOptions(models, self.objects, self.scenes, self.seed, annotate)
