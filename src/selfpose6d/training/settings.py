"""Every setting of a recipe that the command line can change, by its option's name; light enough for `--help`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from selfpose6d.errors import UsageError
from selfpose6d.options import ByName, Several, Unset

Switch = Literal["on", "off"]
Matching = Literal["observed-to-model", "model-to-observed"]
Architecture = Literal["dense-fusion", "coordinates"]

_ABOVE_ZERO = (
    "weak_weight",
    "learning_rate",
    "joint_learning_rate",
    "max_grad_norm",
    "refiner_rate",
    "joint_epochs",
)
_AT_LEAST_ONE = ("batch", "num_poses", "iar_iterations", "refine_steps", "warm_up_steps", "patience")
_NOT_NEGATIVE = ("refiner_noise", "window", "until_m")


@dataclass(frozen=True)
class RecipeSettings:
    """What differs from the recipe; what is left out is as the recipe has it.

    `adapt_recipe` refuses what has no effect in the recipe.
    """

    literal: bool = False
    """With --recipe paper: what the paper says and nothing else. The refiner is given the points alone, unperturbed,
    and trained at the estimator's rate; every sampled pixel has a target; symmetries are not read; masks are compared
    as they are; the joint loss takes one whole epoch. Options beside it still count."""
    architecture: Unset[Architecture] = None
    """dense-fusion: the paper's, one pose a pixel. coordinates: on which fragment of the surface each pixel lies, and
    where, and rigid fits to the measured points that are rated and corrected by comparison with the mesh (default:
    coordinates, with paper and densefusion, which are defined by theirs, dense-fusion)."""
    stages: Several[str] = ()
    """Only these stages of the recipe, in its order: estimator, refiner, with teacher-student student, joint-loss
    (default: all it has)."""
    stage_fractions: ByName[float] = field(default_factory=dict)
    """Fraction of the steps that a stage takes, as in estimator 0.6 refiner 0.4 (default: 0.5, 0.5 and 0.15 for the
    joint loss; with teacher-student 0.3, 0.3, 0.4 and 0.15); their proportions count."""
    until_m: Unset[float] = None
    """The first stage ends when its validation distance is below this, metres, with dense-fusion (default: 0.004)."""
    patience: Unset[int] = None
    """The first stage ends when this many validations in a row brought nothing better, with dense-fusion (default:
    3)."""
    joint_epochs: Unset[float] = None
    """Most epochs of the joint loss (default: 1, or its fraction of the steps where that is fewer)."""
    batch: Unset[int] = None
    """Instances a step, over all processes (default: 16, of coordinates 32)."""
    optimiser: Unset[Literal["adam", "muon"]] = None
    """muon: weights between features move by an orthogonal matrix, the others by Adam (default: adam, of coordinates
    muon)."""
    learning_rate: Unset[float] = None
    """Highest rate in every stage (default: 0.001, of coordinates by targets 0.0014)."""
    joint_learning_rate: Unset[float] = None
    """Highest rate in the stages of the joint loss (default: 0.001, or as --learning-rate where that is
    given)."""
    warm_up_steps: Unset[int] = None
    """Steps over which the rate rises (default: 60, or a tenth of all where that is fewer)."""
    max_grad_norm: Unset[float] = None
    """Gradients are scaled down to this norm (default: 1)."""
    augment: ByName[float] = field(default_factory=dict)
    """Strength of changes to the crops by name, as in brightness 0.4 noise 0; 0 is off (see docs/method.md)."""
    ambiguous: Unset[Literal["use", "skip"]] = None
    """Labels that leave several poses open: skip them, or use the pose nearest to the prediction (default: skip)."""
    gates: Unset[Switch] = None
    """Pixel-wise weighted fusion, Eq. (1) (default: on, with densefusion off)."""
    weak_weight: Unset[float] = None
    """w of Eq. (4): weight of the confidence's logarithm, metres (default: 0.015)."""
    num_poses: Unset[int] = None
    """Pixels of an instance whose poses are compared with their targets in a step, at most all that are sampled
    (default: 32, with --literal all)."""
    symmetric_targets: Unset[Switch] = None
    """Whether the resolver's targets take declared symmetries (default: on, with --literal off)."""
    direction: Unset[Matching] = None
    """Matching direction of the resolver (default: observed-to-model)."""
    iar_iterations: Unset[int] = None
    """ICP iterations of the resolver (default: 20)."""
    refine_steps: Unset[int] = None
    """K, refinement steps of an instance in training (default: 2)."""
    refiner_residuals: Unset[Switch] = None
    """Tell the refiner where the model's nearest points are (default: on, with --literal off)."""
    refiner_rate: Unset[float] = None
    """The refiner's learning rate as a multiple of the estimator's, while both learn (default: 3, of
    coordinates and with --literal 1)."""
    refiner_noise: Unset[float] = None
    """How much poses are perturbed before they are refined, radians and thirds of a diameter (default: 0.15, of
    coordinates 1.57, with --literal 0)."""
    refiner_features: Unset[Literal["joint", "detached"]] = None
    """joint: the refiner's gradient also changes the estimator's colour embedding (default: detached)."""
    lambdas: Unset[tuple[float, float, float]] = None
    """Weights of the joint loss's terms: colour, IoU, geometry (default: 0.0002 0.1 1; verified 0.005 0.5 2000)."""
    window: Unset[int] = None
    """M of Eq. (6): half side of the colour term's window, pixels (default: 2)."""
    occlusion_aware: Unset[Switch] = None
    """Leave out pixels that something nearer may hide (default: on, with --literal off)."""
    geometry_direction: Unset[Matching] = None
    """Matching direction of the joint loss's geometry term (default: observed-to-model)."""
    synthetic_share: Unset[float] = None
    """Fraction of every batch that is synthetic, with mixed above 0 and below 1 (default: 0.5), with teacher-student
    in the student's stage (default: 0)."""
    teacher_decay: Unset[float] = None
    """How much of itself the teacher keeps in a step, 0-1 (default: 0.999, or as far back as a tenth of the student's
    steps where that is shorter)."""
    least_agreement: Unset[float] = None
    """Pseudo poses whose silhouette overlaps the observed mask less are not learned, 0-1 (default: 0.5)."""

    def given(self) -> Mapping[str, object]:
        """The settings that are set, by name, without --literal."""
        return {name: v for name, v in vars(self).items() if name != "literal" and v not in (None, (), {})}

    def require_sensible(self) -> None:
        """Refuse values that no recipe can have.

        Raises:
            UsageError: names the option, what it must be and what it is.
        """
        for names, least, expected in (
            (_ABOVE_ZERO, math.ulp(0.0), "more than 0"),
            (_AT_LEAST_ONE, 1, "at least 1"),
            (_NOT_NEGATIVE, 0, "0 or more"),
        ):
            for name in names:
                value = getattr(self, name)
                if value is not None and not least <= value < math.inf:
                    raise UsageError(f"{option(name)} must be {expected}, got {value}.")
        for name, below_one in (
            ("synthetic_share", True),
            ("teacher_decay", True),
            ("least_agreement", False),
        ):
            value = getattr(self, name)
            if value is not None and not (0 <= value < 1 or (value == 1 and not below_one)):
                expected = "0 or more and below 1" if below_one else "between 0 and 1"
                raise UsageError(f"{option(name)} must be {expected}, got {value}.")
        if self.lambdas is not None and not all(0 <= value < math.inf for value in self.lambdas):
            shown = " ".join(f"{value:g}" for value in self.lambdas)
            raise UsageError(f"--lambdas must be three weights of 0 or more, got {shown}.")


def option(name: str) -> str:
    """How a setting is called on the command line."""
    return f"--{name.replace('_', '-')}"
