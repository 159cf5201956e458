"""Recipes: what the network learns from, and how. Adding one touches this file only."""

from dataclasses import dataclass, field, replace
from typing import Literal

from selfpose6d.data.augment import AugmentOptions
from selfpose6d.errors import UsageError
from selfpose6d.resolver.icp import Direction

Target = Literal["resolver", "ground-truth", "labels"]


@dataclass(frozen=True)
class Stage:
    """A part of the training: what is trained, for which share of the steps."""

    name: str
    share: float = 1.0
    """Share of all steps, 0-1; the stages' shares add up to 1."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Nothing but `target` decides what is read besides images and masks."""

    name: str
    summary: str
    target: Target
    """resolver: the network's own poses after the resolver's ICP; labels: what `annotate` wrote."""
    weighted: bool = True
    """Pixel-wise weighted fusion, Eq. (1); False is DenseFusion."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    direction: Direction = "observed-to-model"
    """Matching direction of the resolver."""
    resolver_iterations: int = 20
    """ICP iterations of the resolver (the paper: 20)."""
    poses: int = 32
    """Pixels of each instance whose poses are compared with their targets in a step."""
    regularisation_m: float = 0.015
    """Weight of the confidence's logarithm in Eq. (4), metres."""
    batch: int = 16
    """Instances a step, over all processes."""
    learning_rate: float = 1e-3
    """Adam's highest rate; it rises over the first steps and falls to 0 along a cosine."""
    warm_up_steps: int = 60
    """Steps over which the rate rises, or a tenth of all where that is fewer."""
    largest_gradient: float = 1.0
    """Gradients are scaled down to this norm."""
    stages: tuple[Stage, ...] = (Stage("estimator"),)

    def __post_init__(self) -> None:
        if abs(sum(stage.share for stage in self.stages) - 1.0) > 1e-6:
            raise UsageError(f"recipe {self.name}: the stages' shares must add up to 1.")
        if min(self.poses, self.batch, self.warm_up_steps) < 1 or self.learning_rate <= 0:
            raise UsageError(f"recipe {self.name}: poses, batch, warm-up and learning rate must be positive.")

    @property
    def reads_poses(self) -> bool:
        """Whether true poses of the data set are read."""
        return self.target == "ground-truth"


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("paper", "no labels: the Iterative Annotation Resolver's poses, Eq. (3)-(4)", "resolver"),
        Recipe("verified", "no labels: certified poses of an annotate run (--labels RUN)", "labels"),
        Recipe("supervised", "true poses of the data set, weighted fusion", "ground-truth"),
        Recipe("densefusion", "true poses, DenseFusion's unweighted fusion", "ground-truth", weighted=False),
        Recipe(
            "synthetic",
            "true poses of rendered frames, other backgrounds and stronger changes; for use on real frames",
            "ground-truth",
            augment=AugmentOptions(
                brightness=0.4, contrast=0.4, saturation=0.5, noise=0.04, mask_px=2, background_share=0.7
            ),
        ),
    )
}


def adapt_recipe(
    recipe: Recipe,
    direction: Direction | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
) -> Recipe:
    """The recipe with the settings that are not None."""
    settings = {"direction": direction, "batch": batch, "learning_rate": learning_rate}
    return replace(recipe, **{name: value for name, value in settings.items() if value is not None})


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"--recipe {name}: unknown recipe, expected one of {', '.join(RECIPES)}.")
    return RECIPES[name]
