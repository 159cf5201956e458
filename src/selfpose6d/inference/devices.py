"""Which device and precision `auto` means."""

from typing import Literal

import torch

from selfpose6d.errors import UsageError

Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "fp32", "bf16"]


def resolve_device(device: Device) -> Literal["cpu", "cuda"]:
    """The device that `auto` means here.

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "--device cuda: this torch finds no CUDA device. Use --device cpu, or a CUDA build of torch."
        )
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def use_bf16(accelerator: Literal["cpu", "cuda"], precision: Precision) -> bool:
    """Half precision where the hardware multiplies it faster: CUDA, and CPUs with AMX."""
    if precision == "auto":
        has_amx = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
        return torch.cuda.is_bf16_supported() if accelerator == "cuda" else bool(has_amx())
    return precision == "bf16"
