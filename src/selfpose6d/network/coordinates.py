"""The coordinate estimator: where each pixel lies on its object, and the poses that this makes of the measured points.

A pixel's place on the object is a matter of what is seen there: many objects in any orientation are learned from few
samples. A view that allows several answers (which side of a box?) has several `modes`: whole readings of the crop, one
pose each, of which training improves the best one.

Reference: Shotton et al., Scene coordinate regression forests, 2013; Brachmann et al., 2014 (objects); Rupprecht et
al., Learning in an uncertain world: multiple hypotheses, 2017 (modes).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from selfpose6d.backend import Backend, kernel_array, runs_numba
from selfpose6d.geometry.rigid_fit import Rotation, best_rotation, reweighted_fit
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
from selfpose6d.network.fusion import WeightedFusion
from selfpose6d.network.initialise import initialise
from selfpose6d.network.interface import (
    Correspondences,
    NetworkInput,
    ObjectTable,
    PosePrediction,
)
from selfpose6d.network.pspnet import ResidualBlock

FIT_ROUNDS = 4
"""Reweighted fits of a few microseconds each. A choice, not measured."""
FIT_ERROR = 0.02
"""Diameters; errors of correspondences below it count alike in the reweighted fit."""
MAX_LOG_WEIGHT = 9.0
"""Of an expected error of a ten-thousandth of the diameter, less than any camera measures; e to the 9th is harmless."""
START_SPREAD = 0.1
"""Deviation of the modes' coordinates at the start, diameters: they must differ to become different answers."""


class CoordinateEstimator(nn.Module):
    """Colours and measured points of a crop to coordinates on the object, and from these to a pose for each mode.

    Two stems, joined by the paper's pixel-wise weighted fusion, a U-net at 1/4 to 1/16 of the crop's resolution,
    output channels per object. Which mode is right the comparison network tells, by the mesh.

    Reference: paper Eq. (1) for the fusion.
    """

    PARTS = ("stem", "encoder", "decoder", "pixels", "places")
    diameter_m: Tensor
    centre_m: Tensor

    def __init__(self, config: CoordinatesConfig, objects: ObjectTable) -> None:
        super().__init__()
        self.config, self.objects = config, objects
        count, channels = len(objects.obj_ids), config.map_channels
        self.stem = Stem(config)
        self.encoder = Encoder(channels, count)
        self.decoder = Decoder(channels)
        self.pixels = PixelLayers(config)
        self.places = PlaceHead(config, count)
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
        """Correspondences of all sampled pixels and one pose for each mode; `selected` is dense fusion's, unused.

        No gradient flows through the fit, which `rotation` is a part of: coordinates learn from their own targets.
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
        return PosePrediction(T_crop_obj, correspondences=found)

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
        found: Correspondences,
        points: Float[Tensor, "batch points 3"],
        index: Int[Tensor, " batch"],
        rotation: Rotation = best_rotation,
    ) -> Float[Tensor, "batch modes 4 4"]:
        """`T_crop_obj` of each mode."""
        T = fit_poses(found, points, rotation=rotation)
        scale_m, centre_m = self.diameter_m[index][:, None, None], self.centre_m[index][:, None, :, None]
        R = T[..., :3, :3]
        return make_transform(R, T[..., :3, 3] * scale_m - (R @ centre_m).squeeze(-1))


def fit_poses(
    found: Correspondences,
    points: Float[Tensor, "batch points 3"],
    rounds: int = FIT_ROUNDS,
    rotation: Rotation = best_rotation,
) -> Float[Tensor, "batch modes 4 4"]:
    """Rigid motions that bring coordinates to points (both in diameters).

    The network's weights count, and each round less the more a correspondence was off in the one before.

    Reference: Kabsch 1976; Holland & Welsch, iteratively reweighted least squares, 1977.
    """
    # a network that is not finite is reported by the check of the loss, which comes later
    coordinates = found.coordinates.float().nan_to_num(0.0)
    trust = found.log_weight.float().nan_to_num(0.0).clamp(max=MAX_LOG_WEIGHT).exp()
    return reweighted_fit(coordinates, points.float(), trust, rounds, FIT_ERROR, rotation)


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


class PlaceHead(nn.Module):
    """Each pixel's coordinates and trust in every mode, by its object's own output channels."""

    def __init__(self, config: CoordinatesConfig, objects: int) -> None:
        super().__init__()
        self.modes = config.modes
        self.output_weight = nn.Parameter(torch.randn(objects, config.pixel_channels, 4 * config.modes))
        self.output_bias = nn.Parameter(torch.zeros(objects, 4 * config.modes))
        with torch.no_grad():  # small coordinates, other ones in each mode, all trusted alike
            self.output_weight.mul_(START_SPREAD * config.pixel_channels**-0.5)
            self.output_weight.unflatten(-1, (config.modes, 4))[..., 3] = 0

    def forward(
        self, hidden: Float[Tensor, "batch points channels"], object_index: Int[Tensor, " batch"]
    ) -> Correspondences:
        """Of every mode."""
        weight, bias = self.output_weight[object_index], self.output_bias[object_index][:, None]
        output = torch.baddbmm(bias, hidden, weight).float().unflatten(-1, (self.modes, 4)).movedim(2, 1)
        return Correspondences(output[..., :3], output[..., 3])


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
