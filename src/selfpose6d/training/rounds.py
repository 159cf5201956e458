"""Rounds of self-training: annotate, train on what is certified, let the student's hypotheses join the search, annotate
again what was not certified, and go on.

Every part is an ordinary run: `rounds/<k>/labels` of `annotate`, `rounds/<k>/model` of `train`, the last training in
the folder itself. A finished part is noted and not made again; one that was stopped goes on by its own means.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfpose6d.datasets.dataset import Dataset
from selfpose6d.errors import UsageError
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.transfer import require_same_structure
from selfpose6d.runs.certificates import read_certificates
from selfpose6d.runs.config import RunContext, new_config
from selfpose6d.runs.files import RunFiles, find_checkpoint
from selfpose6d.runs.folder import RunFolder, require_same_run
from selfpose6d.runs.predictions import read_skipped
from selfpose6d.training.known_poses import labels_of
from selfpose6d.training.plan import FitResult
from selfpose6d.training.round_folder import Round, RoundFolder, labels_hash
from selfpose6d.training.schedule import Limit
from selfpose6d.training.session import TrainOptions
from selfpose6d.types import InstanceKey, LabeledPose

Annotate = Callable[[Path, Path | None, Path | None], object]
"""Makes an annotate run or goes on with it: its folder, the run whose labels it keeps, the model that proposes."""
Train = Callable[[TrainOptions, Path], FitResult]
"""Makes a training or goes on with it: its options, its folder."""


@dataclass(frozen=True)
class RoundsOptions:
    """How many rounds, and of what."""

    count: int
    training: TrainOptions
    """The whole training: the rounds share its steps or minutes; `labels` are those of round 0, None: it annotates."""
    annotating: Mapping[str, Any]
    """Resolved options of annotation, for the configuration."""
    device: str = "cpu"
    """Where all is computed."""

    def __post_init__(self) -> None:
        steps = self.training.limit.max_steps
        if self.training.recipe.target != "labels":
            raise UsageError(
                f"--rounds: recipe {self.training.recipe.name} learns from no labels. Use --recipe verified, or leave "
                "--rounds out."
            )
        if self.count < 1:
            raise UsageError(
                f"--rounds must be at least 1, got {self.count}. Pass 1 to annotate and train once."
            )
        if steps is not None and steps < self.count:
            raise UsageError(
                f"--max-steps {steps} for --rounds {self.count}: less than a step a round. Pass at least {self.count}."
            )

    def of_round(self, index: int, labels: Path, before: Path | None) -> TrainOptions:
        """The training of one round; after the first it begins with the network of the round before."""
        limit = shared_limit(self.training.limit, index, self.count)
        return replace(self.training, limit=limit, labels=labels, init=before or self.training.init)


def shared_limit(limit: Limit, index: int, count: int) -> Limit:
    """An even part of the steps or minutes; all rounds together have all of them."""
    if limit.max_steps is None:
        assert limit.max_minutes is not None
        return Limit(max_minutes=limit.max_minutes / count)
    first, last = (limit.max_steps * i // count for i in (index, index + 1))
    return Limit(max_steps=last - first)


def train_in_rounds(
    dataset: Dataset,
    options: RoundsOptions,
    out: Path,
    annotate: Annotate,
    train: Train,
    resume: bool = False,
) -> Iterator[Round]:
    """Annotate and train in turn; yields each round once it is finished, at once if it was before.

    A certified label stays as it is; the others are annotated again, with the hypotheses of the last round's network.
    Each pass has the calibrated thresholds, but chooses among instances that failed before: what is newly certified may
    be wrong more often than the risk says. No pose is read here; `evaluate` on the labels of each round measures it.

    Raises:
        UsageError: the options do not fit the folder, the labels or each other, or nothing is certified.
        CheckpointError: the network to begin with does not fit.
    """
    folder = RoundFolder(out, options.count)
    _require_usable(folder, dataset, options, resume)
    _open(folder, dataset, options)
    before: Path | None = None
    for index in range(options.count):
        given = options.training.labels if index == 0 else None
        row = folder.read(index)
        if row is None:
            row = _annotated(folder, index, given, dataset, annotate)
            folder.write(row)
        if row.steps is None:
            training = options.of_round(index, given or folder.labels(index), before)
            row = _trained(folder, row, training, train)
            folder.write(row)
        folder.write_table()
        before = folder.model(index)
        yield row


def _annotated(
    folder: RoundFolder, index: int, given: Path | None, dataset: Dataset, annotate: Annotate
) -> Round:
    """Make the labels of a round, if they are not given, and count them."""
    start_s, proposals = time.monotonic(), folder.model(index - 1) if index else None
    earlier = _labels_before(folder, index, dataset)
    run = given or folder.labels(index)
    if given is None:
        run.parent.mkdir(parents=True, exist_ok=True)
        annotate(run, earlier[0], proposals)
    minutes = (time.monotonic() - start_s) / 60
    labels = labels_of(run, dataset)
    new = [label for key, label in labels.items() if key not in earlier[1]]
    instances = sum(1 for _ in read_certificates(RunFiles(run).certificates))
    if RunFiles(run).skipped.is_file():
        instances += sum(1 for _ in read_skipped(RunFiles(run).skipped))
    return Round(
        round=index,
        instances=instances,
        certified=len(labels),
        certified_share=len(labels) / instances,
        newly_certified=len(new),
        from_hypotheses=sum(label.certificate.source == "hypotheses" for label in new),
        annotate_min=minutes,
        labels=folder.shown(run),
        labels_hash=labels_hash(labels),
        proposals=None if proposals is None else folder.shown(proposals),
        model=folder.shown(folder.model(index)),
    )


def _labels_before(
    folder: RoundFolder, index: int, dataset: Dataset
) -> tuple[Path | None, Mapping[InstanceKey, LabeledPose]]:
    """The labels' run of the round before, and what is certified in it."""
    row = folder.read(index - 1) if index else None
    if row is None:
        return None, {}
    run = folder.out / row.labels  # an absolute path stays what it is
    return run, labels_of(run, dataset)


def _trained(folder: RoundFolder, row: Round, options: TrainOptions, train: Train) -> Round:
    start_s = time.monotonic()
    result = train(options, folder.model(row.round))
    minutes = (time.monotonic() - start_s) / 60
    return replace(row, train_min=minutes, steps=result.steps, validation=result.best)


def _require_usable(folder: RoundFolder, dataset: Dataset, options: RoundsOptions, resume: bool) -> None:
    """Refuse what cannot work, before hours of annotating.

    Raises:
        UsageError: the folder holds another run, or one to resume; there are several processes; labels do not fit.
        CheckpointError: the network to begin with does not fit.
    """
    training, begun = options.training, folder.parts.config.is_file()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UsageError(
            "--rounds annotates in one process. Run selfpose6d annotate first, then train with --labels in several."
        )
    if begun and not resume:
        raise UsageError(
            f"{folder.out} holds a training in rounds already. Continue it with --resume, or choose another --out."
        )
    if not begun and RunFiles(folder.out).config.is_file():
        raise UsageError(
            f"{folder.out} holds a run that was not made in rounds. Choose another --out; to begin with its network, "
            f"pass --init {folder.out}."
        )
    if training.init is not None:
        network, _ = load_network(find_checkpoint(training.init))
        require_same_structure(str(training.init), network.config, training.config)
    if training.labels is not None:
        if options.count > 1 and RunFiles(training.labels).detections.is_file():
            raise UsageError(
                f"--rounds {options.count}: {training.labels} labels objects that it found, and later rounds annotate "
                "masks of the data set. Train on these labels in one round, or annotate with --detections first."
            )
        labels_of(training.labels, dataset, training.recipe.ambiguous)


def _open(folder: RoundFolder, dataset: Dataset, options: RoundsOptions) -> None:
    """Keep what was asked for: a folder is gone on with by the same options only.

    Raises:
        UsageError: each option that differs is named.
    """
    described = options.training.describe() | {"rounds": options.count, "annotate": options.annotating}
    context = RunContext(dataset.root.resolve(), options.device)
    config = new_config("train", options.training.data.config(dataset), described, context)
    if not RunFiles(folder.out).config.is_file():
        require_same_run(folder.out, config)  # a file, or results of something else
    RunFolder.open(folder.parts.folder, config)
