"""The coordinate estimator: where each pixel lies on its object, and the poses that this makes of the measured points.

A pixel's place on the object is a matter of what is seen there: many objects in any orientation are learned from few
samples. A view that allows several answers (which side of a box?) has several poses, its `modes`.

Reference: Shotton et al., Scene coordinate regression forests, 2013; Brachmann et al., 2014 (objects).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.geometry.rigid_fit import Rotation, best_rotation
from selfpose6d.geometry.se3 import make_transform
from selfpose6d.network.colours import (
    MAX_CONTRAST,
    MIN_CONTRAST,
    RGB_DEVIATION,
    RGB_MEAN,
    colours_at,
    normalised_rgb,
    relative_rgb,
)
from selfpose6d.network.config import CoordinatesConfig
from selfpose6d.network.coordinates_numba import FARTHEST, SURFACE_GAIN, prepare_images
from selfpose6d.network.fragment_poses import AT_WORK, IN_TRAINING, drawn_numbers, fragment_poses
from selfpose6d.network.fragments import FragmentHead
from selfpose6d.network.fusion import WeightedFusion
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import Fragments, NetworkInput, ObjectTable, PosePrediction, Surfaces
from selfpose6d.network.pspnet import ResidualBlock


class CoordinateEstimator(nn.Module):
    """Colours and measured points of a crop to places on the object, and from these to several poses.

    Two stems, joined by the paper's pixel-wise weighted fusion, a U-net at 1/4 to 1/16 of the crop's resolution,
    output channels per object. Which pose is right the comparison network tells, by the mesh.

    Reference: paper Eq. (1) for the fusion.
    """

    PARTS = ("stem", "encoder", "decoder", "pixels", "places")
    diameter_m: Tensor
    centre_m: Tensor
    drawn: Tensor

    def __init__(
        self, config: CoordinatesConfig, objects: ObjectTable, surfaces: Surfaces | None = None
    ) -> None:
        super().__init__()
        self.config, self.objects = config, objects
        count, channels = len(objects.obj_ids), config.map_channels
        self.stem = Stem(config)
        self.encoder = Encoder(channels, count)
        self.decoder = Decoder(channels)
        self.pixels = PixelLayers(config)
        self.places = FragmentHead(config, count, surfaces)
        self.register_buffer("drawn", drawn_numbers(), persistent=False)
        self.register_buffer("diameter_m", torch.tensor(objects.diameter_m), persistent=False)
        self.register_buffer("centre_m", torch.tensor(objects.centre_m), persistent=False)
        initialise(self)
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(
        self,
        inputs: NetworkInput,
        selected: Int[Tensor, "batch poses"] | None = None,
        rotation: Rotation = best_rotation,
    ) -> PosePrediction:
        """Fragments of all sampled pixels and the poses that they support; `selected` is dense fusion's, unused.

        No gradient flows through the fits, which `rotation` is a part of: fragments learn from targets of their own.
        """
        index, scale_m = inputs.object_index, self.diameter_m[inputs.object_index][:, None, None]
        points = inputs.points_crop_m / scale_m
        rgb, surface = self._images(inputs)
        stem = self.stem(rgb, surface)
        features = self.decoder(self.encoder(stem, index))
        hidden = self.pixels(rgb, stem, features, points, inputs.pixel)
        found = self.places(hidden, index)
        with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
            T_crop_obj = self._fit(found, points, index, rotation)
        return PosePrediction(T_crop_obj, fragments=found)

    def _images(
        self, inputs: NetworkInput, backend: Backend = "auto"
    ) -> tuple[Float[Tensor, "batch 6 crop crop"], Float[Tensor, "batch 5 crop crop"]]:
        """Colours and surface as the stem takes them, without gradient."""
        if not runs_numba(backend, inputs.rgb.device, inputs.rgb.dtype == torch.float32):
            return self._colours(inputs), self._surface(inputs)
        assert inputs.view is not None, "made by CropBatch.inputs where the configuration needs it"
        batch, _, *size = inputs.rgb.shape
        colours, surface = torch.empty(batch, *size, 6), torch.empty(batch, *size, 5)
        given = (inputs.rgb.permute(0, 2, 3, 1), inputs.view.mask, inputs.view.surface)
        diameter_m = self.diameter_m[inputs.object_index]
        light = (np.array(RGB_MEAN), np.array(RGB_DEVIATION), MIN_CONTRAST, MAX_CONTRAST)
        arrays = map(kernel_array, (*given, diameter_m))
        prepare_images(*[*arrays, *light, colours.numpy(), surface.numpy()])
        return colours.permute(0, 3, 1, 2), surface.permute(0, 3, 1, 2)

    def _colours(self, inputs: NetworkInput) -> Float[Tensor, "batch 6 crop crop"]:
        """Colours as they are, and about the mask's mean in its deviations: the pattern without the light."""
        assert inputs.view is not None, "made by CropBatch.inputs where the configuration needs it"
        mask = inputs.view.mask[:, None].to(inputs.rgb)
        count = mask.sum((-2, -1), keepdim=True).clamp_min(1)
        mean = (inputs.rgb * mask).sum((-2, -1), keepdim=True) / count
        squared = ((inputs.rgb - mean).square() * mask).sum((-2, -1), keepdim=True)
        deviation = (squared.mean(1, keepdim=True) / count).sqrt()
        return torch.cat([normalised_rgb(inputs.rgb), relative_rgb(inputs.rgb, mean, deviation)], 1)

    def _surface(self, inputs: NetworkInput) -> Float[Tensor, "batch 5 crop crop"]:
        """Points in diameters, without those that are too far away to be of the object."""
        assert inputs.view is not None, "made by CropBatch.inputs where the configuration needs it"
        points, flags = inputs.view.surface[:, :3], inputs.view.surface[:, 3:]
        points = points / self.diameter_m[inputs.object_index][:, None, None, None]
        near = (points.square().sum(1, keepdim=True) < FARTHEST**2).to(points)
        return torch.cat([SURFACE_GAIN * points * near, flags * near], 1)

    def _fit(
        self,
        found: Fragments,
        points: Float[Tensor, "batch points 3"],
        index: Int[Tensor, " batch"],
        rotation: Rotation = best_rotation,
    ) -> Float[Tensor, "batch modes 4 4"]:
        """`T_crop_obj`, the best supported first."""
        # where another loss refines the poses of a frozen estimator, they are those of work
        effort = IN_TRAINING if self.training and found.logit.requires_grad else AT_WORK
        T = fragment_poses(found, points.float(), self.drawn, self.config.modes, effort, rotation)
        scale_m, centre_m = self.diameter_m[index][:, None, None], self.centre_m[index][:, None, :, None]
        R = T[..., :3, :3]
        return make_transform(R, T[..., :3, 3] * scale_m - (R @ centre_m).squeeze(-1))


class Stem(nn.Module):
    """Colours and geometry apart to a quarter of the crop's resolution, joined pixel by pixel."""

    def __init__(self, config: CoordinatesConfig) -> None:
        super().__init__()
        self.colour, self.geometry = (
            _stem_layers(inputs, config.stem_channels, config.map_channels[0] // 2) for inputs in (6, 5)
        )
        self.fusion = WeightedFusion(config.weighted)

    def forward(
        self, rgb: Float[Tensor, "batch 6 crop crop"], surface: Float[Tensor, "batch 5 crop crop"]
    ) -> Float[Tensor, "batch c quarter quarter"]:
        """A map at a quarter of the crop's resolution."""
        colour, geometry = (
            layers(image.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1)
            for layers, image in ((self.colour, rgb), (self.geometry, surface))
        )
        return self.fusion(colour, geometry).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """From a quarter to a sixteenth of the crop's resolution, where the object's own channels come in."""

    def __init__(self, channels: tuple[int, int, int], objects: int) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.fine = ResidualBlock(fine, fine, 1, 1, "group")
        self.middle = _stage(fine, middle)
        self.coarse = _stage(middle, coarse)
        self.object_gain = nn.Parameter(torch.zeros(objects, coarse))
        self.object_offset = nn.Parameter(torch.zeros(objects, coarse))
        self.whole = nn.Linear(coarse, coarse)

    def forward(
        self, stem: Float[Tensor, "batch c quarter quarter"], object_index: Int[Tensor, " batch"]
    ) -> list[Tensor]:
        """Maps from fine to coarse, the last with what it says of the crop as a whole."""
        fine = self.fine(stem)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        gain, offset = 1 + self.object_gain[object_index], self.object_offset[object_index]
        coarse = coarse * gain[..., None, None] + offset[..., None, None]
        whole = self.whole(coarse.mean((-2, -1)))
        return [fine, middle, coarse + whole[..., None, None]]


class Decoder(nn.Module):
    """Back to a quarter of the crop's resolution."""

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.coarser = nn.ModuleList(
            nn.Conv2d(before, after, 1, bias=False) for before, after in ((coarse, middle), (middle, fine))
        )
        self.finer = nn.ModuleList(nn.Conv2d(channels, channels, 1) for channels in (middle, fine))
        self.blocks = nn.ModuleList(
            ResidualBlock(channels, channels, 1, 1, "group") for channels in (middle, fine)
        )

    def forward(self, levels: list[Tensor]) -> Float[Tensor, "batch fine quarter quarter"]:
        """Enlarge, join with the finer level, smooth.

        The join is one 1x1 convolution of both; its coarser part is applied before enlarging, which is the same and
        cheaper.
        """
        *finer, features = levels
        for to_coarser, to_finer, block in zip(self.coarser, self.finer, self.blocks, strict=True):
            larger = functional.interpolate(to_coarser(features), scale_factor=2.0, mode="bilinear")
            features = block(functional.relu(larger + to_finer(finer.pop())))
        return features


class PixelLayers(nn.Module):
    """What is known of each sampled pixel: the maps at its place, its own colour and point."""

    def __init__(self, config: CoordinatesConfig) -> None:
        super().__init__()
        fine, channels = config.map_channels[0], config.pixel_channels
        self.first, self.second = nn.Linear(2 * fine + 9, channels), nn.Linear(channels, channels)

    def forward(
        self,
        rgb: Float[Tensor, "batch 6 crop crop"],
        stem: Float[Tensor, "batch c quarter quarter"],
        features: Float[Tensor, "batch c quarter quarter"],
        points: Float[Tensor, "batch points 3"],
        pixel: Int[Tensor, "batch points"],
    ) -> Float[Tensor, "batch points channels"]:
        """Maps are read between their cells, so that neighbours in one cell differ."""
        crop = rgb.shape[-1]
        place = (torch.stack([pixel % crop, pixel // crop], -1) + 0.5) * (2 / crop) - 1
        maps = torch.cat([stem, features], 1).to(points.dtype)
        read = functional.grid_sample(
            maps, place[:, :, None].to(points), padding_mode="border", align_corners=False
        )
        known = torch.cat([read.squeeze(-1).mT, colours_at(rgb, pixel), SURFACE_GAIN * points], -1)
        return functional.relu(self.second(functional.relu(self.first(known))))


def _stem_layers(inputs: int, half: int, quarter: int) -> nn.Sequential:
    """`half` channels at half the resolution, `quarter` ones at a quarter."""
    return nn.Sequential(
        nn.Conv2d(inputs, half, 5, stride=2, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(half, quarter, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )


def _stage(before: int, after: int) -> nn.Sequential:
    """Half the resolution, then one block more."""
    return nn.Sequential(
        ResidualBlock(before, after, 2, 1, "group"), ResidualBlock(after, after, 1, 1, "group")
    )
