"""One step: the loss on the chosen pixels, the guard against NaN, validation without a trace."""

import contextlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from networks import TINY, TINY_COORDINATES, build_both
from small_roots import cube

from selfpose6d.crops.batch import sample_batch
from selfpose6d.crops.store import open_crop_store
from selfpose6d.errors import DataError, UsageError
from selfpose6d.network.config import COORDINATES_PAPER, COORDINATES_SMALL
from selfpose6d.objects.rendered import build_rendered_objects
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.resolver.icp import ResolverOptions
from selfpose6d.training import step
from selfpose6d.training.loader import ProcessPart, Samples, step_generator
from selfpose6d.training.recipe import BOTH, ESTIMATOR, JOINT_LOSS, RECIPES, Stage, find_recipe
from selfpose6d.training.step import StepContext, require_finite, step_loss
from selfpose6d.training.targets import IterativeAnnotationResolver
from selfpose6d.training.validation import validate


@pytest.fixture
def store(dataset, cache):
    return open_crop_store(dataset, 32, cache)


@pytest.fixture
def context():
    shapes = build_object_shapes([cube()])
    source = IterativeAnnotationResolver(shapes, ResolverOptions(iterations=3))
    objects, rendered = object_table((2,), [cube()]), build_rendered_objects([cube()], "cpu")
    return StepContext(find_recipe("paper"), TINY, objects, source, shapes, torch.device("cpu"), rendered)


def loss(context, store, network, stage, seed=0):
    samples = Samples(np.arange(4), store.read(np.arange(4)))
    generator = step_generator(seed, 0, ProcessPart(), "cpu")
    return step_loss(network, context, stage, samples, generator, with_norms=True)


@pytest.mark.parametrize("stage", [ESTIMATOR, BOTH, JOINT_LOSS], ids=lambda stage: stage.name)
def test_a_step_is_repeatable_and_has_gradients_in_all_that_its_stage_trains(context, store, stage):
    network = build_both(objects=context.objects)
    first, same, other = (loss(context, store, network, stage, seed).total for seed in (0, 0, 1))
    assert first.item() == same.item()
    assert first.item() != other.item()
    first.backward()
    heads = {
        name.rsplit(".", name.count(".") - 1)[0]
        for name, p in network.named_parameters()
        if p.grad is not None and p.grad.any()
    }
    parts = {
        "estimator": {"colour_branch", "fusion", "rotation", "translation", "confidence"},
        "refiner": {"fusion", "rotation", "translation"},
    }
    assert heads == {f"{part}.{head}" for part in stage.trains for head in parts[part]}


def test_each_pixel_has_its_own_target_and_the_steps_of_a_refinement_share_one(context, store, monkeypatch):
    asked, targets = [], IterativeAnnotationResolver.targets

    def noting(self, batch, index, T_pred, together=False):
        asked.append((T_pred.shape[1], together))
        return targets(self, batch, index, T_pred, together)

    monkeypatch.setattr(IterativeAnnotationResolver, "targets", noting)
    loss(context, store, build_both(objects=context.objects), BOTH)
    assert asked == [(TINY.num_points, False), (context.recipe.refine_steps, True)]


def test_the_joint_loss_logs_the_gradient_norm_of_each_term(context, store):
    found = loss(context, store, build_both(objects=context.objects), JOINT_LOSS)
    assert found.gradient_norms.keys() == {"colour", "iou", "geometry"}
    assert all(np.isfinite(value) for value in found.gradient_norms.values())
    assert found.gradient_norms["geometry"] > 0
    assert {"joint", "colour", "iou", "geometry"} == found.measures.keys()
    options = context.recipe.joint
    weighted = sum(getattr(options, name) * found.measures[name] for name in ("colour", "iou", "geometry"))
    torch.testing.assert_close(found.measures["joint"], weighted)


def test_a_loss_that_is_not_finite_names_the_instance(store):
    values = torch.tensor([1.0, float("nan"), 2.0, float("inf")])
    with pytest.raises(DataError) as caught:
        require_finite(values, Samples(np.array([4, 2, 0, 7]), np.empty(4)), store, step=31)
    message = str(caught.value)
    assert message.startswith("step 31:")
    for index in (2, 7):
        assert f"scene_id 1 im_id {store.keys[index][1]} obj_id 2" in message
    assert f"im_id {store.keys[4][1]} " not in message
    require_finite(torch.ones(2), Samples(np.array([0, 1]), np.empty(2)), store, step=0)


@pytest.mark.parametrize("stage", [ESTIMATOR, BOTH, JOINT_LOSS], ids=lambda stage: stage.name)
def test_validation_is_repeatable_and_leaves_the_network_as_it_was(context, store, stage):
    network = build_both(objects=context.objects).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    numbers = np.arange(len(store))
    first, same = (
        validate(network, context, stage, store, numbers, 0, contextlib.nullcontext) for _ in range(2)
    )
    assert first == same
    assert first.instances == len(store)
    assert network.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_coordinate_network_begins_with_smaller_crops():
    recipe = find_recipe("teacher-student").of_coordinates()
    small, paper = COORDINATES_SMALL, COORDINATES_PAPER
    assert [recipe.crop_px(stage, small) for stage in recipe.stages[:3]] == [64, 96, 96]
    assert recipe.crop_px(recipe.stages[0], paper) == 80
    both = find_recipe("supervised").of_coordinates()
    assert [stage.fraction for stage in both.stages] == pytest.approx([0.6, 0.4])
    alone = replace(both, stages=both.stages[:1])
    assert alone.crop_px(alone.stages[0], small) == 96, "the last stage sees whole crops"
    short = replace(find_recipe("verified"), stages=(ESTIMATOR, JOINT_LOSS)).of_coordinates()
    assert [stage.fraction for stage in short.stages] == [ESTIMATOR.fraction, JOINT_LOSS.fraction]
    assert short.crop_px(short.stages[0], small) == 96
    paper_form = find_recipe("paper")
    assert {paper_form.crop_px(stage, TINY) for stage in paper_form.stages} == {TINY.crop_px}


def test_smaller_crops_are_of_training_alone(context, dataset, cache, monkeypatch):
    store = open_crop_store(dataset, 48, cache)
    recipe, seen = find_recipe("supervised").of_coordinates(), []
    config = replace(TINY_COORDINATES, crop_px=48)
    context = replace(context, recipe=recipe, config=config)
    network = build_both(config, objects=context.objects)
    monkeypatch.setattr(step, "sample_batch", partial(_noted, seen))
    for stage, training in ((recipe.stages[0], True), (recipe.stages[0], False), (recipe.stages[1], True)):
        samples = Samples(np.arange(4), store.read(np.arange(4)))
        step_loss(network, context, stage, samples, step_generator(0, 0, ProcessPart(), "cpu"), training)
    assert seen == [32, 48, 48]


def _noted(seen, images, *arguments):
    seen.append(images.rgb.shape[-1])
    return sample_batch(images, *arguments)


def test_recipes_declare_what_they_read():
    reading = {name for name, recipe in RECIPES.items() if recipe.reads_poses}
    assert reading == {"supervised", "densefusion", "synthetic"}
    assert {name for name, recipe in RECIPES.items() if not recipe.weighted} == {"densefusion"}
    assert all(name == recipe.name for name, recipe in RECIPES.items())


def test_nonsensical_stages_are_refused():
    with pytest.raises(UsageError, match="trains the refiner only"):
        Stage("wrong", ("estimator",), "joint")
    with pytest.raises(UsageError, match="fraction"):
        Stage("wrong", fraction=0.0)
