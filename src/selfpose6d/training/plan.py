"""What one training run is to do, and what came of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int

from selfpose6d.crops.store import CropStore
from selfpose6d.network.pose_network import PoseNetwork
from selfpose6d.training.schedule import Limit
from selfpose6d.training.step import StepContext


@dataclass(frozen=True)
class FitPlan:
    """One training run, ready to start."""

    network: PoseNetwork
    context: StepContext
    store: CropStore
    training: Int[np.ndarray, "training"]
    held_out: Int[np.ndarray, "held_out"]
    limit: Limit
    seed: int
    folder: Path
    resume: bool
    held_out_note: str = ""
    """What the log says of the held-out instances."""

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
