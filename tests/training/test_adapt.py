"""Settings reach the recipe, each by its name; what makes no sense or has no effect is one line."""

from dataclasses import replace

import pytest

from selfpose6d.errors import UsageError
from selfpose6d.training.adapt import adapt_recipe
from selfpose6d.training.recipe import RECIPES, WIDE_RAD, find_recipe
from selfpose6d.training.settings import RecipeSettings

PAPER = find_recipe("paper")


def test_settings_that_are_not_given_stay():
    for recipe in RECIPES.values():
        assert adapt_recipe(recipe, RecipeSettings(architecture="dense-fusion")) == recipe


@pytest.mark.parametrize(
    ("setting", "value", "changed"),
    [
        ("batch", 3, {"batch": 3}),
        ("optimiser", "muon", {"optimiser": "muon"}),
        ("learning_rate", 0.01, {"learning_rate": 0.01, "joint_learning_rate": 0.01}),
        ("joint_learning_rate", 0.02, {"joint_learning_rate": 0.02}),
        ("warm_up_steps", 5, {"warm_up_steps": 5}),
        ("max_grad_norm", 2.0, {"max_grad_norm": 2.0}),
        ("gates", "off", {"weighted": False}),
        ("weak_weight", 0.02, {"regularisation_m": 0.02}),
        ("num_poses", 64, {"num_poses": 64}),
        ("symmetric_targets", "off", {"symmetric_targets": False}),
        ("direction", "model-to-observed", {"direction": "model-to-observed"}),
        ("iar_iterations", 7, {"resolver_iterations": 7}),
        ("refine_steps", 4, {"refine_steps": 4}),
        ("refiner_residuals", "off", {"refiner_residuals": False}),
        ("refiner_rate", 1.0, {"refiner_rate": 1.0}),
        ("refiner_noise", 0.0, {"refiner_noise": 0.0}),
        ("refiner_features", "joint", {"refiner_features": "joint"}),
        ("lambdas", (1.0, 2.0, 0.0), {"joint": replace(PAPER.joint, colour=1.0, iou=2.0, geometry=0.0)}),
        ("window", 0, {"joint": replace(PAPER.joint, window_px=0)}),
        ("occlusion_aware", "off", {"joint": replace(PAPER.joint, occlusion_aware=False)}),
        (
            "geometry_direction",
            "model-to-observed",
            {"joint": replace(PAPER.joint, direction="model-to-observed")},
        ),
        (
            "augment",
            {"noise": 0.0, "mask_px": 3.0},
            {"augment": replace(PAPER.augment, noise=0.0, mask_px=3)},
        ),
        ("until_m", 0.01, {"stages": (replace(PAPER.stages[0], until_m=0.01), *PAPER.stages[1:])}),
        ("patience", 9, {"stages": (replace(PAPER.stages[0], patience=9), *PAPER.stages[1:])}),
        ("joint_epochs", 2.0, {"stages": (*PAPER.stages[:2], replace(PAPER.stages[2], epochs=2.0))}),
        (
            "stage_fractions",
            {"refiner": 0.9},
            {"stages": (PAPER.stages[0], replace(PAPER.stages[1], fraction=0.9), PAPER.stages[2])},
        ),
    ],
)
def test_one_setting_changes_what_it_names_and_nothing_else(setting, value, changed):
    assert adapt_recipe(PAPER, RecipeSettings(**{setting: value})) == replace(PAPER, **changed)


def test_the_joint_stage_can_have_a_rate_of_its_own():
    recipe = adapt_recipe(PAPER, RecipeSettings(learning_rate=0.01, joint_learning_rate=0.002))
    assert (recipe.learning_rate, recipe.joint_learning_rate) == (0.01, 0.002)


def test_options_beside_literal_count():
    recipe = adapt_recipe(PAPER, RecipeSettings(literal=True, num_poses=16, refiner_residuals="on"))
    assert (recipe.num_poses, recipe.refiner_residuals, recipe.joint.occlusion_aware) == (16, True, False)


def test_single_stages_can_be_chosen_by_name():
    recipe = adapt_recipe(PAPER, RecipeSettings(stages=("joint-loss", "estimator")))
    assert [stage.name for stage in recipe.stages] == ["estimator", "joint-loss"]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "verified",
            {"literal": True},
            "--literal is the paper's own form of recipe paper, got recipe verified",
        ),
        (
            "supervised",
            {"stages": ("joint-loss",)},
            "has no such stage, expected some of 'estimator', 'refiner'",
        ),
        (
            "paper",
            {"stage_fractions": {"last": 0.5}},
            "--stage-fractions 'last': recipe paper has no such stage",
        ),
        ("paper", {"stage_fractions": {"refiner": 0.0}}, "fraction"),
        ("paper", {"augment": {"fog": 0.5}}, "--augment fog: no such change, expected some of brightness"),
        (
            "paper",
            {"augment": {"mask_px": 0.5}},
            "--augment mask_px must be a whole number of 0 or more, got 0.5",
        ),
        ("paper", {"augment": {"noise": -1.0}}, "--augment noise must be a number of 0 or more, got -1"),
        ("paper", {"augment": {"depth_dropout": 2.0}}, "depth_dropout must be a fraction"),
        (
            "verified",
            {"direction": "model-to-observed"},
            "--direction: recipe verified takes no target from the resolver",
        ),
        ("supervised", {"iar_iterations": 5}, "--iar-iterations: recipe supervised takes no target"),
        (
            "supervised",
            {"lambdas": (1.0, 1.0, 1.0), "window": 3},
            "--lambdas --window: recipe supervised has no joint",
        ),
        (
            "paper",
            {"stages": ("estimator",), "refine_steps": 3},
            "--refine-steps: recipe paper trains no refiner",
        ),
        (
            "paper",
            {"stages": ("joint-loss",), "weak_weight": 0.1},
            "--weak-weight: recipe paper compares with no targets",
        ),
        (
            "paper",
            {"stages": ("joint-loss",), "direction": "model-to-observed"},
            "--direction: recipe paper takes no",
        ),
        (
            "paper",
            {"stages": ("estimator", "joint-loss"), "patience": 3},
            "--patience says when the first stage",
        ),
        (
            "paper",
            {"lambdas": (0.1, -1.0, 1.0)},
            "--lambdas must be three weights of 0 or more, got 0.1 -1 1",
        ),
        ("paper", {"weak_weight": 0.0}, "--weak-weight must be more than 0, got 0.0"),
        ("paper", {"learning_rate": float("nan")}, "--learning-rate must be more than 0, got nan"),
        ("paper", {"refine_steps": 0}, "--refine-steps must be at least 1, got 0"),
        ("paper", {"iar_iterations": 0}, "--iar-iterations must be at least 1, got 0"),
        ("paper", {"window": -1}, "--window must be 0 or more, got -1"),
        ("paper", {"refiner_noise": float("inf")}, "--refiner-noise must be 0 or more, got inf"),
    ],
)
def test_what_makes_no_sense_is_one_line(name, settings, message):
    with pytest.raises(UsageError) as caught:
        adapt_recipe(find_recipe(name), RecipeSettings(**settings))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["verified", "supervised", "synthetic", "mixed", "teacher-student"])
def test_recipes_that_are_nobodys_network_take_either_architecture(name):
    recipe = adapt_recipe(find_recipe(name), RecipeSettings())
    assert recipe.network("small").architecture == "coordinates"
    assert recipe == adapt_recipe(find_recipe(name), RecipeSettings(architecture="coordinates"))
    for stage in recipe.stages:
        assert stage.loss == "joint" or stage.trains == ("estimator", "refiner")
    dense = adapt_recipe(find_recipe(name), RecipeSettings(architecture="dense-fusion"))
    assert dense.network("small").architecture == "dense-fusion"
    assert dense == find_recipe(name)


@pytest.mark.parametrize("name", ["paper", "densefusion"])
def test_the_papers_recipes_keep_their_network(name):
    with pytest.raises(UsageError, match=r"--architecture coordinates: recipe .* is defined by its network"):
        adapt_recipe(find_recipe(name), RecipeSettings(architecture="coordinates"))
    for settings in (RecipeSettings(), RecipeSettings(architecture="dense-fusion")):
        assert adapt_recipe(find_recipe(name), settings) == find_recipe(name)


@pytest.mark.parametrize(
    "given",
    [
        {"num_poses": 8},
        {"weak_weight": 0.02},
        {"refiner_residuals": "off"},
        {"refiner_features": "joint"},
        {"until_m": 0.01},
        {"patience": 2},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_is_of_the_papers_network_means_nothing_to_coordinates(given):
    shown = "--" + next(iter(given)).replace("_", "-")
    with pytest.raises(UsageError, match=f"{shown} has no effect on the coordinate network"):
        adapt_recipe(find_recipe("verified"), RecipeSettings(**given))
    adapt_recipe(find_recipe("verified"), RecipeSettings(architecture="dense-fusion", **given))


def test_the_range_of_start_errors_can_be_set():
    assert adapt_recipe(find_recipe("verified"), RecipeSettings()).refiner_noise == WIDE_RAD
    assert adapt_recipe(find_recipe("verified"), RecipeSettings(refiner_noise=0.3)).refiner_noise == 0.3
