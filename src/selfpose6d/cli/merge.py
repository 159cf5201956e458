"""`selfpose6d merge RUN`: the shards of a run become the run's result files."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from selfpose6d.meshes.units import Unit
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.manifest import Manifest


@dataclass(frozen=True)
class Command:
    """Join the shards that annotate, find or estimate wrote with --shard, and write the result files.

    They are those that one process would have written. Refused while a shard is missing; the same command again goes on
    where it was stopped.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of the command that wrote the shards."""
    overlays: int = 24
    """How many frames to draw, spread evenly; 0 for none. None are drawn of estimate."""
    remove_shards: bool = False
    """Remove the shards when their rows are in the run's journal."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""

    def run(self) -> int:
        """Merge, write the result files, print what the run holds.

        Raises:
            UsageError: it is no run in shards, or a shard is missing.
            DataError: a shard is broken.
        """
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.runs.config import read_config
        from selfpose6d.runs.files import RunFiles
        from selfpose6d.runs.folder import RunFolder
        from selfpose6d.runs.in_use import working_in
        from selfpose6d.runs.manifest import read_manifest
        from selfpose6d.runs.merge import require_whole

        data = resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit).data
        run = RunFolder(RunFiles(self.run_folder), read_config(self.run_folder))
        manifest = read_manifest(run.files.manifest)
        assert data is not None, "read_config would have refused a run that does not say its data"
        with working_in(self.run_folder):
            dataset = data.open("test", without_masks=True)
            require_whole(run, manifest, dataset.frame_ids())
            return self._finish(run, manifest, dataset)

    def _finish(self, run: "RunFolder", manifest: "Manifest", dataset: "Dataset") -> int:
        import shutil

        from selfpose6d.cli.frames import finish_run, merge, report_counts
        from selfpose6d.reporting.run_summary import print_estimates, print_summary

        merge(run, manifest, dataset.frame_ids())
        is_estimate = run.config.command == "estimate"
        finish_run(run, dataset, manifest.results, 0 if is_estimate else self.overlays)
        names = dataset.object_names()
        if is_estimate:
            print_estimates(run.files, dataset.root, {}, 0, names)
        else:
            print_summary(run.files, names)
        if self.remove_shards and run.files.shards.is_dir():
            shutil.rmtree(run.files.shards)
        return report_counts(run, finds=manifest.results.found)
