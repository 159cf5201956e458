"""Threads that train together: the gradients of one, shared weights, and where one thread is enough."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from networks import TINY, TINY_COORDINATES, build_both
from small_roots import cube
from training_runs import NO_SYMMETRY, run, same_weights, short

from selfpose6d.crops.store import open_crop_store
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.table import object_table
from selfpose6d.training.known_poses import ground_truth_poses
from selfpose6d.training.loader import ProcessPart, Samples
from selfpose6d.training.parallel import ThreadedStep, sharing_weights, useful_threads
from selfpose6d.training.recipe import JOINT_LOSS, find_recipe
from selfpose6d.training.step import StepContext, step_loss
from selfpose6d.training.targets import PoseTable

CUBE = object_table((2,), [cube()])
CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_the_gradient_is_the_mean_of_the_parts(dataset, cache):
    store, shapes = open_crop_store(dataset, 32, cache), build_object_shapes([cube()])
    T, weight = ground_truth_poses(dataset, store.keys)
    source = PoseTable(T, weight, NO_SYMMETRY, shapes)
    recipe = short("supervised", coordinates=True)
    context = StepContext(recipe, TINY_COORDINATES, CUBE, source, shapes, CPU)
    index = torch.arange(8).numpy()
    samples = Samples(index, store.read(index))

    def loss(network, own, part):
        generator = torch.Generator().manual_seed(part.rank)
        return step_loss(network, context, recipe.stages[0], own, generator)

    network = build_both(TINY_COORDINATES, CUBE).train()
    step = ThreadedStep(network, 2, nullcontext)
    found = step(loss, samples)
    step.close()
    alone = build_both(TINY_COORDINATES, CUBE).train()
    losses = []
    for rank, rows in enumerate((slice(0, 4), slice(4, 8))):
        losses.append(loss(alone, Samples(samples.index[rows], samples.records[rows]), ProcessPart(rank, 2)))
        (losses[-1].total / 2).backward()
    assert found.total.item() == pytest.approx(sum(one.total.item() for one in losses) / 2, rel=1e-5)
    assert torch.allclose(found.instance, torch.cat([one.instance for one in losses]), rtol=1e-4)
    assert found.measures["refined_m"].shape == (8,)
    for (name, own), other in zip(network.named_parameters(), alone.parameters(), strict=True):
        assert torch.allclose(own.grad, other.grad, rtol=1e-3, atol=1e-5), name


def test_twins_share_weights_and_keep_their_gradients_apart():
    network = build_both(TINY_COORDINATES)
    twin = sharing_weights(network)
    own, other = next(network.parameters()), next(twin.parameters())
    with torch.no_grad():
        own.fill_(0.5)
    assert (other == 0.5).all()
    other.grad = torch.ones_like(other)
    assert own.grad is None
    network.load_state_dict(build_both(TINY_COORDINATES, seed=5).state_dict())
    assert torch.equal(own, other)


def test_one_thread_where_several_would_draw_or_call_numba_at_once(two_threads):
    network, known = build_both(TINY_COORDINATES), find_recipe("supervised").of_coordinates()
    stage = known.stages[0]
    assert useful_threads(network, known, stage, CPU, 1) == 2
    assert useful_threads(network, known, stage, torch.device("cuda"), 1) == 1
    assert useful_threads(network, known, stage, CPU, 2) == 1
    assert useful_threads(network, known, JOINT_LOSS, CPU, 1) == 1
    assert useful_threads(network, replace(known, batch=1), stage, CPU, 1) == 1
    for name in ("mixed", "paper"):
        other = find_recipe(name)
        assert useful_threads(network, other, other.stages[0], CPU, 1) == 1
    rendered = find_recipe("teacher-student")
    assert useful_threads(network, rendered, rendered.stages[0], CPU, 1) == 2
    assert useful_threads(build_both(replace(TINY, dropout=0.3)), known, stage, CPU, 1) == 1


def test_the_same_seed_gives_the_same_weights_in_two_threads(dataset, cache, tmp_path, two_threads):
    recipe = short("supervised", coordinates=True)
    for name in ("first", "same"):
        run(dataset, tmp_path / name, cache, steps=4, recipe=recipe)
    assert same_weights(tmp_path / "first", tmp_path / "same")
