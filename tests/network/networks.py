"""A network small enough for tests, and inputs for it."""

import numpy as np
import torch

from selfpose6d.geometry.nearest import build_nearest_grid, stack_nearest_grids
from selfpose6d.network.config import CoordinatesConfig, DenseFusionConfig, NetworkConfig
from selfpose6d.network.estimator import PoseEstimator
from selfpose6d.network.interface import CropView, NetworkInput, ObjectTable, Surfaces
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
    compared_points=16,
    comparison_channels=(8, 16),
    refiner_channels=(16, 16),
    modes=3,
    fragments=12,
)


def build(config: DenseFusionConfig = TINY, objects: ObjectTable = OBJECTS, seed: int = 0) -> PoseEstimator:
    """An estimator with reproducible weights; no residual branch is zero, so that every part matters."""
    return build_both(config, objects, seed).estimator


def build_both(config: NetworkConfig = TINY, objects: ObjectTable = OBJECTS, seed: int = 0) -> PoseNetwork:
    """Estimator and refiner with reproducible weights, none of them zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = PoseNetwork(config, objects, surfaces(objects))
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def surfaces(objects: ObjectTable = OBJECTS, coloured: bool = True) -> Surfaces:
    """Surfaces of a few random points each, in random colours."""
    count, generator = len(objects.obj_ids), np.random.default_rng(0)
    points = 0.1 * generator.normal(size=(count, 20, 3))
    grid = stack_nearest_grids([build_nearest_grid(some, np.zeros_like(some), cells=64) for some in points])
    rgb = torch.from_numpy(generator.random((count, 20, 3))).float()
    sizes = (torch.tensor(objects.diameter_m), torch.tensor(objects.centre_m))
    return Surfaces(grid, rgb, torch.full((count,), coloured), *sizes)


def random_input(batch: int, config: NetworkConfig = TINY, seed: int = 1) -> NetworkInput:
    """Random crops, points within 10 cm, objects in turn; the whole view where the configuration needs one."""
    generator = torch.Generator().manual_seed(seed)
    return NetworkInput(
        rgb=torch.rand(batch, 3, config.crop_px, config.crop_px, generator=generator),
        points_crop_m=0.1 * (2 * torch.rand(batch, config.num_points, 3, generator=generator) - 1),
        pixel=torch.randint(0, config.crop_px**2, (batch, config.num_points), generator=generator),
        object_index=torch.arange(batch) % 2,
        view=random_view(batch, config, generator) if config.needs_view else None,
    )


def random_view(batch: int, config: NetworkConfig, generator: torch.Generator) -> CropView:
    """Points within 10 cm in two thirds of the mask's pixels, the mask in about half of all, half a metre away."""
    size = (batch, 1, config.crop_px, config.crop_px)
    mask = torch.rand(size, generator=generator) < 0.5
    known = mask & (torch.rand(size, generator=generator) < 0.67)
    points = 0.1 * (2 * torch.rand(batch, 3, *size[2:], generator=generator) - 1)
    depth_m = (0.5 + points[:, 2]) * (torch.rand(size, generator=generator) < 0.8)[:, 0]
    side = float(config.crop_px)
    K = torch.tensor([[2 * side, 0, side / 2], [0, 2 * side, side / 2], [0, 0, 1]]).expand(batch, 3, 3)
    T_cam_crop = torch.eye(4).repeat(batch, 1, 1)
    T_cam_crop[:, 2, 3] = 0.5
    return CropView(torch.cat([points * known, known, mask], 1), depth_m, mask[:, 0], K, T_cam_crop)
