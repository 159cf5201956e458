"""`selfpose6d export RUN --to DIR`: a run's labels as a data set that other tools read; `export MODEL --to X.onnx`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from tyro.conf import Positional, arg

from selfpose6d.cli.frames import UNUSABLE_SHARE
from selfpose6d.cli.output import add_result
from selfpose6d.errors import UsageError
from selfpose6d.meshes.units import Unit
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from selfpose6d.export.export import Exported, ExportOptions
    from selfpose6d.export.labels import ExportedStatus


@dataclass(frozen=True)
class Command:
    """Write the certified poses of a run, as its review corrects them, as a complete data set: images, masks, cameras,
    poses, models.

    Instances without an accepted label are left out together with their masks; they are regions to be ignored in the
    COCO files, and their frames are listed in incomplete_frames.json. The same command again continues an export that
    was stopped.
    """

    run_folder: Annotated[Positional[Path], arg(metavar="RUN")]
    """The --out of annotate, find, or estimate --verify. Or a trained network: the --out of train, or a .safetensors
    file, with --to FILE.onnx."""
    to: Path
    """Folder to write; it may hold other splits of the same format. For a network: the file, which must end in .onnx;
    its refiner is written beside it."""
    format: Literal["bop", "bop-webdataset", "coco", "foundationpose"] = "bop"
    """bop: scenes of images, masks, scene_gt.json and models. bop-webdataset: the same in tar shards. coco: images and
    one instances_<split>.json. foundationpose: a folder of RGB, depth, masks and poses for each scene and object, of
    the frames that show the object once."""
    status: str = "certified,reviewed"
    """Which poses, with commas: certified (by the run), reviewed (accepted or corrected in review.jsonl), ambiguous
    (the first of several), rejected. What a review rejected is never exported."""
    complete_frames: bool = False
    """Leave out frames with an instance that has no accepted label."""
    copy: bool = False
    """Copy the images (this is what happens by itself)."""
    link: bool = False
    """Link to the data set's images instead (symbolic links)."""
    overwrite: bool = False
    """Export a split anew that is finished, or was begun from other labels (after more review) or other options."""
    dataset: Unset[Path] = None
    """The data set (default: as the run's config.yaml says)."""
    models: Unset[Path] = None
    """Folder of models (default: as config.yaml says)."""
    model_unit: Unset[Unit] = None
    """Unit of the models (default: as config.yaml says)."""

    def run(self) -> int:
        """Export, print what came of it.

        Raises:
            UsageError: a network that is not to go into an .onnx file, or the other way round.
        """
        from selfpose6d.export.export import export_labels, without_objects
        from selfpose6d.reporting.console import progress_bar, warn
        from selfpose6d.reporting.run_sources import resolve_sources
        from selfpose6d.runs.in_use import working_in

        if self._is_network():
            from selfpose6d.cli.export_network import run as export_network

            self._require_network_options()
            return export_network(self.run_folder, self.to, self.models, self.model_unit)
        options = self.options()
        sources = resolve_sources(self.run_folder, self.dataset, self.models, self.model_unit)
        selection = without_objects(sources.config.data.selection) if sources.config else None
        dataset = sources.open_dataset(selection)
        with working_in(self.to, "--to", "folder"), progress_bar() as bar:
            task = bar.add_task("export", total=len(dataset.frame_ids()))
            exported = export_labels(sources.run, dataset, self.to, options, lambda: bar.advance(task))
        for reason in exported.unreadable:
            warn(f"frame left out: {reason}")
        print(summary(exported, self.to, options))
        add_result(to=self.to, split=exported.split, **exported.counts())
        frames = exported.frames + len(exported.unreadable)
        return 1 if len(exported.unreadable) >= UNUSABLE_SHARE * max(frames, 1) else 0

    def _require_network_options(self) -> None:
        only_data = ("format", "status", "complete_frames", "copy", "link", "overwrite", "dataset")
        defaults = {field.name: field.default for field in fields(self)}
        if given := [name for name in only_data if getattr(self, name) != defaults[name]]:
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
            raise UsageError(f"{flags}: a network is exported without. Leave them out.")

    def _is_network(self) -> bool:
        from selfpose6d.runs.config import read_config
        from selfpose6d.runs.files import RunFiles

        source = self.run_folder
        trained = RunFiles(source).config.is_file() and read_config(source).command == "train"
        if (source.is_file() or trained) != (self.to.suffix == ".onnx"):
            is_network = trained or source.is_file()
            kind = "a network" if is_network else "no network"
            wanted = "a file that ends in .onnx" if is_network else "a folder"
            raise UsageError(f"{source} is {kind}: --to must be {wanted}, got {self.to}.")
        return self.to.suffix == ".onnx"

    def options(self) -> "ExportOptions":
        """What is exported.

        Raises:
            UsageError: an unknown status.
        """
        from selfpose6d.export.export import ExportOptions

        if self.link and self.copy:
            raise UsageError("--link and --copy exclude each other. Leave one of them out.")
        return ExportOptions(
            self.format, parse_statuses(self.status), self.complete_frames, self.link, self.overwrite
        )


def parse_statuses(text: str) -> "tuple[ExportedStatus, ...]":
    """The statuses of a list with commas, in a fixed order.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    from selfpose6d.export.labels import ExportedStatus

    known: tuple[ExportedStatus, ...] = get_args(ExportedStatus)
    given = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in given if word not in known]
    if wrong or not given:
        got = wrong[0] if wrong else text
        raise UsageError(f"--status: expected some of {', '.join(known)} with commas between, got {got!r}.")
    return tuple(status for status in known if status in given)


def summary(exported: "Exported", to: Path, options: "ExportOptions") -> str:
    """What was written, in words."""
    lines = [f"{exported.poses} poses in {exported.frames} frames of split {exported.split}"]
    if exported.incomplete and options.complete_frames:
        lines.append(f"{exported.incomplete} frames left out: they show instances without an accepted label")
    elif exported.incomplete:
        lines.append(
            f"{exported.ignored} instances without an accepted label in {exported.incomplete} frames: left out, listed "
            "in incomplete_frames.json"
        )
    return "\n".join([*lines, f"written: {to}"])
