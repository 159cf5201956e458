"""Which of a function's two back ends runs, torch for any device or compiled for CPUs, and what `--device` means.

`x.py` holds the public function (checks, dispatch) and the torch reference, `x_numba.py` the kernels and nothing else.
A compiled loop without a twin is `x_kernels.py`.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from selfpose6d.errors import UsageError

Backend = Literal["auto", "torch", "numba"]
Device = Literal["auto", "cpu", "cuda"]


def runs_numba(backend: Backend, device: torch.device, has_kernel: bool = True) -> bool:
    """Whether the compiled back end is meant; `auto` takes it on CPUs where there is a kernel.

    There is none in a graph that torch traces, to compile or to export it.

    Raises:
        UsageError: `numba` is asked for where it cannot run.
    """
    has_kernel = has_kernel and not torch.compiler.is_compiling()
    if backend == "numba" and not (has_kernel and device.type == "cpu"):
        where = f"tensors on {device}" if has_kernel else "this form, which has no kernel"
        raise UsageError(f"backend numba does not run on {where}. Pass backend auto or torch.")
    return has_kernel and device.type == "cpu" and backend != "torch"


def kernel_array(values: Tensor) -> np.ndarray:
    """A tensor's values for a kernel, which is compiled for arrays without gaps; no gradient flows back."""
    return values.detach().contiguous().numpy()


def resolve_device(wanted: Device) -> str:
    """What `--device` means: `cuda` if asked for, or automatic and present; else `cpu`.

    Raises:
        UsageError: cuda was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UsageError(
            "--device cuda: this torch sees no CUDA device. Use --device cpu, or install a CUDA build of torch."
        )
    return "cuda" if wanted != "cpu" and available else "cpu"
