"""How large a network is: parameters and floating-point operations by part."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from selfpose6d.geometry.nearest import NearestGrid
from selfpose6d.network.interface import CropView, NetworkInput, Surfaces
from selfpose6d.network.pose_network import PoseNetwork

REFINE_STEPS = 2
"""As the network is trained and used by default."""


@dataclass(frozen=True)
class PartSize:
    """One part of a network. `flops` are those of one instance forward, a multiply-add counted as two."""

    name: str
    parameters: int
    flops: int


def summarise(network: PoseNetwork) -> tuple[PartSize, ...]:
    """Sizes of the network's parts and, last, of the whole; the refiner's FLOPs are those of its two steps."""
    counter = FlopCounterMode(display=False)
    was_training = network.training
    with torch.no_grad(), counter:
        network.eval()(_example_input(network), _surfaces_of_points(network), refine_steps=REFINE_STEPS)
    network.train(was_training)
    by_module = {
        name.split(".", 1)[-1]: sum(counts.values()) for name, counts in counter.get_flop_counts().items()
    }
    parts = [
        PartSize(name, count_parameters(network.get_submodule(name)), by_module.get(name, 0))
        for name in (*(f"estimator.{part}" for part in network.estimator.PARTS), "refiner")
    ]
    return (*parts, PartSize("all", count_parameters(network), counter.get_total_flops()))


def _surfaces_of_points(network: PoseNetwork) -> Surfaces:
    """As many points as the network compares, all alike: looking a neighbour up costs no FLOP, whatever the shape."""
    objects, device = len(network.objects.obj_ids), network.estimator.diameter_m.device
    samples = network.config.num_points
    point = torch.zeros(objects, samples, 3, device=device)
    index = torch.zeros(objects, 1, 1, 1, dtype=torch.int16, device=device)
    grid = NearestGrid(index, point[:, 0], torch.ones(objects, device=device), point, point)
    estimator = network.estimator
    return Surfaces(
        grid, point, torch.ones(objects, device=device) > 0, estimator.diameter_m, estimator.centre_m
    )


def count_parameters(module: nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in module.parameters())


def _example_input(network: PoseNetwork) -> NetworkInput:
    config, device = network.config, network.estimator.diameter_m.device
    image = torch.zeros(1, config.crop_px, config.crop_px, device=device)
    one = torch.eye(4, device=device)[None]
    view = CropView(image[:, None].expand(-1, 5, -1, -1), image, image > 0, one[:, :3, :3], one)
    return NetworkInput(
        rgb=image[:, None].expand(-1, 3, -1, -1),
        points_crop_m=torch.zeros(1, config.num_points, 3, device=device),
        pixel=torch.zeros(1, config.num_points, dtype=torch.long, device=device),
        object_index=torch.zeros(1, dtype=torch.long, device=device),
        view=view if config.needs_view else None,
    )
