"""How a trained network is used."""

from dataclasses import dataclass
from typing import Literal

from selfpose6d.errors import UsageError

Refine = Literal["none", "icp"]


@dataclass(frozen=True)
class PredictOptions:
    """How poses are predicted."""

    refine: Refine = "none"
    """icp: resolver iterations from the network's pose."""
    refine_steps: int = 20
    """ICP iterations."""
    verify: bool = False
    """Render and refine the hypotheses; take the best if it scores higher than the network's pose."""
    hypotheses: int = 5
    """Clusters of pixels whose poses are hypotheses."""
    bf16: bool = False
    """Run the network's layers in half precision."""
    seed: int = 0
    """Seed of the sampled pixels."""

    def __post_init__(self) -> None:
        if self.refine_steps < 0 or self.hypotheses < 1:
            raise UsageError("--refine-steps must be 0 or more and hypotheses 1 or more.")

    @property
    def need_meshes(self) -> bool:
        """Whether the objects' meshes are used at all."""
        return self.verify or self.refine != "none"
