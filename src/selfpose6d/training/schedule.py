"""How many steps a training takes, which stage each belongs to, and its learning rate."""

import math
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from selfpose6d.errors import UsageError
from selfpose6d.training.recipe import Recipe, Stage

_NOT_MEASURED = 5
"""First steps of a run: caches fill, kernels are compiled."""
_MEASURED = 20
"""Steps after these whose median duration counts."""


@dataclass(frozen=True)
class Limit:
    """When to stop, as the user said it: after a number of steps, or of minutes (turned into steps once)."""

    max_steps: int | None = None
    max_minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.max_minutes is None):
            raise UsageError("say how long to train: pass either --max-steps N or --max-minutes N.")
        if (self.max_steps is not None and self.max_steps < 1) or (
            self.max_minutes is not None and not self.max_minutes > 0
        ):
            raise UsageError("--max-steps must be at least 1, --max-minutes more than 0.")


def stage_ends(stages: Sequence[Stage], total: int, steps_per_epoch: int) -> tuple[int, ...]:
    """The step before which each stage ends at the latest; together they take all `total` steps.

    Stages of a number of epochs take these, or their fraction where that is less and they need not be whole; the others
    divide the rest.

    Raises:
        UsageError: whole epochs leave no step for the other stages.
    """
    if total < (least := least_steps(stages, steps_per_epoch)):
        raise UsageError(too_few_steps(stages, total, least, steps_per_epoch))
    whole = sum(stage.fraction for stage in stages)
    wanted = [total * stage.fraction / whole for stage in stages]
    limited = [_limited(stages[i], wanted[i], steps_per_epoch) for i in range(len(stages))]
    free = [i for i, stage in enumerate(stages) if stage.epochs is None]
    left = total - sum(limited)
    for i in free:
        limited[i] += left * stages[i].fraction / sum(stages[k].fraction for k in free)
    ends = [round(sum(limited[: i + 1])) for i in range(len(stages))]
    return (*ends[:-1], total)


def _limited(stage: Stage, wanted: float, steps_per_epoch: int) -> float:
    if stage.epochs is None:
        return wanted
    steps = stage.epochs * steps_per_epoch
    return steps if stage.whole else min(wanted, steps)


def least_steps(stages: Sequence[Stage], steps_per_epoch: int) -> int:
    """The fewest steps that a training may have: its whole epochs, and a step for each stage beside them; else 1."""
    whole = [stage.epochs * steps_per_epoch for stage in stages if stage.whole and stage.epochs is not None]
    return math.ceil(sum(whole)) + len(stages) - len(whole) if whole else 1


def too_few_steps(stages: Sequence[Stage], total: int, least: int, steps_per_epoch: int) -> str:
    """What to say of a training that has no room for its whole epochs."""
    name = next(stage.name for stage in stages if stage.whole)
    return (
        f"the whole epoch of stage {name} does not fit: an epoch is {steps_per_epoch} steps, {total} are to be made, "
        f"at least {least} are needed. Pass more --max-steps or --max-minutes, or fewer frames, or leave --literal out."
    )


def learning_rate(step: int, ends: tuple[int, ...] | None, recipe: Recipe, start: int = 0) -> float:
    """Rate of step `step` (from 0): one warmup-cosine schedule over the stages by targets, one over the joint loss.

    The schedule begins at step `start`: 0, or where steps were added to a training. While the number of steps is not
    known yet only the warm-up is there; it must be longer than it takes to find out.

    Reference: Loshchilov & Hutter, SGDR, 2017 (warm restarts).
    """
    if ends is None:
        return recipe.learning_rate * min(1.0, (step + 1) / recipe.warm_up_steps)
    by_targets = [end for end, stage in zip(ends, recipe.stages, strict=True) if stage.loss == "targets"]
    changeover = max(by_targets, default=start)
    if step < changeover:
        return warmup_cosine(step - start, changeover - start, recipe.learning_rate, recipe.warm_up_steps)
    return warmup_cosine(
        step - changeover, ends[-1] - changeover, recipe.joint_learning_rate, recipe.warm_up_steps
    )


def part_rates(rate: float, stage: Stage, recipe: Recipe) -> tuple[float, float]:
    """Rates of the estimator and the refiner: the refiner's is a multiple while both learn by targets."""
    return rate, rate * (recipe.refiner_rate if stage.loss == "targets" else 1.0)


@dataclass(frozen=True)
class Continuation:
    """Where a training takes up its stages again when steps are added to it.

    The added steps and those that were left have a schedule of their own: the stage at hand and the later ones share
    them, the rate rises again and falls to 0. From a stage of the joint loss it goes back to the last one by targets
    before it, if there is one, so that a training that had finished learns more and ends by the joint loss again.
    """

    start: int = 0
    """The step at which the schedule begins."""
    stage: int = 0
    """Index of its first stage."""

    @classmethod
    def after(cls, step: int, stage_index: int, stages: Sequence[Stage]) -> "Continuation":
        """The continuation of a training that is at this step, in this stage."""
        by_targets = [i for i in range(stage_index + 1) if stages[i].loss == "targets"]
        return cls(step, by_targets[-1] if by_targets else stage_index)

    def ends(self, stages: Sequence[Stage], total: int, steps_per_epoch: int) -> tuple[int, ...]:
        """As `stage_ends`; the stages before it end where it starts."""
        ends = stage_ends(stages[self.stage :], total - self.start, steps_per_epoch)
        return (self.start,) * self.stage + tuple(self.start + end for end in ends)


def warmup_cosine(step: int, total: int, highest: float, warm_up_steps: int) -> float:
    """A linear rise, then a cosine to 0 at `total`."""
    rise = max(1, min(warm_up_steps, total // 10))
    if step < rise:
        return highest * (step + 1) / rise
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def affordable_steps(
    seconds: float, stages: Sequence[Stage], step_s: Sequence[float], steps_per_epoch: int
) -> int:
    """The most steps that fit into a time, a step of stage i taking `step_s[i]`; 0 where not even the fewest fit."""

    def duration_s(total: int) -> float:
        ends = (0, *stage_ends(stages, total, steps_per_epoch))
        return sum((b - a) * s for a, b, s in zip(ends[:-1], ends[1:], step_s, strict=True))

    least = least_steps(stages, steps_per_epoch)
    most = max(least, math.ceil(seconds / min(step_s)) + len(stages))
    fitting = bisect_right(range(least, most + 1), seconds, key=duration_s)
    return least - 1 + fitting if fitting else 0


class SpeedMeter:
    """Times some steps after the first few, to turn minutes into steps."""

    def __init__(self, max_minutes: float, reserved_s: float = 0.0) -> None:
        """`reserved_s` is left for what is not a step: validation and saving."""
        self._seconds = max(60.0 * max_minutes - reserved_s, 6.0 * max_minutes)
        self._times_s: list[float] = []
        self._start_s = self._last_s = time.perf_counter()

    def note_step(self) -> float | None:
        """Call after every step; returns the seconds that a step takes once that is known."""
        now_s = time.perf_counter()
        self._times_s.append(now_s - self._last_s)
        self._last_s = now_s
        measured = sorted(self._times_s[_NOT_MEASURED:])
        if len(measured) < _MEASURED and now_s - self._start_s < 0.2 * self._seconds:
            return None
        return (measured or self._times_s)[len(measured) // 2]

    @property
    def left_s(self) -> float:
        """Seconds that remain for steps."""
        return max(0.0, self._seconds - (time.perf_counter() - self._start_s))
