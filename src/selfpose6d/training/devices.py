"""Device, precision and processes of a training, through Lightning Fabric."""

import logging
import os

from lightning_fabric import Fabric

from selfpose6d.inference.devices import Device, Precision, resolve_device, use_bf16


def make_fabric(device: Device = "auto", precision: Precision = "auto") -> Fabric:
    """One process, or one of many where `torchrun` started it (gloo on CPUs, NCCL on CUDA).

    Raises:
        UsageError: CUDA is asked for and not there.
    """
    accelerator = resolve_device(device)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=accelerator,
        devices=local,
        num_nodes=max(1, world // local),
        strategy="ddp" if world > 1 else "auto",
        precision="bf16-mixed" if use_bf16(accelerator, precision) else "32-true",
    )
    fabric.launch()
    return fabric
