"""One step's loss: decode, change, sample, predict, refine, ask for targets or render, compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from selfpose6d.crops.augment import augment
from selfpose6d.crops.batch import CropBatch, CropImages, decode_records, sample_batch
from selfpose6d.crops.joined import Crops
from selfpose6d.errors import DataError
from selfpose6d.losses.weak import pose_distance_m, weighted_mean
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.interface import ObjectTable
from selfpose6d.network.pose_network import NetworkOutput
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.training.estimator_loss import estimator_loss
from selfpose6d.training.loader import Samples
from selfpose6d.training.recipe import Recipe, Stage
from selfpose6d.training.render_loss import rendered_joint_loss
from selfpose6d.training.targets import TargetSource

_LOSS_POINTS = 200
"""Model points of an object that a step's distances are means over: of its 500, drawn anew in every step."""


@dataclass(frozen=True)
class StepContext:
    """What is the same in every step; `rendered` only where something is rendered."""

    recipe: Recipe
    config: NetworkConfig
    objects: ObjectTable
    source: TargetSource
    shapes: ObjectShapes
    device: torch.device
    rendered: RenderedObjects | None = None
    held_out_source: TargetSource | None = None
    """What held-out instances are compared with; None: `source`, as in training."""

    def make_batch(
        self, records: np.ndarray, generator: torch.Generator, augmented: bool, keep_unchanged: bool = False
    ) -> CropBatch:
        """Records to a batch on the device, with or without augmentation; `unchanged` holds them without, if asked."""
        images = decode_records(records, self.device)
        if not augmented:
            return self._sample(images, generator)
        batch = self._sample(augment(images, self.recipe.augment, generator), generator)
        return replace(batch, unchanged=self._sample(images, generator)) if keep_unchanged else batch

    def _sample(self, images: CropImages, generator: torch.Generator) -> CropBatch:
        index_by_id = {obj_id: index for index, obj_id in enumerate(self.objects.obj_ids)}
        diameter_m = torch.tensor(self.objects.diameter_m)
        return sample_batch(images, index_by_id, diameter_m, self.config.num_points, generator)

    def source_of(self, training: bool) -> TargetSource:
        """Where targets come from, in training or for held-out instances."""
        return self.source if training or self.held_out_source is None else self.held_out_source


@dataclass(frozen=True)
class StepLoss:
    """What a step minimises, and what it says of every instance; `measures[monitored]` picks the best network."""

    total: Float[Tensor, ""]
    instance: Float[Tensor, "batch"]
    measures: Mapping[str, Float[Tensor, "batch"]]
    monitored: str
    gradient_norms: Mapping[str, float] = field(default_factory=dict)
    """Of each term of the joint loss, weighted, for the poses; empty where they were not asked for."""


def step_loss(
    network: Callable[..., NetworkOutput],
    context: StepContext,
    stage: Stage,
    samples: Samples,
    generator: torch.Generator,
    training: bool = True,
    with_norms: bool = False,
) -> StepLoss:
    """The loss of a batch in a stage, with gradient. Sampled pixels are in random order: the subset is the first.

    While `training`, crops are augmented for losses by targets, and poses perturbed before they are refined; a
    rendering is compared with the observed image as it is. `with_norms` measures the gradients of the joint loss's
    terms one by one.

    Reference: paper Eq. (3)-(4) and (11).
    """
    recipe, count = context.recipe, len(samples)
    by_targets = stage.loss == "targets"
    keep_unchanged = context.source.wants_unchanged and recipe.is_taught(stage)
    batch = context.make_batch(samples.records, generator, training and by_targets, keep_unchanged)
    num_poses = min(recipe.num_poses, context.config.num_points)
    selected = torch.arange(num_poses, device=context.device).expand(count, num_poses)
    features = recipe.refiner_features if "estimator" in stage.trains else "frozen"
    steps, perturbation = recipe.refine_steps if "refiner" in stage.trains else 0, None
    if steps and training and by_targets and recipe.refiner_noise > 0:
        perturbation = draw_perturbation(count, recipe.refiner_noise, generator)
    output = network(
        batch.inputs(context.config), context.shapes.grid, selected, steps, features, perturbation
    )
    if by_targets:
        index = torch.from_numpy(samples.index)
        source = context.source_of(training).begin(batch, index)
        return _by_targets(context, source, batch, output, index, generator)
    assert output.T_refined is not None
    return _joint(context, batch, output.T_refined, with_norms)


def draw_perturbation(count: int, noise: float, generator: torch.Generator) -> Float[Tensor, "{count} 6"]:
    """Small rotations (radians) and shifts (diameters), each instance's of a size of its own up to about `noise`."""
    device = generator.device
    size = noise * torch.rand(count, 1, generator=generator, device=device)
    scale = torch.tensor([1.0] * 3 + [1 / 3] * 3, device=device)
    return size * scale * torch.randn(count, 6, generator=generator, device=device)


def _by_targets(
    context: StepContext,
    source: TargetSource,
    batch: CropBatch,
    output: NetworkOutput,
    index: Int[Tensor, "batch"],
    generator: torch.Generator,
) -> StepLoss:
    model_points_m = context.shapes.points_m
    order = torch.randperm(model_points_m.shape[1], generator=generator, device=model_points_m.device)
    points_m = model_points_m[:, order[:_LOSS_POINTS]][batch.object_index]
    prediction = output.prediction
    shapes, regularisation_m = context.shapes, context.recipe.regularisation_m
    targets = source.targets(batch, index, prediction.T_crop_obj)
    weak = estimator_loss(prediction, batch, targets, points_m, shapes, context.objects, regularisation_m)
    measures = {"distance_m": weak.distance_m, "confidence": weak.confidence}
    if batch.unchanged is not None:
        measures["agreement"] = targets.weight
    if output.T_refined is None:
        return StepLoss(weak.total, weak.instance.detach(), measures, "distance_m")
    targets = source.targets(batch, index, output.T_refined, together=True)
    refined_m = pose_distance_m(output.T_refined, targets.T_crop_obj, points_m)
    instance = refined_m.mean(-1)
    refined = weighted_mean(instance, targets.weight)
    measures["refined_m"] = refined_m[:, -1].detach()
    return StepLoss(weak.total + refined, (weak.instance + instance).detach(), measures, "refined_m")


def _joint(
    context: StepContext, batch: CropBatch, T_refined: Float[Tensor, "batch steps 4 4"], with_norms: bool
) -> StepLoss:
    assert context.rendered is not None
    found = rendered_joint_loss(
        context.rendered, batch, T_refined, context.shapes.grid, context.recipe.joint, with_norms
    )
    terms = {name: term.detach() for name, term in vars(found.terms).items() if name != "total"}
    measures = {"joint": found.terms.total.detach(), **terms}
    return StepLoss(found.terms.total.mean(), measures["joint"], measures, "joint", found.gradient_norms)


def require_finite(values: Float[Tensor, "batch"], samples: Samples, store: Crops, step: int) -> None:
    """Stop before a loss or gradient that is not finite spoils the weights.

    Raises:
        DataError: names the instances whose value is not finite (for a gradient: all of the batch).
    """
    broken = ~torch.isfinite(values.detach()).cpu().numpy()
    if broken.any():
        names = [
            " ".join(f"{k} {v}" for k, v in store.key(int(i))._asdict().items())
            for i in samples.index[broken][:4]
        ]
        raise DataError(
            f"step {step}: the loss or its gradient is not finite for {'; '.join(names)}. "
            "Look at that frame with selfpose6d validate, or leave it out with --frames or --scenes."
        )
