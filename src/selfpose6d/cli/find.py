"""`selfpose6d find DATASET --out RUN`: objects, masks and certified poses from frames and meshes alone, resumable."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import OmitArgPrefixes

from selfpose6d.cli.running import RunningOptions, with_absolute_paths
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.labeling.options import CertifyingOptions
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.finding.frame_finder import FrameCounts
    from selfpose6d.finding.promptable import PromptableModel
    from selfpose6d.finding.prompts import Prompts
    from selfpose6d.labeling.annotate import AnnotateOptions
    from selfpose6d.objects.store import ObjectStore
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.journal import JournalRecord
    from selfpose6d.segmentation.segmenter import Segmenter
    from selfpose6d.selection import FrameId


@dataclass(frozen=True)
class Command:
    """Find objects in frames without masks, label them with certified poses; no training, no labels, no masks.

    Writes detections.json (masks, BOP), turned_away.jsonl (what was tried, and why it is not among them) and what
    annotate writes. The same command again continues a run that was stopped. --objects says what may be there (default:
    every mesh); it does not narrow what evaluate scores.
    """

    data: OmitArgPrefixes[DataOptions]
    out: Path
    """The run's folder."""
    counts: Literal["any", "known"] = "any"
    """any: a frame may show none of an object, or several. known: as many of each as test_targets_bop19.json says of
    the frame, or each of --objects once where there is no such file."""
    prompts: Unset[Path] = None
    """JSON rows that say where objects are: image_id, scene_id, and segmentation, bbox or points, in pixels; one more
    source of pieces beside the surface's own."""
    segmenter: Unset[Path] = None
    """A training run or .safetensors file of train --task segment: what it sees is one more source of pieces."""
    osam: Unset[str] = None
    """A promptable model of the optional extra masks, as efficientsam:10m: another source. Takes seconds a frame, and a
    network the first time."""
    certifying: OmitArgPrefixes[CertifyingOptions] = field(default_factory=CertifyingOptions)
    running: OmitArgPrefixes[RunningOptions] = field(default_factory=RunningOptions)
    overlays: int = 24
    """How many frames to draw into overlays/ (poses) and masks/, spread evenly; 0 for none."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; auto takes cuda if there is one."""
    seed: int = 0
    """Seed of the random point samples."""

    def run(self) -> int:
        """Work on the frames that the run's journal does not hold yet, then write the result files."""
        from selfpose6d.backend import resolve_device
        from selfpose6d.cli.frames import (
            FrameWork,
            expect_workers,
            finish_run,
            report_counts,
            work_on_frames,
            workers_for,
        )
        from selfpose6d.datasets.model_files import write_ids
        from selfpose6d.objects.of_dataset import object_store
        from selfpose6d.reporting.run_summary import print_summary
        from selfpose6d.runs.outputs import ResultFiles

        self.running.require_valid()
        if self.data.detections is not None:
            raise UsageError(
                "--detections: find looks for the objects itself. Use selfpose6d annotate --detections FILE."
            )
        device = resolve_device(self.device)
        dataset = self.open_data()
        expect_workers(dataset, self.running, device)
        self.frame_counts(dataset)  # what is wrong with the inputs is said before the slow work begins
        self.read_prompts(dataset)
        if (segmenter := self.load_segmenter(device)) is not None:
            segmenter.require_objects({obj_id: dataset.load_mesh(obj_id) for obj_id in dataset.object_ids})
        self.load_promptable()
        models = object_store(dataset, device)
        with self._open_run(dataset) as run:
            write_ids(dataset.models, run.files.folder)
            require_same_numbers(run, dataset)
            results, elsewhere = ResultFiles(found=True), partial(frame_finder, with_absolute_paths(self))
            here = partial(frame_finder, self, models)
            work = FrameWork(run, dataset, results, here, elsewhere, self.device)
            if not work_on_frames(work, self.running, workers_for(work.count_left(), self.running, device)):
                return 0
            finish_run(run, dataset, results, self.overlays)
            print_summary(run.files, dataset.object_names())
            return report_counts(run, finds=True)

    def open_data(self) -> "Dataset":
        """The data set; none of its masks is read."""
        return self.data.open("test", without_masks=True)

    def frame_counts(self, dataset: "Dataset") -> "FrameCounts":
        """What may be in each frame.

        Raises:
            DataError: the list of targets is broken.
        """
        from selfpose6d.datasets.bop.targets import read_target_counts, targets_path
        from selfpose6d.finding.frame_finder import FrameCounts

        known, targets = self.counts == "known", None
        if known and dataset.layout == "bop" and targets_path(dataset.root).is_file():
            targets = read_target_counts(dataset.root)
        return FrameCounts(dataset.object_ids, known, targets)

    def read_prompts(self, dataset: "Dataset") -> "Prompts | None":
        """The prompts file, if there is one; its images are the data set's.

        Raises:
            UsageError: there is no such file.
            DataError: it is broken.
        """
        from selfpose6d.checks import require_existing
        from selfpose6d.datasets.detection_ids import DetectionIds
        from selfpose6d.finding.prompts import Prompts

        if self.prompts is None:
            return None
        path = require_existing(self.prompts, "prompts file", "Correct --prompts.")
        return Prompts(path, DetectionIds(dataset))

    def load_segmenter(self, device: str) -> "Segmenter | None":
        """The segmentation network, if there is one.

        Raises:
            CheckpointError: there is no such checkpoint, or it is of another kind.
        """
        from selfpose6d.segmentation.segmenter import Segmenter

        return None if self.segmenter is None else Segmenter.load(self.segmenter, device)

    def load_promptable(self) -> "PromptableModel | None":
        """The promptable model, if one is asked for.

        Raises:
            UsageError: it cannot be had.
        """
        from selfpose6d.finding.promptable import PromptableModel

        return None if self.osam is None else PromptableModel(self.osam)

    def options(self) -> "AnnotateOptions":
        """How objects are found and certified."""
        from selfpose6d.labeling.annotate import AnnotateOptions

        return self.certifying.applied(AnnotateOptions(seed=self.seed))

    def resolved(self, dataset: "Dataset") -> dict[str, Any]:
        """Every option that changes what is found, for the run's configuration."""
        from selfpose6d.files import content_hash
        from selfpose6d.labeling.settings import resolved_options
        from selfpose6d.runs.files import find_checkpoint

        options = {"counts": self.counts, "objects": list(dataset.object_ids)}
        if self.prompts is not None:
            options["prompts"] = content_hash(self.prompts)
        if self.segmenter is not None:
            options["segmenter"] = content_hash(find_checkpoint(self.segmenter))
        if self.osam is not None:
            options["osam"] = self.osam
        return resolved_options(self.options()) | options

    def _open_run(self, dataset: "Dataset") -> "AbstractContextManager[RunFolder]":
        from selfpose6d.cli.frames import open_run
        from selfpose6d.runs.config import RunContext, new_config

        # what may be there is an option of this command; what is scored is every object
        data = self.data.config(dataset)
        data = replace(data, selection=replace(data.selection, objects=()))
        context = RunContext(dataset.root.resolve(), self.device)
        return open_run(self.out, new_config("find", data, self.resolved(dataset), context), self.running)


def require_same_numbers(run: "RunFolder", dataset: "Dataset") -> None:
    """Refuse to work on further frames of a run that a person reviewed: found objects would get other numbers.

    Raises:
        UsageError: some frames are left, and the run has a review.
    """
    left = [frame_id for frame_id in dataset.frame_ids() if frame_id not in run.journal]
    if left and run.files.review.is_file():
        raise UsageError(
            f"{run.files.folder} was reviewed, and {len(left)} frames are left to do: what is found in them would "
            f"renumber the objects that {run.files.review.name} speaks of. Choose another --out."
        )


def frame_finder(
    command: Command, models: "ObjectStore | None" = None
) -> "Callable[[FrameId], JournalRecord]":
    """What finds objects in one frame of the command's data set; made anew in every process."""
    from selfpose6d.backend import resolve_device
    from selfpose6d.finding.finder import Finder
    from selfpose6d.finding.frame_finder import FrameFinder
    from selfpose6d.objects.of_dataset import object_store

    dataset, device = command.open_data(), resolve_device(command.device)
    models = object_store(dataset, device) if models is None else models
    finder = Finder(models, command.options())
    sources = command.read_prompts(dataset), command.load_segmenter(device), command.load_promptable()
    return FrameFinder(dataset, finder, command.frame_counts(dataset), *sources)
