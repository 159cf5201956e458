"""From a data set and options to a training run: device, crops, network, targets, then the loop."""

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.strategies import DDPStrategy

from selfpose6d.crops.store import CacheOptions, CropStore, open_crop_store
from selfpose6d.datasets.dataset import Dataset
from selfpose6d.datasets.options import DataOptions
from selfpose6d.errors import UsageError
from selfpose6d.inference.options import Precision, use_bf16
from selfpose6d.network.checkpoint import load_network
from selfpose6d.network.config import NetworkConfig, Size
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.network.transfer import require_same_structure, shared_objects, take_over
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.runs.config import RunContext, new_config, write_config
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.runs.folder import require_same_run
from selfpose6d.training.checkpoint import has_state
from selfpose6d.training.continuing import continued_config, require_room
from selfpose6d.training.known_poses import usable_labels
from selfpose6d.training.loader import require_batch
from selfpose6d.training.loop import fit
from selfpose6d.training.plan import FitPlan, FitResult, SyntheticPart
from selfpose6d.training.recipe import Recipe
from selfpose6d.training.rendering import render_synthetic
from selfpose6d.training.schedule import Limit
from selfpose6d.training.sources import Sources, join, make_sources
from selfpose6d.training.split import split_frames
from selfpose6d.training.step import StepContext
from selfpose6d.training.synthetic import (
    SyntheticFrames,
    find_synthetic,
    open_synthetic,
    require_objects,
    synthetic_fingerprint,
)
from selfpose6d.types import InstanceKey, LabeledPose

Labels = Mapping[InstanceKey, LabeledPose]


@dataclass(frozen=True)
class TrainOptions:
    """What a training run is made of."""

    data: DataOptions
    recipe: Recipe
    limit: Limit
    size: Size = "small"
    labels: Path | None = None
    """An `annotate` run, for the recipes that learn from labels."""
    init: Path | None = None
    """A training run or a checkpoint whose weights the network begins with."""
    seed: int = 0
    cache: CacheOptions = field(default_factory=CacheOptions)
    synthetic: Path | None = None
    """A root of rendered frames whose true poses are read; None: they are rendered where the recipe needs them."""

    def __post_init__(self) -> None:
        if self.synthetic is not None and not self.recipe.uses_synthetic:
            raise UsageError(
                f"--synthetic: recipe {self.recipe.name} has no synthetic part in these stages. Leave it out, or use "
                "--recipe mixed or teacher-student."
            )
        if self.init is None and self.recipe.is_taught(self.recipe.stages[0]):
            raise UsageError(
                f"recipe {self.recipe.name}: stage {self.recipe.stages[0].name} needs a teacher that has learned "
                "something. Add the stages before it, or begin with a trained network: --init MODEL."
            )
        if self.init is None and "estimator" not in self.recipe.stages[0].trains:
            raise UsageError(
                f"recipe {self.recipe.name}: the first stage must train the estimator. Add it to --stages, or begin "
                "with a trained one: --init MODEL."
            )

    @property
    def config(self) -> NetworkConfig:
        """The network's structure."""
        return self.recipe.network(self.size)

    def describe(self) -> dict[str, Any]:
        """Every option that changes results, for `config.yaml`."""
        return {
            "recipe": self.recipe.name,
            "max_steps": self.limit.max_steps,
            "max_minutes": self.limit.max_minutes,
            "size": self.size,
            "labels": str(self.labels.resolve()) if self.labels else None,
            "init": str(self.init.resolve()) if self.init else None,
            "synthetic": str(self.synthetic.resolve()) if self.synthetic else None,
            "seed": self.seed,
            "recipe_settings": asdict(self.recipe),
            "network": asdict(self.config),
        }


class _HalfLayers(MixedPrecision):
    """Half precision in layers alone.

    Fabric's own rounds what goes into the network as well, points to 8 bits: a millimetre in a crop of half a metre.
    """

    def __init__(self, device: str) -> None:
        super().__init__("bf16-mixed", device)

    def convert_input(self, data: Any) -> Any:
        """As they are."""
        return data


def make_fabric(device: str, precision: Precision = "auto") -> Fabric:
    """One process on `cpu` or `cuda`, or one of many that `torchrun` started (gloo on CPUs, NCCL on CUDA)."""
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=max(1, world // local),
        strategy=DDPStrategy(find_unused_parameters=True) if world > 1 else "auto",
        plugins=_HalfLayers(device) if use_bf16(device, precision) else None,
    )
    fabric.launch()
    return fabric


def train(
    dataset: Dataset,
    options: TrainOptions,
    out: Path,
    fabric: Fabric,
    resume: bool = False,
    on_frame: Callable[[], object] = lambda: None,
) -> FitResult:
    """Fit a network to a data set and leave it in the run folder `out`.

    `resume` goes on from the last saved state, or begins where nothing was saved yet; with more steps than it had,
    these have a schedule of their own.

    Raises:
        UsageError: the options do not fit the data set or the folder.
        KeyboardInterrupt: Ctrl-C; continue with `resume`.
    """
    if has_state(out) and not resume:
        raise UsageError(
            f"{out} holds a training already. Continue it with --resume, or choose another --out."
        )
    require_batch(options.recipe.batch, fabric.world_size)
    context = RunContext(
        dataset.root.resolve(), str(fabric.device), precision=str(fabric.strategy.precision.precision)
    )
    found = None if options.synthetic is None else find_synthetic(options.synthetic, dataset)
    described = options.describe() | synthetic_fingerprint(found)
    config = new_config("train", options.data.config(dataset), described, context)
    resume = resume and has_state(out)
    config = continued_config(out, options.limit, config) if resume else require_same_run(out, config)
    earlier = None if resume else _earlier_network(options)
    labels = _labels(dataset, options)
    with fabric.rank_zero_first():
        store = open_crop_store(dataset, options.config.crop_px, options.cache, on_frame)
        synthetic = _synthetic_frames(dataset, options, store, found, fabric.is_global_zero)
    plan = _plan(dataset, options, labels, store, synthetic, out, fabric.device, resume)
    require_room(plan)
    if earlier is not None:
        take_over(plan.network, earlier)
    if fabric.is_global_zero:
        out.mkdir(parents=True, exist_ok=True)
        write_config(out, config)
        _warn_of_plain_meshes(plan.context)
        _warn_of_new_objects(plan.network, earlier)
    fabric.barrier()
    return fit(plan, fabric)


def _earlier_network(options: TrainOptions) -> PoseNetwork | None:
    """The network to begin with, read before the slow work begins.

    Raises:
        CheckpointError: there is none, or it is of another structure.
    """
    if options.init is None:
        return None
    network, _ = load_network(find_checkpoint(options.init))
    require_same_structure(str(options.init), network.config, options.config)
    return network


def _warn_of_new_objects(network: PoseNetwork, earlier: PoseNetwork | None) -> None:
    if earlier is None:
        return
    known = shared_objects(network, earlier)
    if new := [obj_id for obj_id in network.objects.obj_ids if obj_id not in known]:
        warnings.warn(
            f"--init: heads of objects {' '.join(map(str, new))} start fresh: its network knows no such objects",
            stacklevel=2,
        )


def _synthetic_frames(
    dataset: Dataset, options: TrainOptions, store: CropStore, found: DataOptions | None, speaks: bool
) -> SyntheticFrames | None:
    """The synthetic part of the recipe, if it has one: of the objects that the data set's own frames show."""
    if not options.recipe.uses_synthetic:
        return None

    def say(text: str) -> None:
        if speaks:
            print(text, flush=True)

    rendered = found is None
    found = found or render_synthetic(dataset, store.obj_ids, options.cache, say)
    synthetic = open_synthetic(found, dataset, store.obj_ids)
    crops = open_crop_store(synthetic, options.config.crop_px, options.cache)
    require_objects(synthetic, store.obj_ids, crops.obj_ids)
    frames = SyntheticFrames(synthetic, crops)
    say(frames.describe(rendered))
    return frames


def _plan(
    dataset: Dataset,
    options: TrainOptions,
    labels: Labels,
    store: CropStore,
    synthetic: SyntheticFrames | None,
    out: Path,
    device: torch.device,
    resume: bool,
) -> FitPlan:
    meshes = [dataset.load_mesh(obj_id) for obj_id in store.obj_ids]
    objects, shapes = object_table(store.obj_ids, meshes), build_object_shapes(meshes).to(device)
    recipe, config = options.recipe, options.config
    torch.manual_seed(options.seed)
    network = PoseNetwork(config, objects, shapes.surfaces)
    rendered = build_rendered_objects(meshes, device) if recipe.renders or recipe.has_teacher else None
    sources = make_sources(recipe, dataset, labels, store, synthetic, network, shapes, rendered)
    usable = np.flatnonzero(sources.training.has_target(np.arange(len(store))))
    if not len(usable):
        raise UsageError(
            f"recipe {recipe.name}: no instance to train on has a target pose. Annotate more frames."
        )
    split = split_frames(store.keys[usable])
    training, held_out, note = usable[split.training], usable[split.held_out], split.describe()
    part = None
    if synthetic is not None:
        part, more = _synthetic_part(recipe, sources, store, synthetic)
        note = f"{note} (the data set's own frames, compared with resolved poses: without labels){more}"
    context = StepContext(
        recipe, config, objects, sources.training, shapes, device, rendered, sources.held_out
    )
    settings = (options.limit, options.seed, out, resume, note, part, sources.teacher)
    return FitPlan(network, context, join(store, synthetic), training, held_out, *settings)


def _synthetic_part(
    recipe: Recipe, sources: Sources, store: CropStore, synthetic: SyntheticFrames
) -> tuple[SyntheticPart, str]:
    """Indices of the rendered instances and what the log says of them; held out only where a stage sees no others."""
    index = len(store) + np.arange(len(synthetic.store))
    usable = np.flatnonzero(sources.training.has_target(index))
    known = np.unique(synthetic.store.keys[usable, 2]).tolist()
    require_objects(synthetic.dataset, store.obj_ids, known)
    if not any(stage.synthetic == 1 for stage in recipe.stages):
        return SyntheticPart(index[usable], index[:0]), ""
    split = split_frames(synthetic.store.keys[usable])
    part = SyntheticPart(index[usable[split.training]], index[usable[split.held_out]])
    return part, f"; of the synthetic part, compared with true poses: {split.describe()}"


def _warn_of_plain_meshes(context: StepContext) -> None:
    if context.rendered is None:
        return
    pairs = zip(context.objects.obj_ids, context.rendered.has_colour.tolist(), strict=True)
    if plain := [obj_id for obj_id, has_colour in pairs if not has_colour]:
        names = " ".join(map(str, plain))
        warnings.warn(
            f"no colour term in the joint loss for objects {names}: their meshes have no colours",
            stacklevel=2,
        )


def _labels(dataset: Dataset, options: TrainOptions) -> Labels:
    """The labels that the recipe learns from, read before the slow work begins.

    Raises:
        UsageError: they are missing or of other data, or given to a recipe that has no use for them.
    """
    if options.recipe.target == "labels":
        return usable_labels(options.labels, dataset, options.recipe.ambiguous)
    if options.labels is not None:
        raise UsageError(
            f"--labels: recipe {options.recipe.name} does not learn from labels. Use --recipe verified."
        )
    return {}
