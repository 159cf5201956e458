"""A recipe with the settings that were asked for; what would have no effect is refused."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace

from selfpose6d.crops.augment_options import AugmentOptions
from selfpose6d.errors import UsageError
from selfpose6d.network.config import PAPER, Architecture
from selfpose6d.training.recipe import Recipe, Stage
from selfpose6d.training.settings import RecipeSettings, option

_OF_THE_RECIPE = {
    "batch": "batch",
    "optimiser": "optimiser",
    "learning_rate": "learning_rate",
    "joint_learning_rate": "joint_learning_rate",
    "warm_up_steps": "warm_up_steps",
    "max_grad_norm": "max_grad_norm",
    "ambiguous": "ambiguous",
    "gates": "weighted",
    "weak_weight": "regularisation_m",
    "num_poses": "num_poses",
    "symmetric_targets": "symmetric_targets",
    "direction": "direction",
    "iar_iterations": "resolver_iterations",
    "refine_steps": "refine_steps",
    "refiner_residuals": "refiner_residuals",
    "refiner_rate": "refiner_rate",
    "refiner_noise": "refiner_noise",
    "refiner_features": "refiner_features",
    "teacher_decay": "teacher_decay",
    "least_agreement": "least_agreement",
}
_OF_THE_JOINT_LOSS = {
    "window": "window_px",
    "occlusion_aware": "occlusion_aware",
    "geometry_direction": "direction",
}
_THE_PAPERS = ("paper", "densefusion")
"""Recipes that are somebody's method, network included."""
DEFAULT_ARCHITECTURE: Architecture = "coordinates"
"""Of recipes that are not defined by their network: what measures better at equal time (docs/results.md)."""
_OF_DENSE_FUSION = (
    "num_poses",
    "weak_weight",
    "refiner_residuals",
    "refiner_features",
    "until_m",
    "patience",
)
_NEEDS: tuple[tuple[Callable[[Recipe], bool], str, tuple[str, ...]], ...] = (
    (
        lambda recipe: recipe.uses_resolver,
        "takes no target from the resolver",
        ("direction", "iar_iterations", "symmetric_targets"),
    ),
    (lambda recipe: recipe.target == "labels", "learns from no labels", ("ambiguous",)),
    (
        lambda recipe: recipe.compares,
        "compares with no targets in these stages",
        ("weak_weight", "num_poses", "augment"),
    ),
    (
        lambda recipe: recipe.refines,
        "trains no refiner in these stages",
        ("refine_steps", "refiner_residuals", "refiner_rate", "refiner_noise", "refiner_features"),
    ),
    (
        lambda recipe: recipe.renders,
        "has no joint loss in these stages",
        ("lambdas", "joint_learning_rate", "joint_epochs", *_OF_THE_JOINT_LOSS),
    ),
    (
        lambda recipe: recipe.uses_synthetic or recipe.has_teacher,
        "has no synthetic part in these stages",
        ("synthetic_share",),
    ),
    (
        lambda recipe: recipe.has_teacher,
        "has no teacher in these stages",
        ("teacher_decay", "least_agreement"),
    ),
)


def adapt_recipe(recipe: Recipe, settings: RecipeSettings) -> Recipe:
    """The recipe with the settings that are given; all others stay as it has them.

    Raises:
        UsageError: a value makes no sense, the recipe has no such stage, or a setting would have no effect in it.
    """
    settings.require_sensible()
    recipe = literal(recipe) if settings.literal else recipe
    if _architecture(recipe, settings) == "coordinates":
        recipe = _of_coordinates(recipe, settings)
    recipe = replace(recipe, stages=_stages(recipe, settings))
    given = settings.given()
    _require_effect(recipe, given)
    if settings.synthetic_share is not None:
        stages = _shared(recipe, settings.synthetic_share)
        recipe = replace(recipe, stages=stages, batch=settings.batch or recipe.batch)
    if settings.learning_rate is not None:
        recipe = replace(recipe, joint_learning_rate=settings.learning_rate)
    changes = _renamed(given, _OF_THE_RECIPE)
    joint = _renamed(given, _OF_THE_JOINT_LOSS)
    if settings.lambdas is not None:
        joint |= dict(zip(("colour", "iou", "geometry"), settings.lambdas, strict=True))
    augment = _augment(recipe.augment, settings.augment)
    return replace(recipe, **changes, joint=replace(recipe.joint, **joint), augment=augment)


def _architecture(recipe: Recipe, settings: RecipeSettings) -> Architecture:
    if recipe.name not in _THE_PAPERS:
        return settings.architecture or DEFAULT_ARCHITECTURE
    if settings.architecture == "coordinates":
        raise UsageError(
            f"--architecture coordinates: recipe {recipe.name} is defined by its network, dense-fusion. Use another "
            "recipe, as --recipe verified, or leave the option out."
        )
    return "dense-fusion"


def _of_coordinates(recipe: Recipe, settings: RecipeSettings) -> Recipe:
    if idle := [name for name in _OF_DENSE_FUSION if name in settings.given()]:
        shown = " ".join(map(option, idle))
        raise UsageError(
            f"{shown} has no effect on the coordinate network. Leave it out, or add --architecture dense-fusion."
        )
    return recipe.of_coordinates()


def literal(recipe: Recipe) -> Recipe:
    """The paper's recipe without what we add to it: what the paper says, where it says anything.

    Raises:
        UsageError: it is another recipe.

    Reference: paper III and IV-C.
    """
    if recipe.name != "paper":
        raise UsageError(
            f"--literal is the paper's own form of recipe paper, got recipe {recipe.name}. "
            "Use --recipe paper, or leave --literal out."
        )
    return replace(
        recipe,
        stages=tuple(replace(one, whole=True) if one.loss == "joint" else one for one in recipe.stages),
        num_poses=PAPER.num_points,
        refiner_residuals=False,
        symmetric_targets=False,
        refiner_rate=1.0,
        refiner_noise=0.0,
        joint=replace(recipe.joint, occlusion_aware=False),
    )


def _stages(recipe: Recipe, settings: RecipeSettings) -> tuple[Stage, ...]:
    """The chosen stages with their fractions; the first with its rules, those by the joint loss with their epochs."""
    names = [stage.name for stage in recipe.stages]
    _require_names("--stages", settings.stages, names, recipe)
    stages = [stage for stage in recipe.stages if not settings.stages or stage.name in settings.stages]
    _require_names("--stage-fractions", settings.stage_fractions, [stage.name for stage in stages], recipe)
    stages = [
        replace(stage, fraction=settings.stage_fractions.get(stage.name, stage.fraction)) for stage in stages
    ]
    rules = {name: getattr(settings, name) for name in ("until_m", "patience")}
    rules = {name: value for name, value in rules.items() if value is not None}
    if rules and (len(stages) < 2 or stages[1].loss != "targets"):
        raise UsageError(
            f"{option(next(iter(rules)))} says when the first stage gives way to another one by targets, which these "
            "stages lack. Leave it out, or add a stage to --stages."
        )
    stages[0] = replace(stages[0], **rules)
    if settings.joint_epochs is None:
        return tuple(stages)
    return tuple(replace(one, epochs=settings.joint_epochs) if one.loss == "joint" else one for one in stages)


def _shared(recipe: Recipe, share: float) -> tuple[Stage, ...]:
    """The stages with this synthetic share, where they have the data set's own frames and targets at all."""
    if share == 0 and recipe.target != "teacher":
        raise UsageError(
            f"--synthetic-share 0: recipe {recipe.name} without its synthetic part is recipe paper. Use that, or a "
            "share above 0."
        )
    takes = [stage.loss == "targets" and stage.synthetic < 1 for stage in recipe.stages]
    if not any(takes):
        raise UsageError(
            f"--synthetic-share: these stages of recipe {recipe.name} have no batches of both parts. Leave it out."
        )
    return tuple(
        replace(one, synthetic=share) if own else one for one, own in zip(recipe.stages, takes, strict=True)
    )


def _require_names(what: str, given: Iterable[str], known: Iterable[str], recipe: Recipe) -> None:
    known = list(known)
    if unknown := [name for name in given if name not in known]:
        raise UsageError(
            f"{what} {unknown[0]!r}: recipe {recipe.name} has no such stage, expected some of "
            f"{', '.join(map(repr, known))}."
        )


def _require_effect(recipe: Recipe, given: Iterable[str]) -> None:
    for holds, lack, names in _NEEDS:
        if not holds(recipe) and (idle := [name for name in given if name in names]):
            shown = " ".join(map(option, idle))
            raise UsageError(f"{shown}: recipe {recipe.name} {lack}, it would have no effect. Leave it out.")


def _renamed(given: Mapping[str, object], names: Mapping[str, str]) -> dict[str, object]:
    return {names[name]: _switched(value) for name, value in given.items() if name in names}


def _switched(value: object) -> object:
    return (
        {"on": True, "off": False, "use": True, "skip": False}.get(value, value)
        if isinstance(value, str)
        else value
    )


def _augment(options: AugmentOptions, given: Mapping[str, float]) -> AugmentOptions:
    types = {one.name: type(one.default) for one in fields(AugmentOptions)}
    for name, value in given.items():
        if name not in types:
            raise UsageError(f"--augment {name}: no such change, expected some of {', '.join(types)}.")
        if not (0 <= value < math.inf and types[name](value) == value):
            kind = "a whole number" if types[name] is int else "a number"
            raise UsageError(f"--augment {name} must be {kind} of 0 or more, got {value:g}.")
    return replace(options, **{name: types[name](value) for name, value in given.items()})
