"""How a time budget is shared out. Pure functions of measured times."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from selfpose6d.errors import UsageError

TEST_SHARE, LABEL_SHARE, CROP_SHARE = 0.25, 0.15, 0.10
"""Most of the whole budget that goes to estimating the test frames (all columns together), to labels to train on and
to cutting crops; what they leave is for training, half of the time or more."""
MARGIN = 0.97
"""Of what is left that trainings get: their length is fixed from the speed of their first steps, 1-2 % off."""
LEAST_MINUTES = 1.0
"""Of a training. It measures its speed over its first 25 steps, which take 10-20 s on two cores."""


@dataclass(frozen=True)
class Rates:
    """Measured seconds: of a command before it works, of cutting a frame's crops, and of an instance by column."""

    start_s: float
    crop_frame_s: float
    instance_s: Mapping[str, float]
    label_s: float = 0.0
    """Of annotating an instance to train on."""


@dataclass(frozen=True)
class FrameCounts:
    """How many frames each part of the work gets."""

    train: int
    labels: int
    test: int


def frames_within(seconds: float, frame_s: float, there: int) -> int:
    """How many of the frames that are there fit into a time; at least one."""
    return max(1, min(there, int(seconds / max(frame_s, 1e-9))))


def share_frames(
    budget_s: float, rates: Rates, there: FrameCounts, instances_per_frame: float, needs_labels: bool
) -> FrameCounts:
    """Most frames of each kind within its share of the budget."""
    test_s = instances_per_frame * sum(rates.instance_s.values())
    label_s = instances_per_frame * rates.label_s
    train = frames_within(CROP_SHARE * budget_s, rates.crop_frame_s, there.train)
    labels = frames_within(LABEL_SHARE * budget_s, label_s, train) if needs_labels else 0
    return FrameCounts(train, labels, frames_within(TEST_SHARE * budget_s, test_s, there.test))


def training_minutes(budget_s: float, used_s: float, later_s: float, trainings: int, start_s: float) -> float:
    """Equal minutes for each training that is still to do, so that everything after them fits as well.

    `later_s` is the time of estimating and scoring, `start_s` that of a training before its first step.

    Raises:
        UsageError: what is left is too little to train anything.
    """
    left_s = budget_s - used_s - later_s
    minutes = MARGIN * (left_s / trainings - start_s) / 60
    if minutes < LEAST_MINUTES:
        needed = (used_s + later_s + trainings * (60 * LEAST_MINUTES / MARGIN + start_s)) / 60
        raise UsageError(
            f"--budget {budget_s / 60:g} leaves {max(minutes, 0):.1f} minutes for each of {trainings} trainings, "
            f"at least {LEAST_MINUTES:g} is needed. Pass --budget {math.ceil(needed * 1.1)} or more, fewer "
            "--columns, or --max-steps N, which always runs."
        )
    return minutes
