"""One training step on a fixed batch, by the resolver's poses or by the joint loss, to be measured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from selfpose6d.crops.store import CacheOptions, open_crop_store
from selfpose6d.network.config import SIZES, Size
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.reproduction.parts import Part
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.training.loader import ProcessPart, Samples, step_generator
from selfpose6d.training.recipe import ESTIMATOR, JOINT_LOSS, find_recipe
from selfpose6d.training.render_loss import rendered_joint_loss
from selfpose6d.training.step import StepContext, step_loss
from selfpose6d.training.targets import IterativeAnnotationResolver


@dataclass(frozen=True)
class OneStep:
    """A network, what a step needs, and one batch's records."""

    network: PoseNetwork
    context: StepContext
    records: np.ndarray

    @classmethod
    def prepare(cls, part: Part, size: Size, batch: int, cache: Path) -> "OneStep":
        """Cut crops, build the network. Raises what data sets and meshes give cause for."""
        dataset = part.open()
        config, recipe = SIZES[size], find_recipe("paper")
        store = open_crop_store(dataset, config.crop_px, CacheOptions(cache))
        meshes = [dataset.load_mesh(obj_id) for obj_id in store.obj_ids]
        shapes, objects = build_object_shapes(meshes), object_table(store.obj_ids, meshes)
        torch.manual_seed(0)
        network = PoseNetwork(config, objects)
        source = IterativeAnnotationResolver(shapes, ResolverOptions(iterations=recipe.resolver_iterations))
        rendered, device = build_rendered_objects(meshes, "cpu"), torch.device("cpu")
        context = StepContext(recipe, config, objects, source, shapes, device, rendered)
        return cls(network, context, store.read(np.arange(min(batch, len(store)))))

    def step(self, kind: str, optimiser: torch.optim.Optimizer, step: int) -> None:
        """A whole training step of `resolver` or `renderer`."""
        stage = ESTIMATOR if kind == "resolver" else JOINT_LOSS
        samples = Samples(np.arange(len(self.records)), self.records)
        generator = step_generator(0, step, ProcessPart(), "cpu")
        step_loss(self.network, self.context, stage, samples, generator).total.backward()
        optimiser.step()
        optimiser.zero_grad()

    def target(self, kind: str) -> tuple[Callable[[], object], int]:
        """Resolving the batch's poses, or rendering and comparing them, with gradient; and how many poses that is."""
        context, rows = self.context, torch.arange(len(self.records))
        batch = context.make_batch(self.records, step_generator(0, 0, ProcessPart(), "cpu"), stage=None)
        steps = context.recipe.refine_steps
        with torch.no_grad():
            count = min(context.recipe.num_poses, context.config.num_points)
            selected = torch.arange(count).expand(len(rows), -1)
            T = self.network(batch.inputs(context.config), context.shapes.surfaces, selected, steps)
        if kind == "resolver":
            poses = T.prediction.T_crop_obj.shape[:2].numel()
            return lambda: context.source.targets(batch, rows, T.prediction.T_crop_obj), poses
        assert context.rendered is not None
        objects, joint, grid = context.rendered, context.recipe.joint, context.shapes.grid
        assert T.refinement is not None
        leaf = T.refinement.T_steps.clone().requires_grad_()
        poses = leaf.shape[:2].numel()
        return (
            lambda: rendered_joint_loss(objects, batch, leaf, grid, joint).terms.total.sum().backward(),
            poses,
        )
