"""A network small enough for tests, and inputs for it."""

import numpy as np
import torch

from selfpose6d.geometry.nearest import NearestGrid, build_nearest_grid, stack_nearest_grids
from selfpose6d.network.config import CoordinatesConfig, DenseFusionConfig, NetworkConfig
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.interface import NetworkInput, ObjectTable
from selfpose6d.network.pose_network import PoseNetwork

OBJECTS = ObjectTable((1, 5), (0.2, 0.1), ((0.0, 0.0, 0.0), (0.01, 0.02, -0.03)))
TINY = DenseFusionConfig(
    crop_px=32,
    num_points=24,
    stage_channels=(8, 8, 16, 16),
    psp_channels=16,
    decoder_channels=(16, 8),
    fusion_channels=(8, 16),
    global_channels=(16, 32),
    head_channels=(32, 16, 16),
    refiner_channels=(16, 16),
    colour_channels=8,
    dropout=0.0,
)


TINY_COORDINATES = CoordinatesConfig(
    crop_px=32,
    num_points=24,
    stem_channels=4,
    map_channels=(8, 16, 16),
    pixel_channels=16,
    rating_channels=(8, 8),
    fusion_channels=(8, 16),
    global_channels=(16, 32),
    refiner_channels=(16, 16),
    colour_channels=8,
    modes=3,
)


def build(config: DenseFusionConfig = TINY, objects: ObjectTable = OBJECTS, seed: int = 0) -> PoseEstimator:
    """An estimator with reproducible weights; no residual branch is zero, so that every part matters."""
    return build_both(config, objects, seed).estimator


def build_both(config: NetworkConfig = TINY, objects: ObjectTable = OBJECTS, seed: int = 0) -> PoseNetwork:
    """Estimator and refiner with reproducible weights, none of them zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = PoseNetwork(config, objects)
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def shapes(objects: int) -> NearestGrid:
    """Shapes of a few random points each."""
    generator = np.random.default_rng(0)
    points = 0.1 * generator.normal(size=(objects, 20, 3))
    return stack_nearest_grids([build_nearest_grid(some, np.zeros_like(some), cells=8) for some in points])


def random_input(batch: int, config: NetworkConfig = TINY, seed: int = 1) -> NetworkInput:
    """Random crops, points within 10 cm, objects in turn; a surface where the configuration needs one."""
    generator = torch.Generator().manual_seed(seed)
    return NetworkInput(
        rgb=torch.rand(batch, 3, config.crop_px, config.crop_px, generator=generator),
        points_crop_m=0.1 * (2 * torch.rand(batch, config.num_points, 3, generator=generator) - 1),
        pixel=torch.randint(0, config.crop_px**2, (batch, config.num_points), generator=generator),
        object_index=torch.arange(batch) % 2,
        surface=random_surface(batch, config, generator) if config.needs_surface else None,
    )


def random_surface(batch: int, config: NetworkConfig, generator: torch.Generator) -> torch.Tensor:
    """Points within 10 cm in two thirds of the mask's pixels, the mask in about half of all."""
    size = (batch, 1, config.crop_px, config.crop_px)
    mask = torch.rand(size, generator=generator) < 0.5
    known = mask & (torch.rand(size, generator=generator) < 0.67)
    points = 0.1 * (2 * torch.rand(batch, 3, *size[2:], generator=generator) - 1)
    return torch.cat([points * known, known, mask], 1)
