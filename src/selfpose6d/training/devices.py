"""Device, precision and processes of a training, through Lightning Fabric."""

import logging
import os

from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

from selfpose6d.inference.precision import Precision, use_bf16


def make_fabric(device: str, precision: Precision = "auto") -> Fabric:
    """One process on `cpu` or `cuda`, or one of many that `torchrun` started (gloo on CPUs, NCCL on CUDA)."""
    for name in ("lightning.fabric", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=max(1, world // local),
        strategy=DDPStrategy(find_unused_parameters=True) if world > 1 else "auto",
        precision="bf16-mixed" if use_bf16(device, precision) else "32-true",
    )
    fabric.launch()
    return fabric
