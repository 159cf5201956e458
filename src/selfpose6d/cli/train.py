"""`selfpose6d train`: fit the pose network to a data set, with or without labels."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from selfpose6d.selection import Selection

if TYPE_CHECKING:
    from selfpose6d.datasets.dataset import Dataset
    from selfpose6d.training.session import TrainOptions


@dataclass(frozen=True)
class Command:
    """Fit the pose network. The recipes paper and verified read no pose annotation.

    Give --max-steps or --max-minutes. Frames are decoded once into a cache of crops. Ctrl-C saves; the same
    command with --resume goes on. With torchrun, all its processes train together.
    """

    dataset: tyro.conf.Positional[Path]
    """BOP root, YCB-Video root or capture folder; never written to."""
    out: Path | None = None
    """The run's folder: config.yaml, checkpoints/, log.jsonl, tensorboard/ (not needed with --summary)."""
    recipe: str = "paper"
    """paper: the resolver's poses, no label. verified: --labels, no label by hand. supervised, densefusion
    (unweighted fusion), synthetic (for rendered frames): true poses."""
    size: Literal["small", "paper"] = "small"
    """small: for CPUs. paper: DenseFusion's widths, 128 px crops, 1000 points."""
    max_steps: int | None = None
    """Number of steps."""
    max_minutes: float | None = None
    """Minutes of training, counted from when the crops are cached; the speed is measured over some steps,
    then the number of steps is fixed and stored."""
    stages: tuple[str, ...] = ()
    """Only these stages of the recipe, in its order: estimator, refiner, joint-loss (default: all it has)."""
    resume: bool = False
    """Go on from the last saved state of --out."""
    labels: Path | None = None
    """The --out of an annotate run of the same split: certified poses, as its review.jsonl corrects them."""
    direction: Literal["observed-to-model", "model-to-observed"] | None = None
    """Matching direction of the resolver (default: the recipe's, observed-to-model)."""
    batch: int | None = None
    """Instances a step, over all processes (default: the recipe's, 16)."""
    learning_rate: float | None = None
    """Highest learning rate (default: the recipe's, 0.001)."""
    split: str | None = None
    """The split to train on (default: train, of a capture folder all); its last twentieth is held out."""
    selection: tyro.conf.OmitArgPrefixes[Selection] = field(default_factory=Selection)
    models: Path | None = None
    """Folder of models (default: the data set's models/)."""
    model_unit: Literal["mm", "m"] | None = None
    """Unit of the models where the data set does not say it."""
    detections: Path | None = None
    """A BOP detections file whose masks are taken; not with recipes that read true poses."""
    cache: Path | None = None
    """Folder of cached crops (default: the user's cache directory)."""
    cache_gb: float = 64.0
    """Most GiB that cached crops take on disk."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the network's layers; auto: bf16 on CUDA and on CPUs with AMX, else fp32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train."""
    seed: int = 0
    """Weights, order, augmentation and sampled pixels all follow it."""
    summary: bool = False
    """Print parameters and FLOPs of the network for this data set's objects, and stop."""

    def run(self) -> int:
        """Train, or print the summary."""
        from selfpose6d.cli.splits import resolve_split
        from selfpose6d.datasets.layouts import open_dataset

        options = None if self.summary else self._options()
        split = resolve_split(self.dataset, self.split, "train")
        dataset = open_dataset(
            self.dataset, split, self.selection, self.models, self.model_unit, self.detections
        )
        if options is None:
            print_summary(dataset, self.size)
            return 0
        return self._train(dataset, options)

    def _options(self) -> "TrainOptions":
        from selfpose6d.crops.store import GIB, CacheOptions
        from selfpose6d.errors import UsageError
        from selfpose6d.training.recipe import adapt_recipe, find_recipe
        from selfpose6d.training.schedule import Limit
        from selfpose6d.training.session import TrainOptions

        if self.out is None:
            raise UsageError("--out is missing: say where the run shall be kept, as in --out runs/first.")
        recipe = adapt_recipe(
            find_recipe(self.recipe), self.direction, self.batch, self.learning_rate, self.stages
        )
        if self.detections and recipe.reads_poses:
            raise UsageError(
                f"--detections: recipe {recipe.name} needs the data set's own masks, to know which pose "
                "is whose. Leave it out, or use --recipe paper or verified."
            )
        cache = CacheOptions(self.cache, int(self.cache_gb * GIB))
        return TrainOptions(
            recipe, Limit(self.max_steps, self.max_minutes), self.size, self.labels, self.seed, cache
        )

    def _train(self, dataset: "Dataset", options: "TrainOptions") -> int:
        from selfpose6d.cli.device import resolve_device
        from selfpose6d.training.devices import make_fabric
        from selfpose6d.training.session import train

        assert self.out is not None
        fabric = make_fabric(resolve_device(self.device), self.precision)
        with _DecodingBar(len(dataset.frame_ids())) as bar:
            result = train(dataset, options, self.out, fabric, self.resume, bar.advance)
        if fabric.is_global_zero:
            print(
                f"{self.out}: {result.steps} steps, {result.samples_per_s:.0f} samples/s, "
                f"validation {result.best:.4f}"
            )
            print(f"next: selfpose6d estimate {self.out} {self.dataset} --split test --out RUN")
        return 0


def print_summary(dataset: "Dataset", size: Literal["small", "paper"]) -> None:
    """Parameters and FLOPs of the network for the data set's objects."""
    from rich.console import Console
    from rich.table import Table

    from selfpose6d.network.config import SIZES
    from selfpose6d.network.pose_network import PoseNetwork
    from selfpose6d.network.summary import summarise
    from selfpose6d.objects.table import object_table

    obj_ids, config = dataset.object_ids, SIZES[size]
    objects = object_table(obj_ids, map(dataset.load_mesh, obj_ids))
    table = Table(title=f"{size}: {len(obj_ids)} objects, {config.crop_px} px, {config.points} points")
    for column in ("part", "parameters", "MFLOP an instance"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in summarise(PoseNetwork(config, objects)):
        table.add_row(part.name, f"{part.parameters:,}", f"{part.flops / 1e6:,.1f}")
    Console().print(table)


class _DecodingBar:
    """Shows how many frames are decoded; gone when all are: the training has a bar of its own."""

    def __init__(self, frames: int) -> None:
        from rich.progress import Progress

        self._bar, self._frames, self._done = Progress(transient=True), frames, 0
        self._task = self._bar.add_task("decoding", total=frames)

    def __enter__(self) -> "_DecodingBar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def advance(self) -> None:
        """One more frame is decoded."""
        if self._done == 0:
            self._bar.start()
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        if self._done == self._frames:
            self._bar.stop()
            print(f"decoded {self._frames} frames")
