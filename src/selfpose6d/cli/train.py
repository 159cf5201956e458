"""`selfpose6d train DATASET --out RUN`: fit the pose network to a data set, with or without labels."""

import os
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import OmitArgPrefixes

from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.labeling.options import CertifyingOptions
from selfpose6d.options import Unset
from selfpose6d.training.settings import RecipeSettings

if TYPE_CHECKING:
    from selfpose6d.cli import annotate
    from selfpose6d.crops.store import CacheOptions
    from selfpose6d.training.recipe import Recipe
    from selfpose6d.training.session import TrainOptions


@dataclass(frozen=True)
class TrainingData(DataOptions):
    """A data set of any layout, seen from its files; never written to."""

    detections: Unset[Path] = None
    """BOP detections file whose masks are taken instead of the data set's; not with recipes that read true poses."""


@dataclass(frozen=True)
class Command:
    """Fit the pose network, or one that segments images. The recipes paper and verified read no pose annotation.

    Give --max-steps or --max-minutes. Frames are decoded once into a cache of crops; a twentieth of every object's
    frames is held out. Ctrl-C saves; the same command with --resume goes on. With torchrun, all processes train as one.
    """

    data: OmitArgPrefixes[TrainingData]
    out: Unset[Path] = None
    """The run's folder: config.yaml, checkpoints/, log.jsonl, tensorboard/ (not needed with --summary)."""
    task: Literal["pose", "segment"] = "pose"
    """segment: which pixels show which object, for find and estimate where there are no masks; from rendered frames of
    the meshes (--synthetic), and from what --labels certifies. No pose and no mask of the data set is read."""
    recipe: Unset[str] = None
    """Default: paper. paper: the resolver's poses, no label. verified: certified poses, no label by hand. supervised,
    densefusion (unweighted fusion), synthetic (for rendered frames): true poses. mixed, teacher-student: true poses of
    rendered frames (--synthetic), none of the data set's own. With --task segment only synthetic or supervised: the
    data set's own masks."""
    size: Literal["small", "paper"] = "small"
    """small: for CPUs. paper: DenseFusion's widths, 128 px crops, 1000 points."""
    max_steps: Unset[int] = None
    """Number of steps."""
    max_minutes: Unset[float] = None
    """Minutes of training, counted from when the crops are cached; the speed is measured over some steps,
    then the number of steps is fixed and stored."""
    settings: OmitArgPrefixes[RecipeSettings] = field(default_factory=RecipeSettings)
    resume: bool = False
    """Go on from the last saved state of --out. With more --max-steps than before, a finished training too: the steps
    to come have a schedule of their own, the learning rate rises once more and falls to 0."""
    init: Unset[Path] = None
    """A training run or .safetensors file whose weights the network begins with, for another stage, data set or
    recipe: the same network; heads are taken over by object id, those of new objects start fresh (--task segment: of
    the same objects)."""
    labels: Unset[Path] = None
    """The --out of an annotate or find run of the same split: certified poses, as its review.jsonl corrects them
    (default: recipe verified annotates by itself). Of objects that it found, the instances are those."""
    synthetic: Unset[Path] = None
    """With --recipe mixed or teacher-student, or --task segment: a root of rendered frames of the same models, whose
    true poses or masks are read; the first of its splits train_synt, data_syn, train_pbr, train_render, train that has
    any (default: rendered once from the data set's models, into the cache)."""
    rounds: Unset[int] = None
    """With --recipe verified: annotate and train this many times in turn (default: 1, with --labels none). What is not
    certified is annotated again with the hypotheses of the network so far; all rounds share the steps or minutes, which
    do not count annotating. --labels are those of the first round. rounds.jsonl has a row for each."""
    certifying: OmitArgPrefixes[CertifyingOptions] = field(default_factory=CertifyingOptions)
    cache: Unset[Path] = None
    """Folder of cached crops (default: the user's cache directory)."""
    cache_gb: float = 64.0
    """Most GiB that cached crops take on disk."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's layers; auto: bf16 on GPUs and CPUs (AMX, AVX512-BF16) that have it, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    seed: int = 0
    """Weights, order, augmentation and sampled pixels all follow it."""
    summary: bool = False
    """Print parameters and FLOPs of the recipe's network for this data set's objects, and stop."""

    def run(self) -> int:
        """Train, or print the summary."""
        from selfpose6d.runs.in_use import working_in

        is_first = (
            int(os.environ.get("RANK", "0")) == 0
        )  # of the processes of torchrun one holds the folder for all
        with nullcontext() if self.summary or self.out is None or not is_first else working_in(self.out):
            return self._run()

    def _run(self) -> int:
        from selfpose6d.training.adapt import adapt_recipe
        from selfpose6d.training.recipe import find_recipe

        if self.task == "segment":
            return self._train_segmentation()
        recipe = adapt_recipe(find_recipe(self.recipe or "paper"), self._settings())
        if self.summary:
            from selfpose6d.reporting.network_summary import print_network_summary

            print_network_summary(self._data().open("train"), self.size, recipe.network(self.size))
            return 0
        options = self._options(recipe)
        if self.rounds is None and (recipe.target != "labels" or self.labels is not None):
            if self.certifying != CertifyingOptions():
                raise UsageError(
                    "--risk, --calibration, --mask-quality and --depth-noise-mm say how recipe verified annotates by "
                    "itself, which this training does not. Leave them out, or add --rounds."
                )
            return self._train(options)
        return self._train_in_rounds(options, 1 if self.rounds is None else self.rounds)

    def _data(self) -> DataOptions:
        """The data; where labels are of objects that were found, their masks are the instances."""
        from selfpose6d.runs.files import RunFiles

        found = None if self.labels is None else RunFiles(self.labels).detections
        if found is None or self.data.detections is not None or not found.is_file():
            return self.data
        return replace(self.data, detections=found)

    def _settings(self) -> RecipeSettings:
        """Those given; a network that is begun with keeps its architecture unless another one is asked for."""
        if self.init is None or self.settings.architecture is not None:
            return self.settings
        from selfpose6d.network.checkpoint import stored_config
        from selfpose6d.runs.files import find_checkpoint

        return replace(self.settings, architecture=stored_config(find_checkpoint(self.init)).architecture)

    def _options(self, recipe: "Recipe") -> "TrainOptions":
        from selfpose6d.training.schedule import Limit
        from selfpose6d.training.session import TrainOptions

        self._require_out()
        if self.data.detections and recipe.reads_poses:
            raise UsageError(
                f"--detections: recipe {recipe.name} needs the data set's own masks, to tell which pose "
                "is whose. Leave it out, or use --recipe paper or verified."
            )
        limit = Limit(self.max_steps, self.max_minutes)
        return TrainOptions(
            self._data(),
            recipe,
            limit,
            self.size,
            self.labels,
            self.init,
            self.seed,
            self._cache(),
            self.synthetic,
        )

    def _require_out(self) -> Path:
        if self.out is None:
            raise UsageError("--out is missing: say where the run shall be kept, as in --out runs/first.")
        return self.out

    def _cache(self) -> "CacheOptions":
        from selfpose6d.crops.store import GIB, CacheOptions

        return CacheOptions(self.cache, int(self.cache_gb * GIB))

    def _train_segmentation(self) -> int:
        """Train the network that segments images."""
        import torch

        from selfpose6d.backend import resolve_device
        from selfpose6d.datasets.model_files import write_ids
        from selfpose6d.reporting.console import decoding_bar
        from selfpose6d.training.schedule import Limit
        from selfpose6d.training.segmentation.session import SegmentOptions, train_segmentation

        out = self._require_out()
        unused = Command(self.data)
        names = ("size", "settings", "rounds", "certifying", "precision", "summary")
        if given := [name for name in names if getattr(self, name) != getattr(unused, name)]:
            raise UsageError(
                f"--task segment has no use for the options of {', '.join(given)}: they are of the pose network. Leave "
                "them out."
            )
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UsageError("--task segment trains in one process. Start it without torchrun.")
        if self.data.detections is not None and self.recipe is None:
            raise UsageError(
                "--detections: masks of the data set are learned with --recipe supervised only. Add it, or leave "
                "--detections out."
            )
        if self.recipe not in (None, "synthetic", "supervised"):
            raise UsageError(
                f"--recipe {self.recipe}: a segmentation network learns from rendered frames, or with synthetic or "
                "supervised from the data set's own masks. Leave it out, or pass one of these."
            )
        own = self.recipe is not None
        limit, device = Limit(self.max_steps, self.max_minutes), torch.device(resolve_device(self.device))
        dataset = self.data.open("train", without_masks=not own)
        options = SegmentOptions(
            self.data, limit, "masks" if own else "rendered", self.labels, self.synthetic, self.init, self.seed,
            self._cache(),
        )  # fmt: skip
        with decoding_bar(len(dataset.frame_ids())) as advance:
            result = train_segmentation(dataset, options, out, device, self.resume, advance)
        write_ids(dataset.models, out)
        print(
            f"{out}: {result.steps} steps, {result.frames_per_s:.1f} frames/s, mean IoU of held-out frames "
            f"{result.mean_iou:.3f}"
        )
        print(f"next: selfpose6d find {dataset.root} --segmenter {out} --out RUN")
        print(f"next: selfpose6d estimate MODEL {dataset.root} --segmenter {out} --out RUN")
        return 0

    def _train(self, options: "TrainOptions") -> int:
        from selfpose6d.backend import resolve_device
        from selfpose6d.cli.frames import warn_about_sizes
        from selfpose6d.datasets.model_files import write_ids
        from selfpose6d.reporting.console import decoding_bar
        from selfpose6d.training.session import make_fabric, train

        assert self.out is not None
        dataset = options.data.open("train")
        warn_about_sizes(dataset)
        fabric = make_fabric(resolve_device(self.device), self.precision)
        with decoding_bar(len(dataset.frame_ids())) as advance:
            result = train(dataset, options, self.out, fabric, self.resume, advance)
        if fabric.is_global_zero:
            write_ids(dataset.models, self.out)
            print(
                f"{self.out}: {result.steps} steps, {result.samples_per_s:.0f} samples/s, "
                f"validation {result.best:.4f}"
            )
            print(f"next: selfpose6d estimate {self.out} {dataset.root} --split test --out RUN")
        return 0

    def _train_in_rounds(self, options: "TrainOptions", count: int) -> int:
        from selfpose6d.backend import resolve_device
        from selfpose6d.reporting.console import decoding_bar
        from selfpose6d.reporting.rounds_table import print_rounds, round_line
        from selfpose6d.training.plan import FitResult
        from selfpose6d.training.rounds import RoundsOptions, train_in_rounds
        from selfpose6d.training.session import TrainOptions, make_fabric, train

        assert self.out is not None
        dataset, device = options.data.open("train"), resolve_device(self.device)
        rounds = RoundsOptions(count, options, self._annotating(Path(), dataset.split).resolved(), device)

        def annotate_run(out: Path, kept: Path | None, proposals: Path | None) -> None:
            self._annotating(out, dataset.split, kept, proposals).run()

        def train_run(options: TrainOptions, out: Path) -> FitResult:
            fabric = make_fabric(device, self.precision)
            with decoding_bar(len(dataset.frame_ids())) as advance:
                return train(dataset, options, out, fabric, True, advance)

        rows = []
        for row in train_in_rounds(dataset, rounds, self.out, annotate_run, train_run, self.resume):
            rows.append(row)
            print(round_line(row), flush=True)
        print_rounds(rows)
        labels = self.out / rows[-1].labels
        print(f"next: selfpose6d evaluate {labels} {dataset.root} --split {dataset.split}")
        print(f"next: selfpose6d estimate {self.out} {dataset.root} --split test --out RUN")
        return 0

    def _annotating(
        self, out: Path, split: str, kept: Path | None = None, proposals: Path | None = None
    ) -> "annotate.Command":
        """The annotate command of a round."""
        from selfpose6d.cli import annotate

        return annotate.Command(
            replace(self.data, split=split),
            out,
            proposals=proposals,
            keep=kept,
            certifying=self.certifying,
            overlays=0,
            device=self.device,
            seed=self.seed,
        )
