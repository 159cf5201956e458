"""Which of a function's two back ends runs: the torch reference, for any device, or the compiled one, for CPUs."""

from typing import Literal

import torch

Backend = Literal["auto", "torch", "numba"]


def runs_numba(backend: Backend, device: torch.device) -> bool:
    """Whether the compiled back end is meant; `auto` takes it on CPUs."""
    return backend == "numba" or (backend == "auto" and device.type == "cpu")
