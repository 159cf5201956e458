"""Recipes: what the network learns from, and how. Adding one touches this file only."""

from dataclasses import dataclass, field, replace
from typing import Literal

from selfpose6d.crops.augment_options import AugmentOptions
from selfpose6d.errors import UsageError
from selfpose6d.losses.joint import BALANCED, JointLossOptions
from selfpose6d.network.config import (
    CELL_PX,
    Architecture,
    DenseFusionConfig,
    NetworkConfig,
    Size,
    network_config,
)
from selfpose6d.types import Direction

Target = Literal["resolver", "ground-truth", "labels", "teacher"]
Part = Literal["estimator", "refiner"]
Loss = Literal["targets", "joint"]
Features = Literal["joint", "detached"]
OptimiserKind = Literal["adam", "muon"]


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
    crop_scale: float = 1.0
    """Side of the crops over that of the network's, 0-1; the last stage by targets has whole ones in any case."""
    synthetic: float = 0.0
    """Fraction of every batch that is rendered frames with true poses, 0-1; the rest is the data set's own."""

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1 or not self.trains:
            raise UsageError(
                f"stage {self.name}: its fraction must be between 0 and 1, and it must train something."
            )
        if self.loss == "joint" and self.trains != ("refiner",):
            raise UsageError(f"stage {self.name}: the joint loss trains the refiner only.")
        if not 0 <= self.synthetic <= (1 if self.loss == "targets" else 0):
            raise UsageError(
                f"stage {self.name}: the synthetic share of its batches must be 0-1, got {self.synthetic:g}."
            )
        if self.epochs is not None and not self.epochs > 0:
            raise UsageError(f"stage {self.name}: its epochs must be more than 0, got {self.epochs}.")


# Stages and the joint loss's one epoch are the paper's. DenseFusion's threshold, 13 mm, is an error against true poses;
# the label-free distance is to the network's own resolved poses and falls below it even for wrong ones: hence 4 mm,
# and a rule of patience beside it. Both and the fractions are choices, not measurements.
ESTIMATOR = Stage("estimator", fraction=0.5, until_m=0.004, patience=3)
BOTH = Stage("refiner", ("estimator", "refiner"), fraction=0.5)
JOINT_LOSS = Stage("joint-loss", ("refiner",), "joint", fraction=0.15, epochs=1.0)
COARSE_SCALE = 2 / 3
"""Of the crops that the coordinate network begins with. A step of them takes 0.7 of the time, and what is learned first
is no matter of detail: 2.7 and 3.0 points more at equal time (docs/results.md). The last four tenths see whole crops.

Reference: Tan & Le, EfficientNetV2, 2021 (progressive learning).
"""
COARSE_SHARE = 0.6
WIDE_RAD = 1.57
"""Start errors that the comparison network learns from: to a quarter turn and half a diameter. The literature gained 13
points over starts of a third of a quarter turn."""
FOR_RENDERED = AugmentOptions(
    brightness=0.5,
    contrast=0.5,
    saturation=0.5,
    hue=0.3,
    tone=0.8,
    light=0.5,
    highlight=0.8,
    sharpness=1.0,
    colour_shift_px=2,
    fade=0.15,
    noise=0.08,
    mask_px=2,
    depth_bumps_m=0.002,
    depth_border_px=3,
    depth_hole=0.2,
    background_fraction=0.7,
)
"""Changes for recipes that learn from rendered frames and are used on real ones."""
# half and half: neither part is the rare one
_MIXED = tuple(replace(stage, synthetic=0.5) for stage in (ESTIMATOR, BOTH))
# six tenths to learn from true poses, which a pseudo pose can hardly be better than
_TEACHER_STUDENT = (
    replace(ESTIMATOR, fraction=0.3, synthetic=1.0),
    replace(BOTH, fraction=0.3, synthetic=1.0),
    Stage("student", ("estimator", "refiner"), fraction=0.4),
    JOINT_LOSS,
)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Nothing but `target` decides what is read besides images and masks."""

    name: str
    summary: str
    target: Target
    """What the data set's own frames are compared with. resolver: the network's own poses after the resolver's ICP;
    labels: what `annotate` wrote; teacher: the poses of an average of the network. Synthetic frames of a stage have
    their true poses."""
    architecture: Architecture = "dense-fusion"
    """Of the estimator; recipes `paper` and `densefusion` are defined by theirs."""
    ambiguous: bool = False
    """Learn also from labels that leave several poses open: the one nearest to the prediction."""
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
    optimiser: OptimiserKind = "adam"
    """adam: the paper's. muon: weights between features move by an orthogonal matrix, the others by Adam."""
    learning_rate: float = 1e-3
    """The optimiser's highest rate; it rises over the first steps and falls to 0 along a cosine."""
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
    """The highest rate in the stages of the joint loss."""
    teacher_decay: float | None = None
    """How much of itself the teacher keeps in a step; None: by the number of the student's steps."""
    least_agreement: float = 0.5
    """Pseudo poses whose silhouette and the observed mask overlap less than this are not learned from, 0-1."""

    def __post_init__(self) -> None:
        if not self.stages:
            raise UsageError(f"recipe {self.name}: it has no stage, expected one or more.")
        if min(self.num_poses, self.batch, self.warm_up_steps) < 1 or self.learning_rate <= 0:
            raise UsageError(f"recipe {self.name}: poses, batch, warm-up and learning rate must be positive.")
        for stage in self.stages:
            if 0 < stage.synthetic < 1 and not 0 < self.synthetic_instances(stage) < self.batch:
                raise UsageError(
                    f"recipe {self.name}: a batch of {self.batch} with a synthetic share of {stage.synthetic:g} lacks "
                    "one of its two parts. Raise --batch, or take a --synthetic-share nearer to 0.5."
                )

    @property
    def reads_poses(self) -> bool:
        """Whether true poses of the data set are read; those of a synthetic part are another matter."""
        return self.target == "ground-truth"

    @property
    def uses_resolver(self) -> bool:
        """Whether any target is a pose after the resolver's ICP."""
        return self.target == "resolver" and self.compares

    @property
    def uses_synthetic(self) -> bool:
        """Whether any stage has rendered frames with true poses beside the data set's own, or in their place."""
        return any(stage.synthetic > 0 for stage in self.stages)

    @property
    def has_teacher(self) -> bool:
        """Whether a teacher's poses are learned in any stage."""
        return self.target == "teacher" and any(map(self.is_taught, self.stages))

    def is_taught(self, stage: Stage) -> bool:
        """Whether the teacher's poses are learned in this stage."""
        return self.target == "teacher" and stage.loss == "targets" and stage.synthetic < 1

    def crop_px(self, stage: Stage, config: NetworkConfig) -> int:
        """Side of the crops that a stage by targets sees in training: a multiple of the network's coarsest cells."""
        last = [one.name for one in self.stages if one.loss == "targets"][-1]
        if stage.name == last or stage.crop_scale == 1:
            return config.crop_px
        return CELL_PX * max(2, round(stage.crop_scale * config.crop_px / CELL_PX))

    def synthetic_instances(self, stage: Stage) -> int:
        """How many instances of each of the stage's batches are synthetic."""
        return round(self.batch * stage.synthetic)

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
        structure = replace(network_config(self.architecture, size), weighted=self.weighted)
        if isinstance(structure, DenseFusionConfig):
            return replace(structure, refiner_residuals=self.refiner_residuals)
        return structure

    def of_coordinates(self) -> "Recipe":
        """The recipe for the coordinate estimator: the comparison network learns from the start, since it rates the
        poses, and from a wide range of errors; no stage ends early, the first has smaller crops. Of Muon's steps it
        needs half as many; the larger batch pays them, at a rate raised by its root."""
        stages = tuple(
            stage
            if stage.loss == "joint"
            else replace(stage, trains=("estimator", "refiner"), until_m=None, patience=None)
            for stage in self.stages
        )
        return replace(
            self,
            architecture="coordinates",
            stages=_beginning_small(stages),
            optimiser="muon",
            batch=32,
            learning_rate=1.4e-3,
            refiner_noise=WIDE_RAD,
            refiner_rate=1.0,
        )


def _beginning_small(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """With smaller crops in the first stage, where another one by targets follows it."""
    if len(stages) < 2 or stages[1].loss == "joint":
        return stages
    first, second, *others = stages
    both = first.fraction + second.fraction
    first = replace(first, fraction=COARSE_SHARE * both, crop_scale=COARSE_SCALE)
    return first, replace(second, fraction=(1 - COARSE_SHARE) * both), *others


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
            augment=FOR_RENDERED,
        ),
        Recipe(
            "mixed",
            "rendered frames with true poses and the data set's own without, in one batch (--synthetic DIR)",
            "resolver",
            augment=FOR_RENDERED,
            stages=_MIXED,
        ),
        Recipe(
            "teacher-student",
            "true poses of rendered frames (--synthetic DIR), then a teacher's poses of the data set's own frames",
            "teacher",
            augment=FOR_RENDERED,
            stages=_TEACHER_STUDENT,
            joint=BALANCED,
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
