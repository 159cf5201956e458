"""How a trained network is used."""

from dataclasses import dataclass, field
from typing import Literal

import torch

from selfpose6d.errors import UsageError
from selfpose6d.labeling.annotate import AnnotateOptions

Refine = Literal["none", "icp", "network", "network+icp"]
Precision = Literal["auto", "fp32", "bf16"]
ICP_ITERATIONS = 20
"""The paper's, as in the Iterative Annotation Resolver."""
NETWORK_STEPS = 2
"""The paper's K; the refinement network is trained with as many."""
COMPARISON_STEPS = 6
"""Of the comparison network, which takes a correction only if it rates it better: from 2 to 4 and 8 steps ADD(-S) rose
by 2 and 3 points (docs/results.md)."""


@dataclass(frozen=True)
class PredictOptions:
    """How poses are predicted."""

    refine: Refine = "none"
    """icp: resolver iterations from the estimator's pose; network: the refinement network; or one after the other."""
    refine_steps: int | None = None
    """Steps of the refinement network, or ICP iterations with `icp` alone; None: 2 (comparison network: 6), and 20."""
    verify: bool = False
    """Render, refine and certify the hypotheses; the pose that the image supports best is taken."""
    annotate: AnnotateOptions = field(default_factory=AnnotateOptions)
    """How the hypotheses are verified, searched for where they leave doubt, and certified."""
    search: bool = True
    """Search as the annotator does where the hypotheses leave doubt; without, the hypotheses alone are verified."""
    hypotheses: int = 5
    """Clusters of pixels whose poses are hypotheses."""
    bf16: bool = False
    """Run the network's layers in half precision; on CPUs those of frames with several instances, which gain by it."""
    seed: int = 0
    """Seed of the sampled pixels and, where poses are verified, of points and start rotations."""

    def __post_init__(self) -> None:
        if (self.refine_steps is not None and self.refine_steps < 0) or self.hypotheses < 1:
            raise UsageError("--refine-steps must be 0 or more and hypotheses 1 or more.")

    @property
    def needs_meshes(self) -> bool:
        """Whether poses are refined or verified."""
        return self.refine != "none" or self.verify

    @property
    def uses_network(self) -> bool:
        """Whether the refinement network takes a step."""
        return "network" in self.refine and self.refine_steps != 0

    def network_steps(self, compares: bool) -> int:
        """Steps of the refinement network; whether it is a comparison network."""
        if not self.uses_network:
            return 0
        return default_steps(compares) if self.refine_steps is None else self.refine_steps

    @property
    def icp_iterations(self) -> int:
        """ICP iterations at the end."""
        if "icp" not in self.refine:
            return 0
        return ICP_ITERATIONS if self.refine_steps is None or "network" in self.refine else self.refine_steps


def default_steps(compares: bool) -> int:
    """Steps of a refinement network, whether it is a comparison network, where none are asked for."""
    return COMPARISON_STEPS if compares else NETWORK_STEPS


def use_bf16(device: str, precision: Precision) -> bool:
    """What `precision` means on a device; `auto` takes bf16 where there are units for it, and it is faster.

    Raises:
        UsageError: bf16 is asked for where it would be emulated.
    """
    on_cuda = device == "cuda"
    if on_cuda:  # torch counts emulation as support unless told otherwise; older GPUs are slower with it than with fp32
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = _cpu_has("_is_amx_tile_supported") or _cpu_has("_is_avx512_bf16_supported")
    if precision == "auto":
        return native
    if precision == "bf16" and not native:
        needed = "compute capability 8.0" if on_cuda else "AVX512-BF16 or AMX"
        raise UsageError(
            f"--precision bf16: this {'GPU' if on_cuda else 'CPU'} only emulates it (native with {needed}), slower "
            "than fp32. Use --precision fp32 or auto."
        )
    return precision == "bf16"


def _cpu_has(question: str) -> bool:
    """Whether torch says so of this CPU; a torch that does not know the question says no."""
    return bool(getattr(torch.cpu, question, lambda: False)())
