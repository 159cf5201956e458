"""What one training run is to do, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from selfpose6d.crops.joined import Crops
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.training.recipe import Stage
from selfpose6d.training.schedule import Limit
from selfpose6d.training.step import StepContext
from selfpose6d.training.teacher import Teacher


@dataclass(frozen=True)
class SyntheticPart:
    """Indices of rendered instances with true poses, to train on and held out."""

    training: Int[np.ndarray, " training"]
    held_out: Int[np.ndarray, " held_out"]


@dataclass(frozen=True)
class FitPlan:
    """One training run, ready to start."""

    network: PoseNetwork
    context: StepContext
    store: Crops
    training: Int[np.ndarray, " training"]
    held_out: Int[np.ndarray, " held_out"]
    limit: Limit
    seed: int
    folder: Path
    resume: bool
    held_out_note: str = ""
    """What the log says of the held-out instances."""
    synthetic: SyntheticPart | None = None
    """What `training` and `held_out` are of the data set's own frames, of rendered ones."""
    teacher: Teacher | None = None
    """The source of pseudo poses, which follows the network."""

    def held_out_of(self, stage: Stage) -> Int[np.ndarray, " held_out"]:
        """What a stage is measured on: the data set's own frames, unless it sees rendered ones only."""
        return self.held_out if stage.synthetic < 1 or self.synthetic is None else self.synthetic.held_out

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every instance to train on is seen once."""
        return -(-len(self.training) // self.context.recipe.batch)


@dataclass(frozen=True)
class FitResult:
    """What a finished training amounts to; the rate is that of this process's steps, all included.

    `best` is the least validation measure of the last stage.
    """

    steps: int
    best: float
    samples_per_s: float
