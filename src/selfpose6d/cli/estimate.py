"""`selfpose6d estimate MODEL DATASET --out RUN`: run a trained model on a data set."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import OmitArgPrefixes, Positional

from selfpose6d.cli.running import RunningOptions, with_absolute_paths
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.labeling.options import CertifyingOptions
from selfpose6d.options import Unset

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.inference.predictor import Predictor
    from selfpose6d.labeling.annotate import AnnotateOptions
    from selfpose6d.runs.folder import RunFolder
    from selfpose6d.runs.journal import JournalRecord
    from selfpose6d.selection import FrameId

OPTIONS_THAT_CHANGE_POSES = ("refine", "refine_steps", "verify", "precision", "seed")


@dataclass(frozen=True)
class Command:
    """Run a trained model on every instance that has a mask, or that --segmenter sees; reads no pose.

    Writes predictions.csv and skipped.jsonl; certificates.jsonl with --verify, and of networks that rate their own
    poses. Ctrl-C is safe: the same command goes on where it stopped.
    """

    model: Positional[Path]
    """A training run's folder, or a .safetensors file."""
    data: OmitArgPrefixes[DataOptions]
    out: Path
    """The run's folder."""
    segmenter: Unset[Path] = None
    """A training run or .safetensors file of train --task segment: instances are what it sees, and no mask of the data
    set is read. Writes detections.json too."""
    refine: Literal["none", "icp", "network", "network+icp"] = "none"
    """icp: resolver iterations from the estimator's pose; network: the refinement network; or one after the other.
    The poses after each step are written to steps/."""
    refine_steps: Unset[int] = None
    """Steps of the refinement network (default: 6 of a comparison network, else 2), or ICP iterations with icp alone
    (default: 20)."""
    verify: bool = False
    """Render and refine the hypotheses (where that leaves doubt, search as annotate does); take the pose that the image
    supports best, with its certificate."""
    search: bool = True
    """With --verify: search where the hypotheses leave doubt. --no-search verifies the hypotheses alone, which shows
    what the network is worth; certificates.jsonl says of every pose which of the two it came from."""
    certifying: OmitArgPrefixes[CertifyingOptions] = field(default_factory=CertifyingOptions)
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's layers; auto: bf16 on GPUs and CPUs (AMX, AVX512-BF16) that have it, else fp32. One
    to three instances of a frame are faster in fp32 on CPUs, and stay so."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the network runs."""
    running: OmitArgPrefixes[RunningOptions] = field(default_factory=RunningOptions)
    seed: int = 0
    """Seed of the sampled pixels, and of the points that are verified."""

    def run(self) -> int:
        """Estimate every frame that is not in the run yet, then write the result files."""
        from selfpose6d.cli.frames import (
            FrameWork,
            finish_run,
            report_counts,
            warn_about_sizes,
            work_on_frames,
        )
        from selfpose6d.datasets.model_files import write_ids
        from selfpose6d.reporting.run_summary import print_estimates
        from selfpose6d.runs.outputs import ResultFiles

        self.running.require_valid()
        dataset = self.open_data()
        predictor = self.load_predictor(dataset)
        estimate_frame = self.work(dataset, predictor)
        warn_about_sizes(dataset)
        results = ResultFiles(
            self.verify or predictor.network.compares, self.segmenter is not None, self.refine != "none"
        )
        elsewhere = partial(frame_estimator, with_absolute_paths(self))
        with self._open_run(dataset) as run:
            write_ids(dataset.models, run.files.folder)
            work = FrameWork(run, dataset, results, lambda: estimate_frame, elsewhere, self.device)
            if not work_on_frames(work, self.running, self.running.workers or 1):
                return 0
            finish_run(run, dataset, results, overlays=0)
            times_s, count = predictor.times_s, predictor.num_instances
            print_estimates(run.files, dataset.root, times_s, count, dataset.object_names())
            print(f"next: selfpose6d evaluate {self.out} {dataset.root} --split {dataset.split}")
            return report_counts(run, finds=self.segmenter is not None)

    def open_data(self) -> "Dataset":
        """The data set; with a segmenter none of its masks is read.

        Raises:
            UsageError: options exclude each other.
        """
        if self.segmenter is None:
            return self.data.open("test")
        if self.data.detections is not None:
            raise UsageError("--detections and --segmenter both say where the objects are. Pass one of them.")
        if self.verify:
            raise UsageError(
                "--verify says which pose of an object is right, not whether what --segmenter sees is that object. Use "
                "selfpose6d find --segmenter, which certifies both, or leave --verify out."
            )
        return self.data.open("test", without_masks=True)

    def work(self, dataset: "Dataset", predictor: "Predictor") -> "Callable[[FrameId], JournalRecord]":
        """What estimates the poses of one frame."""
        from selfpose6d.datasets.dataset import process_frame

        if self.segmenter is None:
            return partial(process_frame, dataset, find_poses=predictor.predict)
        from selfpose6d.backend import resolve_device
        from selfpose6d.inference.segmented import SegmentedFrames
        from selfpose6d.segmentation.segmenter import Segmenter

        segmenter = Segmenter.load(self.segmenter, resolve_device(self.device))
        segmenter.require_objects({obj_id: dataset.load_mesh(obj_id) for obj_id in dataset.object_ids})
        return SegmentedFrames(dataset, segmenter, predictor, self.data.selection.objects)

    def load_predictor(self, dataset: "Dataset") -> "Predictor":
        """The network, ready for the data set's objects.

        Raises:
            CheckpointError: there is no such network, or it is one of other models.
            UsageError: it does not know the objects that are asked for, or options exclude each other.
        """
        from selfpose6d.backend import resolve_device
        from selfpose6d.inference.options import PredictOptions, use_bf16
        from selfpose6d.inference.predictor import Predictor

        device = resolve_device(self.device)
        bf16 = use_bf16(device, self.precision)
        options = PredictOptions(
            self.refine,
            self.refine_steps,
            self.verify,
            self._certifying(),
            search=self.search,
            bf16=bf16,
            seed=self.seed,
        )
        predictor = Predictor.load(self.model, dataset.models, options, device=device)
        known = predictor.network.objects.obj_ids
        if unknown := [obj_id for obj_id in self.data.selection.objects if obj_id not in known]:
            raise UsageError(
                f"--objects {' '.join(map(str, unknown))}: the model was trained on objects "
                f"{' '.join(map(str, known))}. Choose among these, or train a model for them."
            )
        return predictor

    def _certifying(self) -> "AnnotateOptions":
        from selfpose6d.labeling.annotate import AnnotateOptions

        if self.certifying != CertifyingOptions() and not self.verify:
            raise UsageError(
                "--risk, --calibration, --mask-quality and --depth-noise-mm say what --verify certifies. Add --verify."
            )
        if not (self.search or self.verify):
            raise UsageError("--no-search says how --verify finds poses. Add --verify, or leave it out.")
        return self.certifying.applied(AnnotateOptions(seed=self.seed))

    def _open_run(self, dataset: "Dataset") -> "AbstractContextManager[RunFolder]":
        from selfpose6d.cli.frames import open_run
        from selfpose6d.files import content_hash
        from selfpose6d.labeling.settings import resolved_options
        from selfpose6d.runs.config import RunContext, new_config
        from selfpose6d.runs.files import find_checkpoint

        checkpoint = find_checkpoint(self.model)
        options = {"model": content_hash(checkpoint)}
        options |= {name: getattr(self, name) for name in OPTIONS_THAT_CHANGE_POSES}
        if self.segmenter is not None:
            options["segmenter"] = content_hash(find_checkpoint(self.segmenter))
        if self.verify:
            options |= {"annotate": resolved_options(self._certifying())}
            options |= {} if self.search else {"search": False}  # absent: a run of before goes on
        context = RunContext(dataset.root.resolve(), self.device, checkpoint.resolve())
        return open_run(
            self.out, new_config("estimate", self.data.config(dataset), options, context), self.running
        )


def frame_estimator(command: Command) -> "Callable[[FrameId], JournalRecord]":
    """What estimates the poses of one frame of the command's data set; made anew in every process."""
    dataset = command.open_data()
    return command.work(dataset, command.load_predictor(dataset))
