"""One step's loss: decode, change, sample, predict, refine, ask for targets or render, compare."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from selfpose6d.crops.augment import augment
from selfpose6d.crops.batch import CropBatch, CropImages, decode_records, resized, sample_batch
from selfpose6d.crops.joined import Crops
from selfpose6d.errors import DataError
from selfpose6d.losses.comparison import RIGHT_ERROR
from selfpose6d.losses.weak import pose_distance_m, weak_loss, weighted_mean
from selfpose6d.network.config import NetworkConfig
from selfpose6d.network.interface import ObjectTable, Refinement
from selfpose6d.network.pose_network import NetworkOutput, Starts, natural_starts
from selfpose6d.objects.rendered import RenderedObjects
from selfpose6d.objects.shapes import ObjectShapes
from selfpose6d.training.coordinates_loss import comparison_loss, pixel_loss
from selfpose6d.training.loader import Samples
from selfpose6d.training.recipe import Recipe, Stage
from selfpose6d.training.render_loss import rendered_joint_loss
from selfpose6d.training.starts import NearStarts, WideStarts
from selfpose6d.training.targets import Aims, TargetSource

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
        self,
        records: np.ndarray,
        generator: torch.Generator,
        stage: Stage | None,
        keep_unchanged: bool = False,
    ) -> CropBatch:
        """Records to a batch on the device, augmented and of a stage's size, or as they are; `unchanged` holds them
        without, if asked.
        """
        images = decode_records(records, self.device)
        if stage is None:
            return self._sample(images, generator)
        changed = augment(images, self.recipe.augment, generator)
        batch = self._sample(resized(changed, self.recipe.crop_px(stage, self.config)), generator)
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
    instance: Float[Tensor, " batch"]
    measures: Mapping[str, Float[Tensor, " batch"]]
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
    changing = stage if training and by_targets else None
    batch = context.make_batch(samples.records, generator, changing, keep_unchanged)
    num_poses = min(recipe.num_poses, context.config.num_points)
    selected = torch.arange(num_poses, device=context.device).expand(count, num_poses)
    features = recipe.refiner_features if "estimator" in stage.trains else "frozen"
    steps = recipe.refine_steps if "refiner" in stage.trains else 0
    inputs, surfaces = batch.inputs(context.config), context.shapes.surfaces
    if not by_targets:
        output = network(inputs, surfaces, selected, steps, features)
        assert output.refinement is not None
        return _joint(context, batch, output.refinement.T_steps, with_norms)
    index = torch.from_numpy(samples.index)
    aims = partial(context.source_of(training).begin(batch, index).targets, batch, index)
    starts = _starts(context, batch, aims, generator) if training else natural_starts
    output = network(inputs, surfaces, selected, steps, features, starts)
    points_m = _loss_points_m(context.shapes, generator)[batch.object_index]
    loss = _of_pixel_poses if output.prediction.fragments is None else _of_fragments
    return loss(context, batch, aims, output, points_m)


def _starts(context: StepContext, batch: CropBatch, aims: Aims, generator: torch.Generator) -> Starts:
    """What is refined in training."""
    surfaces, noise = context.shapes.surfaces, context.recipe.refiner_noise
    if context.recipe.architecture == "coordinates":
        return WideStarts(aims, batch.object_index, surfaces, noise, generator).draw
    return NearStarts(batch.object_index, surfaces, noise, generator).draw


def _loss_points_m(shapes: ObjectShapes, generator: torch.Generator) -> Float[Tensor, "objects points 3"]:
    order = torch.randperm(shapes.points_m.shape[1], generator=generator, device=shapes.points_m.device)
    return shapes.points_m[:, order[:_LOSS_POINTS]]


def _of_pixel_poses(
    context: StepContext,
    batch: CropBatch,
    aims: Aims,
    output: NetworkOutput,
    points_m: Float[Tensor, "batch points 3"],
) -> StepLoss:
    """The paper's: the weak loss of the pixels' poses, and the distance of the refined ones.

    Reference: paper Eq. (3)-(4).
    """
    prediction = output.prediction
    assert prediction.confidence_logit is not None
    targets = aims(prediction.T_crop_obj)
    distance_m = pose_distance_m(prediction.T_crop_obj, targets.T_crop_obj, points_m)
    weak = weak_loss(distance_m, prediction.confidence_logit, context.recipe.regularisation_m, targets.weight)
    measures = {"distance_m": weak.distance_m, "confidence": weak.confidence}
    if batch.unchanged is not None:
        measures["agreement"] = targets.weight
    if output.refinement is None:
        return StepLoss(weak.total, weak.instance.detach(), measures, "distance_m")
    T_steps = output.refinement.T_steps
    targets = aims(T_steps, together=True)
    refined_m = pose_distance_m(T_steps, targets.T_crop_obj, points_m)
    instance = refined_m.mean(-1)
    refined = weighted_mean(instance, targets.weight)
    measures["refined_m"] = refined_m[:, -1].detach()
    return StepLoss(weak.total + refined, (weak.instance + instance).detach(), measures, "refined_m")


def _of_fragments(
    context: StepContext,
    batch: CropBatch,
    aims: Aims,
    output: NetworkOutput,
    points_m: Float[Tensor, "batch points 3"],
) -> StepLoss:
    """The fragments of all pixels, and the comparison's ratings and corrections of the starts."""
    prediction, refinement, surfaces = output.prediction, output.refinement, context.shapes.surfaces
    assert prediction.fragments is not None
    assert refinement is not None
    # pixels keep several answers open themselves: of targets that look alike they learn that of the best supported pose
    pixels = pixel_loss(prediction.fragments, batch, aims(prediction.T_crop_obj[:, :1]), surfaces)
    targets = aims(refinement.T_crop_obj.flatten(1, 2))
    diameter_m = surfaces.diameter_m[batch.object_index]
    compared, error_m = comparison_loss(refinement, targets, points_m, diameter_m)
    instance = pixels + compared
    total = weighted_mean(instance, targets.weight)
    measures = _chosen(refinement, error_m, diameter_m)
    if batch.unchanged is not None:
        measures["agreement"] = targets.weight
    return StepLoss(total, instance.detach(), measures, "refined_m")


def _chosen(
    refinement: Refinement, error_m: Float[Tensor, "batch starts poses"], diameter_m: Float[Tensor, " batch"]
) -> dict[str, Float[Tensor, " batch"]]:
    """Of the poses rated best before and after all corrections; of the latter also what the network says of them."""
    assert refinement.rating is not None
    sharpness, right_logit = (value.detach() for value in refinement.rating)
    first, best = sharpness[..., 0].argmax(1, True), sharpness.flatten(1).argmax(1, True)
    refined_m = error_m.flatten(1).gather(1, best).squeeze(1)
    return {
        "distance_m": error_m[..., 0].gather(1, first).squeeze(1),
        "refined_m": refined_m,
        "right_logit": right_logit.flatten(1).gather(1, best).squeeze(1),
        "right": (refined_m < RIGHT_ERROR * diameter_m).to(refined_m),
    }


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


def require_finite(values: Float[Tensor, " batch"], samples: Samples, store: Crops, step: int) -> None:
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
