"""Each value that the paper states, from the command line to where it is used; and what `--literal` takes away."""

from dataclasses import asdict

import pytest
from small_roots import cube

from selfpose6d.cli.main import parse
from selfpose6d.cli.train import Command
from selfpose6d.network.config import PAPER
from selfpose6d.objects.shapes import build_object_shapes
from selfpose6d.objects.symmetries import load_symmetries
from selfpose6d.training import sources
from selfpose6d.training.adapt import adapt_recipe
from selfpose6d.training.recipe import Recipe, find_recipe
from selfpose6d.training.schedule import learning_rate, part_rates, stage_ends
from selfpose6d.training.targets import IterativeAnnotationResolver


def recipe_of(*options: str) -> Recipe:
    command = parse(Command, "train", ["DATASET", "--out", "RUN", "--max-steps", "9", *options])
    return adapt_recipe(find_recipe(command.recipe or "paper"), command.settings)


PAPER_VALUES = {
    "resolver_iterations": 20,
    "regularisation_m": 0.015,
    "refine_steps": 2,
    "weighted": True,
    "reads_poses": False,
}


@pytest.mark.parametrize("options", [(), ("--literal",)])
def test_what_the_paper_states(options):
    recipe = recipe_of("--recipe", "paper", *options)
    assert {name: getattr(recipe, name) for name in PAPER_VALUES} == PAPER_VALUES
    assert (recipe.joint.colour, recipe.joint.iou, recipe.joint.geometry) == (0.0002, 0.1, 1.0)
    assert [stage.trains for stage in recipe.stages] == [
        ("estimator",),
        ("estimator", "refiner"),
        ("refiner",),
    ]
    assert [stage.loss for stage in recipe.stages] == ["targets", "targets", "joint"]
    assert recipe.stages[-1].epochs == 1.0


def test_literal_takes_away_what_is_ours():
    literal, ours = (recipe_of("--size", "paper", *more) for more in (("--literal",), ()))
    assert (literal.num_poses, ours.num_poses) == (1000, 32)
    assert (literal.refiner_noise, literal.refiner_rate) == (0.0, 1.0)
    assert (ours.refiner_noise, ours.refiner_rate) == (0.15, 3.0)
    assert [literal.joint.occlusion_aware, ours.joint.occlusion_aware] == [False, True]
    assert [literal.stages[-1].whole, ours.stages[-1].whole] == [True, False]
    assert [literal.symmetric_targets, ours.symmetric_targets] == [False, True]
    assert [one.network("paper").refiner_residuals for one in (literal, ours)] == [False, True]


def test_the_literal_network_is_the_papers():
    """DenseFusion's widths, 1,000 points, gates, no nearest points for the refiner."""
    config = recipe_of("--size", "paper", "--literal").network("paper")
    assert asdict(config) == {
        "crop_px": 128,
        "num_points": 1000,
        "stage_channels": (64, 128, 256, 512),
        "psp_channels": 1024,
        "decoder_channels": (256, 64, 64),
        "fusion_channels": (64, 128),
        "global_channels": (512, 1024),
        "head_channels": (640, 256, 128),
        "refiner_channels": (512, 128),
        "refiner_residuals": False,
        "colour_channels": 32,
        "psp_bins": (1, 2, 3, 6),
        "norm": "none",
        "log_softmax": True,
        "prelu": True,
        "dropout": 0.3,
        "weighted": True,
    }
    assert PAPER.refiner_residuals


def test_the_literal_joint_loss_takes_one_whole_epoch_and_ours_at_most_its_fraction():
    ends = {
        whole: stage_ends(recipe_of(*options).stages, 1000, steps_per_epoch=400)
        for whole, options in ((True, ("--literal",)), (False, ()))
    }
    assert ends[True][-1] - ends[True][-2] == 400
    assert ends[False][-1] - ends[False][-2] == pytest.approx(1000 * 0.15 / 1.15, abs=1)


def test_the_refiners_rate_in_each_stage():
    recipe = recipe_of("--learning-rate", "0.002")
    ends = stage_ends(recipe.stages, 1000, steps_per_epoch=100)
    for stage, factor in zip(recipe.stages, (3.0, 3.0, 1.0), strict=True):
        assert part_rates(0.5, stage, recipe) == (0.5, 0.5 * factor)
    highest = [max(learning_rate(i, ends, recipe) for i in part) for part in (range(900), range(900, 1000))]
    assert highest == pytest.approx([0.002, 0.002])
    literal = recipe_of("--literal")
    assert {part_rates(0.5, stage, literal)[1] for stage in literal.stages} == {0.5}


@pytest.mark.parametrize(("options", "iterations"), [((), 20), (("--iar-iterations", "7"), 7)])
def test_the_resolvers_iterations_reach_it(options, iterations, dataset, cache):
    from selfpose6d.crops.store import open_crop_store

    store, shapes = open_crop_store(dataset, 32, cache), build_object_shapes([cube()])
    symmetries = load_symmetries(dataset.models.folder, store.obj_ids, dataset.load_mesh)
    recipe = recipe_of(*options)
    source = sources.make_target_source(recipe, dataset, {}, store, shapes, symmetries)
    assert isinstance(source, IterativeAnnotationResolver)
    assert source.options.iterations == iterations
    assert source.symmetries is not None
    literal = sources.make_target_source(recipe_of("--literal"), dataset, {}, store, shapes, symmetries)
    assert isinstance(literal, IterativeAnnotationResolver)
    assert literal.symmetries is None
