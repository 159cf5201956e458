"""Half precision where the hardware multiplies it faster."""

from typing import Literal

import torch

Precision = Literal["auto", "fp32", "bf16"]


def use_bf16(device: str, precision: Precision) -> bool:
    """What `precision` means on a device; `auto` takes bf16 on CUDA and on CPUs with AMX, where it is faster."""
    if precision == "auto":
        has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        return torch.cuda.is_bf16_supported() if device == "cuda" else bool(has_amx())
    return precision == "bf16"
