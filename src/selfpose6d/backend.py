"""Which of a function's two back ends runs: the torch reference, for any device, or the compiled one, for CPUs.

`x.py` holds the public function (checks, dispatch) and the torch reference, `x_numba.py` the kernels and nothing else.
A compiled loop without a twin is `x_kernels.py`.
"""

from typing import Literal

import torch

from selfpose6d.errors import UsageError

Backend = Literal["auto", "torch", "numba"]


def runs_numba(backend: Backend, device: torch.device, has_kernel: bool = True) -> bool:
    """Whether the compiled back end is meant; `auto` takes it on CPUs where there is a kernel.

    Raises:
        UsageError: `numba` is asked for where it cannot run.
    """
    if backend == "numba" and not (has_kernel and device.type == "cpu"):
        where = f"tensors on {device}" if has_kernel else "this form, which has no kernel"
        raise UsageError(f"backend numba does not run on {where}. Pass backend auto or torch.")
    return has_kernel and device.type == "cpu" and backend != "torch"
