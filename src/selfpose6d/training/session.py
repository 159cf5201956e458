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
from selfpose6d.objects.shapes import ObjectShapes, build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.objects.table import object_table
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.runs.config import RunContext, new_config, write_config
from selfpose6d.runs.files import find_checkpoint
from selfpose6d.runs.folder import require_same_run
from selfpose6d.training.checkpoint import has_state
from selfpose6d.training.continuing import continued_config, require_room
from selfpose6d.training.known_poses import certified_labels, ground_truth_poses, label_poses
from selfpose6d.training.loader import require_batch
from selfpose6d.training.loop import fit
from selfpose6d.training.plan import FitPlan, FitResult
from selfpose6d.training.recipe import Recipe
from selfpose6d.training.schedule import Limit
from selfpose6d.training.split import split_frames
from selfpose6d.training.step import StepContext
from selfpose6d.training.targets import IterativeAnnotationResolver, PoseTable, TargetSource
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

    def __post_init__(self) -> None:
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
            "seed": self.seed,
            "recipe_settings": asdict(self.recipe),
            "network": asdict(self.config),
        }


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
        precision="bf16-mixed" if use_bf16(device, precision) else "32-true",
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
    config = new_config("train", options.data.config(dataset), options.describe(), context)
    resume = resume and has_state(out)
    config = continued_config(out, options.limit, config) if resume else require_same_run(out, config)
    earlier = None if resume else _earlier_network(options)
    labels = _labels(dataset, options)
    with fabric.rank_zero_first():
        store = open_crop_store(dataset, options.config.crop_px, options.cache, on_frame)
    plan = _plan(dataset, options, labels, store, out, fabric.device, resume)
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


def _plan(
    dataset: Dataset,
    options: TrainOptions,
    labels: Labels,
    store: CropStore,
    out: Path,
    device: torch.device,
    resume: bool,
) -> FitPlan:
    meshes = [dataset.load_mesh(obj_id) for obj_id in store.obj_ids]
    objects, shapes = object_table(store.obj_ids, meshes), build_object_shapes(meshes).to(device)
    recipe, config = options.recipe, options.config
    torch.manual_seed(options.seed)
    network = PoseNetwork(config, objects)
    source = make_target_source(recipe, dataset, labels, store, shapes)
    usable = np.flatnonzero(source.has_target(np.arange(len(store))))
    if not len(usable):
        raise UsageError(
            f"recipe {recipe.name}: no instance to train on has a target pose. Annotate more frames."
        )
    split = split_frames(store.keys[usable])
    training, held_out, note = usable[split.training], usable[split.held_out], split.describe()
    rendered = None
    if any(stage.loss == "joint" for stage in recipe.stages):
        rendered = build_rendered_objects(meshes, device)
    context = StepContext(recipe, config, objects, source, shapes, device, rendered)
    return FitPlan(
        network, context, store, training, held_out, options.limit, options.seed, out, resume, note
    )


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


def make_target_source(
    recipe: Recipe, dataset: Dataset, labels: Labels, store: CropStore, shapes: ObjectShapes
) -> TargetSource:
    """What the recipe compares poses with."""
    device = shapes.points_m.device
    symmetries = load_symmetries(dataset.models.folder, store.obj_ids, dataset.load_mesh).to(device)
    if recipe.target == "resolver":
        options = ResolverOptions(iterations=recipe.resolver_iterations, direction=recipe.direction)
        return IterativeAnnotationResolver(shapes, options, symmetries if recipe.symmetric_targets else None)
    if recipe.target == "labels":
        T_cam_obj, weight = label_poses(labels, store.keys)
    else:
        T_cam_obj, weight = ground_truth_poses(dataset, store.keys)
    return PoseTable(T_cam_obj, weight, symmetries, shapes)


def _labels(dataset: Dataset, options: TrainOptions) -> Labels:
    """The labels that the recipe learns from, read before the slow work begins.

    Raises:
        UsageError: they are missing or of other data, or given to a recipe that has no use for them.
    """
    if options.recipe.target == "labels":
        return certified_labels(options.labels, dataset)
    if options.labels is not None:
        raise UsageError(
            f"--labels: recipe {options.recipe.name} does not learn from labels. Use --recipe verified."
        )
    return {}
