"""From a data set's meshes to a trained segmentation network: rendered frames, and real ones that are certified."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from selfpose6d.crops.store import CacheOptions
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.files import content_hash
from selfpose6d.network.checkpoint import load_segmentation
from selfpose6d.network.segmentation import SegmentationConfig, SegmentationNetwork
from selfpose6d.runs.config import RunContext, new_config, read_config, write_config
from selfpose6d.runs.files import RunFiles, find_checkpoint
from selfpose6d.runs.folder import require_same_run
from selfpose6d.runs.json_lines import read_lines
from selfpose6d.segmentation.segmenter import box_diagonal_m
from selfpose6d.selection import FrameId
from selfpose6d.training.checkpoint import has_state
from selfpose6d.training.continuing import continued_config
from selfpose6d.training.known_poses import labels_of
from selfpose6d.training.loader import BatchOrder, MixedOrder, ProcessPart
from selfpose6d.training.rendering import render_synthetic
from selfpose6d.training.schedule import Limit
from selfpose6d.training.segmentation.fit import BATCH, SegmentPlan, SegmentResult, fit_segmentation
from selfpose6d.training.segmentation.frames import FrameStore, Taught, open_frames
from selfpose6d.training.synthetic import find_synthetic, open_synthetic, synthetic_fingerprint

Source = Literal["rendered", "masks"]
HELD_OUT_FRACTION, MOST_HELD_OUT = 0.05, 64
"""Of the frames of each part, the last ones: of rendered frames other scenes than those that are trained on."""
DOUBTFUL = 0.3
"""Confidence from which on what was turned away may be an object all the same: its surroundings teach nothing."""
INSTANCES_PER_OBJECT = 1500
"""To render of each object where no rendered frames are given, of many objects fewer (`MOST_FRAMES`): a network that
sees a frame whole needs more of them than one that sees crops of each instance (docs/results.md)."""


@dataclass(frozen=True)
class SegmentOptions:
    """What the training of a segmentation network is made of."""

    data: DataOptions
    limit: Limit
    source: Source = "rendered"
    """rendered: frames of the data set's meshes. masks: the data set's own masks, as of rendered frames."""
    labels: Path | None = None
    """A run of `find` or `annotate`: its certified instances are learned beside the rendered ones."""
    synthetic: Path | None = None
    """A root of rendered frames; None: they are rendered."""
    init: Path | None = None
    """A segmentation network of the same objects to begin with."""
    seed: int = 0
    cache: CacheOptions = field(default_factory=CacheOptions)

    def __post_init__(self) -> None:
        if self.source == "masks" and (self.labels or self.synthetic):
            raise UsageError(
                "--labels and --synthetic are learned from beside rendered frames, the data set's own masks without "
                "them. Leave them out, or leave --recipe out."
            )

    def describe(self) -> dict[str, Any]:
        """Every option that changes results, for `config.yaml`."""
        paths = {name: getattr(self, name) for name in ("labels", "synthetic", "init")}
        return {
            "task": "segment",
            "source": self.source,
            "max_steps": self.limit.max_steps,
            "max_minutes": self.limit.max_minutes,
            **{name: None if path is None else str(path.resolve()) for name, path in paths.items()},
            "labels_content": None if self.labels is None else labels_content(self.labels),
            "seed": self.seed,
            "network": SegmentationConfig().to_json(),
        }


def labels_content(run: Path) -> str:
    """What tells a run's labels, and what a person said of them, from others."""
    files = RunFiles(run)
    paths = (files.certificates, files.review, files.detections, files.turned_away)
    return " ".join(content_hash(path) if path.is_file() else "-" for path in paths)


def train_segmentation(
    dataset: Dataset,
    options: SegmentOptions,
    out: Path,
    device: torch.device,
    resume: bool = False,
    on_frame: Callable[[], object] = lambda: None,
) -> SegmentResult:
    """Fit a segmentation network for a data set's objects and leave it in the run folder `out`.

    Raises:
        UsageError: the options do not fit the data set or the folder.
        KeyboardInterrupt: Ctrl-C; continue with `resume`.
    """
    if has_state(out) and not resume:
        raise UsageError(
            f"{out} holds a training already. Continue it with --resume, or choose another --out."
        )
    context = RunContext(dataset.root.resolve(), str(device))
    found = None if options.synthetic is None else find_synthetic(options.synthetic, dataset)
    described = options.describe() | synthetic_fingerprint(found)
    config = new_config("train", options.data.config(dataset), described, context)
    resume = resume and has_state(out)
    config = continued_config(out, options.limit, config) if resume else require_same_run(out, config)
    network = _network(dataset, options, resume).to(device)
    own, rendered = _parts(dataset, options, found, on_frame)
    plan = _plan(network, own, rendered, options, out, device, resume)
    out.mkdir(parents=True, exist_ok=True)
    write_config(out, config)
    return fit_segmentation(plan)


def _network(dataset: Dataset, options: SegmentOptions, resume: bool) -> SegmentationNetwork:
    torch.manual_seed(options.seed)
    obj_ids = tuple(dataset.object_ids)
    diameters_m = tuple(box_diagonal_m(dataset.load_mesh(obj_id)) for obj_id in obj_ids)
    if options.init is None or resume:  # what goes on has weights of its own
        return SegmentationNetwork(SegmentationConfig(), obj_ids, diameters_m)
    network, _ = load_segmentation(find_checkpoint(options.init))
    if network.obj_ids != obj_ids:
        raise UsageError(
            f"--init {options.init}: its network knows objects {' '.join(map(str, network.obj_ids))}, to be learned "
            f"are {' '.join(map(str, obj_ids))}. Pass one of the same objects, or name them with --objects."
        )
    return network


def _parts(
    dataset: Dataset, options: SegmentOptions, found: DataOptions | None, on_frame: Callable[[], object]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The data set's own frames, and rendered ones, as far as they are learned from."""
    if options.source == "masks":
        return open_frames(dataset, options.cache, on_frame=on_frame), None
    own = None
    if options.labels is not None:
        own = _certified_frames(dataset, options, on_frame)
    obj_ids = tuple(dataset.object_ids)
    if found is None:
        found = render_synthetic(dataset, obj_ids, options.cache, print, INSTANCES_PER_OBJECT)
    return own, open_frames(open_synthetic(found, dataset, obj_ids), options.cache)


def _certified_frames(
    dataset: Dataset, options: SegmentOptions, on_frame: Callable[[], object]
) -> np.ndarray:
    """The frames of a run with the masks that it was made with, or that it found."""
    run = options.labels
    assert run is not None
    found = RunFiles(run).detections
    masks = found if found.is_file() else read_config(run).data.detections
    dataset = replace(options.data, split=dataset.split, detections=masks).open()
    certified = frozenset((key.scene_id, key.im_id, key.inst_id) for key in labels_of(run, dataset))
    return open_frames(dataset, options.cache, Taught(certified, _doubtful(run)), on_frame)


def _doubtful(run: Path) -> dict[FrameId, tuple[tuple[int, int, int, int], ...]]:
    """Where a run turned something away that may be an object all the same."""
    path, boxes = RunFiles(run).turned_away, defaultdict[FrameId, list[tuple[int, int, int, int]]](list)
    for _, row in read_lines(path) if path.is_file() else ():
        if row["confidence"] >= DOUBTFUL and row["piece"] != "none":
            x, y, width, height = map(int, row["bbox"])
            boxes[FrameId(row["scene_id"], row["im_id"])].append((x, y, width, height))
    return {frame_id: tuple(sorted(found)) for frame_id, found in sorted(boxes.items())}


def _plan(
    network: SegmentationNetwork,
    own: np.ndarray | None,
    rendered: np.ndarray | None,
    options: SegmentOptions,
    out: Path,
    device: torch.device,
    resume: bool,
) -> SegmentPlan:
    parts = [part for part in (own, rendered) if part is not None]
    starts = np.cumsum([0, *map(len, parts)])
    training, held_out = [], []
    for part, start in zip(parts, starts[:-1], strict=True):
        index = start + np.arange(len(part))
        held = min(MOST_HELD_OUT, int(np.ceil(HELD_OUT_FRACTION * len(part)))) if len(part) > 1 else 0
        training.append(index[: len(index) - held])
        held_out.append(index[len(index) - held :])
    if len(parts) == 1:
        order = BatchOrder(training[0], BATCH, options.seed, ProcessPart())
    else:
        order = MixedOrder(training[0], training[1], BATCH, BATCH // 2, options.seed, ProcessPart())
    frames = FrameStore(tuple(parts))
    settings = options.limit, options.seed, out, device, resume
    return SegmentPlan(network, frames, order, np.concatenate(held_out), *settings)
