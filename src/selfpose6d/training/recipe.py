"""Recipes: what the network learns from, and how. Adding one touches this file only."""

from dataclasses import dataclass, field, replace
from typing import Literal

from selfpose6d.crops.augment import AugmentOptions
from selfpose6d.errors import UsageError
from selfpose6d.losses.joint import BALANCED, JointLossOptions
from selfpose6d.network.config import SIZES, NetworkConfig, Size
from selfpose6d.types import Direction

Target = Literal["resolver", "ground-truth", "labels"]
Part = Literal["estimator", "refiner"]
Loss = Literal["targets", "joint"]
Features = Literal["joint", "detached"]


@dataclass(frozen=True)
class Stage:
    """A part of the training: what is trained, by which loss, for how long.

    The first stage of a training may end before its steps are used up, by either rule; the next takes them over.
    """

    name: str
    trains: tuple[Part, ...] = ("estimator",)
    """Parts of the network whose weights change."""
    loss: Loss = "targets"
    """targets: distance to the target source's poses. joint: the rendering against the observed image, Eq. (11)."""
    fraction: float = 1.0
    """Of all steps, 0-1; fractions need not add up to 1, their proportions count."""
    epochs: float | None = None
    """Most passes over the instances, where that is fewer than the fraction."""
    whole: bool = False
    """Take all of its epochs, whatever its fraction: the training must have room for them."""
    until_m: float | None = None
    """End when the label-free validation distance is below this, metres."""
    patience: int | None = None
    """End when this many validations in a row brought nothing better."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or not self.trains:
            raise UsageError(
                f"stage {self.name}: its fraction must be between 0 and 1, and it must train something."
            )
        if self.loss == "joint" and self.trains != ("refiner",):
            raise UsageError(f"stage {self.name}: the joint loss trains the refiner only.")
        if self.epochs is not None and not self.epochs > 0:
            raise UsageError(f"stage {self.name}: its epochs must be more than 0, got {self.epochs}.")


# Stages and the joint loss's one epoch are the paper's. DenseFusion's threshold, 13 mm, is an error against true poses;
# the label-free distance is to the network's own resolved poses and falls below it even for wrong ones: hence 4 mm,
# and a rule of patience beside it. Both and the fractions are choices, not measurements.
ESTIMATOR = Stage("estimator", fraction=0.5, until_m=0.004, patience=3)
BOTH = Stage("refiner", ("estimator", "refiner"), fraction=0.5)
JOINT_LOSS = Stage("joint-loss", ("refiner",), "joint", fraction=0.15, epochs=1.0)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Nothing but `target` decides what is read besides images and masks."""

    name: str
    summary: str
    target: Target
    """resolver: the network's own poses after the resolver's ICP; labels: what `annotate` wrote."""
    weighted: bool = True
    """Pixel-wise weighted fusion, Eq. (1); False is DenseFusion."""
    refiner_residuals: bool = True
    """The refiner is told where the model's nearest points are; False is the paper's input, the points alone."""
    symmetric_targets: bool = True
    """The resolver's targets take declared symmetries, as known poses always do; False is the paper's form."""
    augment: AugmentOptions = field(default_factory=AugmentOptions)
    direction: Direction = "observed-to-model"
    """Matching direction of the resolver."""
    resolver_iterations: int = 20
    """ICP iterations of the resolver (the paper: 20)."""
    num_poses: int = 32
    """Pixels of each instance whose poses are compared with their targets in a step."""
    regularisation_m: float = 0.015
    """Weight of the confidence's logarithm in Eq. (4), metres."""
    batch: int = 16
    """Instances a step, over all processes."""
    learning_rate: float = 1e-3
    """Adam's highest rate; it rises over the first steps and falls to 0 along a cosine."""
    warm_up_steps: int = 60
    """Steps over which the rate rises, or a tenth of all where that is fewer."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    stages: tuple[Stage, ...] = (ESTIMATOR, BOTH)
    """What is trained in turn. The stages by targets share one warmup-cosine schedule of the learning rate."""
    refine_steps: int = 2
    """Refinement steps of each instance in training (the paper's K)."""
    refiner_rate: float = 3.0
    """Learning rate of the refinement network as a multiple of the estimator's, while both learn."""
    refiner_noise: float = 0.15
    """How much poses are perturbed before they are refined, while targets are given (radians, thirds of a diameter)."""
    refiner_features: Features = "detached"
    """joint: the refiner's gradient also changes the estimator's colour embedding."""
    joint: JointLossOptions = field(default_factory=JointLossOptions)
    """Weights and forms of the joint loss."""
    joint_learning_rate: float = 1e-3
    """Adam's highest rate in the stages of the joint loss."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError(f"recipe {self.name}: it has no stage, expected one or more.")
        if min(self.num_poses, self.batch, self.warm_up_steps) < 1 or self.learning_rate <= 0:
            raise UsageError(f"recipe {self.name}: poses, batch, warm-up and learning rate must be positive.")

    @property
    def reads_poses(self) -> bool:
        """Whether true poses of the data set are read."""
        return self.target == "ground-truth"

    @property
    def uses_resolver(self) -> bool:
        """Whether any target is a pose after the resolver's ICP."""
        return self.target == "resolver" and self.compares

    @property
    def compares(self) -> bool:
        """Whether poses are compared with targets in any stage."""
        return any(stage.loss == "targets" for stage in self.stages)

    @property
    def refines(self) -> bool:
        """Whether the refinement network is trained."""
        return any("refiner" in stage.trains for stage in self.stages)

    @property
    def renders(self) -> bool:
        """Whether any stage is by the joint loss."""
        return any(stage.loss == "joint" for stage in self.stages)

    def network(self, size: Size) -> NetworkConfig:
        """The structure of the network that it trains."""
        return replace(SIZES[size], weighted=self.weighted, refiner_residuals=self.refiner_residuals)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "paper",
            "no labels: the Iterative Annotation Resolver's poses, then the joint loss, Eq. (3)-(11)",
            "resolver",
            stages=(ESTIMATOR, BOTH, JOINT_LOSS),
        ),
        Recipe(
            "verified",
            "no labels: certified poses of an annotate run (--labels RUN), then the joint loss",
            "labels",
            stages=(ESTIMATOR, BOTH, JOINT_LOSS),
            joint=BALANCED,
        ),
        Recipe("supervised", "true poses of the data set, weighted fusion", "ground-truth"),
        Recipe("densefusion", "true poses, DenseFusion's unweighted fusion", "ground-truth", weighted=False),
        Recipe(
            "synthetic",
            "true poses of rendered frames, other backgrounds and stronger changes; for use on real frames",
            "ground-truth",
            augment=AugmentOptions(
                brightness=0.4, contrast=0.4, saturation=0.5, noise=0.04, mask_px=2, background_fraction=0.7
            ),
        ),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in RECIPES:
        raise UsageError(f"--recipe {name}: unknown recipe, expected one of {', '.join(RECIPES)}.")
    return RECIPES[name]
