"""`selfpose6d annotate DATASET --out RUN`: automatic labels with certificates, resumable."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import OmitArgPrefixes

from selfpose6d.cli.running import RunningOptions, with_absolute_paths
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import DataError, NoMasksError, UsageError
from selfpose6d.labeling.options import CertifyingOptions
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.labeling.annotate import AnnotateOptions
    from selfpose6d.objects.store import ObjectStore
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.journal import JournalRecord
    from selfpose6d.runs.kept import KeptRows
    from selfpose6d.selection import FrameId


LOOKED_AT_FRAMES = 2_000
"""Before the work begins: seconds, however many frames there are."""


@dataclass(frozen=True)
class Command:
    """Label every instance of a data set from depth, colour, masks and meshes; no training, no labels.

    Writes predictions.csv, certificates.jsonl, skipped.jsonl and overlays/; selfpose6d export makes a data set of them.
    The same command again continues a run that was stopped.
    """

    data: OmitArgPrefixes[DataOptions]
    out: Path
    """The run's folder."""
    method: Literal["verified", "icp"] = "verified"
    """verified: search, render, certify. icp: the paper's PureICP baseline, one start, 50 iterations."""
    direction: Literal["observed-to-model", "model-to-observed"] = "observed-to-model"
    """Matching direction of --method icp."""
    proposals: Unset[Path] = None
    """A training run or .safetensors file, whose network's hypotheses come first: only instances of which they lead to
    no certified pose are searched, and hypotheses that fit better than what is found are taken. With --keep all
    instances that are annotated again are searched."""
    keep: Unset[Path] = None
    """An earlier annotate run of this split: its certified poses and a person's verdicts stay as they are, the other
    instances are annotated again."""
    refinement: Literal["gauss-newton", "joint-loss"] = "gauss-newton"
    """Last refinement of --method verified: on the score's own residuals, or on the paper's joint loss (slower)."""
    certifying: OmitArgPrefixes[CertifyingOptions] = field(default_factory=CertifyingOptions)
    running: OmitArgPrefixes[RunningOptions] = field(default_factory=RunningOptions)
    overlays: int = 24
    """How many frames to draw into overlays/, spread evenly; 0 for none."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; auto takes cuda if there is one."""
    seed: int = 0
    """Seed of the random point samples."""

    def run(self) -> int:
        """Label what the run's journal does not hold yet, then write the result files."""
        from selfpose6d.backend import resolve_device
        from selfpose6d.cli.frames import (
            FrameWork,
            expect_workers,
            finish_run,
            report_counts,
            warn_about_sizes,
            work_on_frames,
            workers_for,
        )
        from selfpose6d.datasets.model_files import write_ids
        from selfpose6d.objects.of_dataset import object_store
        from selfpose6d.reporting.run_summary import print_summary
        from selfpose6d.runs.outputs import ResultFiles

        self.running.require_valid()
        if self.proposals is not None and self.method == "icp":
            raise UsageError(
                "--proposals: --method icp has one start and compares nothing. Leave one of the two out."
            )
        device = resolve_device(self.device)
        try:
            dataset = self.data.open("test")
        except NoMasksError:
            return self._find_instead()
        expect_workers(dataset, self.running, device)
        frame_labeler_inputs(
            self, dataset, device
        )  # what is wrong with them is said before the slow work begins
        models = object_store(dataset, device)
        warn_about_objects(dataset, models)
        warn_about_sizes(dataset)
        with self._open_run(dataset) as run:
            write_ids(dataset.models, run.files.folder)
            results, elsewhere = ResultFiles(), partial(frame_labeler, with_absolute_paths(self))
            here = partial(frame_labeler, self, models)
            work = FrameWork(run, dataset, results, here, elsewhere, self.device)
            if not work_on_frames(work, self.running, workers_for(work.count_left(), self.running, device)):
                return 0
            finish_run(run, dataset, results, self.overlays)
            print_summary(run.files, dataset.object_names())
            return report_counts(run)

    def _find_instead(self) -> int:
        """Label a data set without masks: find the objects first.

        Raises:
            NoMasksError: the other options need masks.
        """
        from selfpose6d.cli.find import Command as Find
        from selfpose6d.reporting.console import warn

        if self.method == "icp" or self.refinement != "gauss-newton" or self.proposals or self.keep:
            self.data.open("test")
        warn(f"{self.data.dataset} has no masks: its objects are looked for first, as selfpose6d find does.")
        return Find(
            self.data,
            self.out,
            certifying=self.certifying,
            running=self.running,
            overlays=self.overlays,
            device=self.device,
            seed=self.seed,
        ).run()

    def options(self) -> "AnnotateOptions":
        """How labels are made."""
        from selfpose6d.labeling.annotate import AnnotateOptions
        from selfpose6d.labeling.search import SearchOptions

        search = SearchOptions(refinement=self.refinement)
        options = AnnotateOptions(method=self.method, direction=self.direction, seed=self.seed, search=search)
        return self.certifying.applied(options)

    def resolved(self) -> dict[str, Any]:
        """Every option of how labels are made, for a run's configuration."""
        from selfpose6d.labeling.settings import resolved_options

        return resolved_options(self.options())

    def _open_run(self, dataset: "Dataset") -> "AbstractContextManager[RunFolder]":
        from selfpose6d.cli.frames import open_run
        from selfpose6d.files import content_hash
        from selfpose6d.runs.config import KEPT_LABELS, RunContext, new_config
        from selfpose6d.runs.files import find_checkpoint
        from selfpose6d.runs.kept import kept_hash

        options, checkpoint = self.resolved(), None
        if self.proposals is not None:  # absent: a run of before goes on
            checkpoint = find_checkpoint(self.proposals).resolve()
            options["proposals"] = content_hash(checkpoint)
        if self.keep is not None:
            options["keep"] = str(self.keep.resolve())
            options[KEPT_LABELS] = kept_hash(self.keep)
        context = RunContext(dataset.root.resolve(), self.device, checkpoint)
        config = new_config("annotate", self.data.config(dataset), options, context)
        return open_run(self.out, config, self.running)


def warn_about_objects(dataset: "Dataset", models: "ObjectStore") -> None:
    """Prepare the objects that the frames show, and say once of each what leaves its poses open or in doubt.

    At most `LOOKED_AT_FRAMES` are asked, spread evenly: which objects a frame shows, its label image may have to say.

    Raises:
        DataError: the declared symmetries of one do not map its mesh onto itself.
        MeshError: a mesh is unreadable.
    """
    from selfpose6d.datasets.model_files import read_models_info, stated_diameter_m
    from selfpose6d.datasets.object_label import with_object_names
    from selfpose6d.objects.warnings import object_warnings
    from selfpose6d.reporting.console import warn
    from selfpose6d.selection import spread_evenly

    info, names = read_models_info(dataset.models.folder), dataset.object_names()
    shown = set()
    for frame_id in spread_evenly(dataset.frame_ids(), LOOKED_AT_FRAMES):
        with suppress(DataError):  # labelling says of the frame what is wrong
            shown |= {key.obj_id for key in dataset.instance_keys(frame_id)}
    for obj_id in sorted(shown & set(models)):
        stated_m = stated_diameter_m(info.get(obj_id, {}))
        for text in object_warnings(models[obj_id], obj_id, stated_m):
            warn(with_object_names(text, names))


def frame_labeler(
    command: Command, models: "ObjectStore | None" = None
) -> "Callable[[FrameId], JournalRecord]":
    """What labels one frame of the command's data set; made anew in every process."""
    from selfpose6d.backend import resolve_device
    from selfpose6d.inference.labeler import FrameLabeler
    from selfpose6d.objects.of_dataset import object_store

    dataset, device = command.data.open("test"), resolve_device(command.device)
    network, kept = frame_labeler_inputs(command, dataset, device)
    models = object_store(dataset, device) if models is None else models
    # instances that failed once are not certified by an easier way than those that did not
    search_all = command.keep is not None
    return FrameLabeler(dataset, models, command.options(), network, search_all, kept)


def frame_labeler_inputs(
    command: Command, dataset: "Dataset", device: str
) -> "tuple[Predictor | None, KeptRows]":
    """The network that proposes, and the rows that are kept.

    Raises:
        CheckpointError: there is no such network, or it is one of other models.
        UsageError: the run to keep is no annotate run, or one of another data set or split.
        DataError: a file of it is missing or broken.
    """
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.runs.kept import kept_rows

    network, kept = None, {}
    if command.proposals is not None:
        network = Predictor.load(command.proposals, dataset.models, device=device)
    if command.keep is not None:
        kept = kept_rows(command.keep, dataset.fingerprint(), dataset.split, dataset.models.content)
    return network, kept
