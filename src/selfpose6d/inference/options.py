"""How a trained network is used."""

from dataclasses import dataclass
from typing import Literal

from selfpose6d.errors import UsageError

Refine = Literal["none", "icp", "network", "network+icp"]
ICP_ITERATIONS = 20
NETWORK_STEPS = 2


@dataclass(frozen=True)
class PredictOptions:
    """How poses are predicted."""

    refine: Refine = "none"
    """icp: resolver iterations from the estimator's pose; network: the refinement network; or one after the other."""
    refine_steps: int | None = None
    """Steps of the refinement network, or ICP iterations with `icp` alone; None: 2 and 20."""
    verify: bool = False
    """Render and refine the hypotheses; take the best if it scores higher than the network's pose."""
    hypotheses: int = 5
    """Clusters of pixels whose poses are hypotheses."""
    bf16: bool = False
    """Run the network's layers in half precision."""
    seed: int = 0
    """Seed of the sampled pixels."""

    def __post_init__(self) -> None:
        if (self.refine_steps is not None and self.refine_steps < 0) or self.hypotheses < 1:
            raise UsageError("--refine-steps must be 0 or more and hypotheses 1 or more.")

    @property
    def network_steps(self) -> int:
        """Steps of the refinement network."""
        if "network" not in self.refine:
            return 0
        return NETWORK_STEPS if self.refine_steps is None else self.refine_steps

    @property
    def icp_iterations(self) -> int:
        """ICP iterations at the end."""
        if "icp" not in self.refine:
            return 0
        return ICP_ITERATIONS if self.refine_steps is None or "network" in self.refine else self.refine_steps

    @property
    def need_meshes(self) -> bool:
        """Whether the objects' meshes are used at all."""
        return self.verify or self.refine != "none"
