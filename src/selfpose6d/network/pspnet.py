"""The colour branch: PSPNet on a dilated ResNet-18, one embedding vector a pixel.

Reference: Zhao et al., Pyramid Scene Parsing Network, 2017; DenseFusion's variant (stride 8, no pretraining).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from selfpose6d.network.config import DenseFusionConfig, Norm

_STAGE_STRIDES = (1, 2, 1, 1)
_STAGE_DILATIONS = (1, 1, 2, 4)
_BLOCKS_PER_STAGE = 2


class PSPNet(nn.Module):
    """RGB crop to a colour embedding at `1 / config.map_stride` of its resolution."""

    def __init__(self, config: DenseFusionConfig) -> None:
        super().__init__()
        self.backbone = dilated_resnet18(config.stage_channels, config.norm)
        self.pyramid = PyramidPooling(config.stage_channels[-1], config.psp_channels, config.psp_bins)
        channels = (config.psp_channels, *config.decoder_channels)
        drops = (config.dropout, *(config.dropout / 2 for _ in config.decoder_channels))
        self.decoder = nn.Sequential(
            nn.Dropout2d(drops[0]),
            *(
                nn.Sequential(Doubling(before, after, config.prelu), nn.Dropout2d(drop))
                for before, after, drop in zip(channels[:-1], channels[1:], drops[1:], strict=True)
            ),
        )
        self.embedding = nn.Conv2d(channels[-1], config.colour_channels, 1)
        self.log_softmax = config.log_softmax

    def forward(
        self, rgb: Float[Tensor, "batch 3 crop crop"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Embed a crop; `rgb` is normalised to about zero mean and unit variance."""
        embedding = self.embedding(self.decoder(self.pyramid(self.backbone(rgb))))
        return functional.log_softmax(embedding, dim=1) if self.log_softmax else embedding


def dilated_resnet18(stage_channels: tuple[int, int, int, int], norm: Norm) -> nn.Sequential:
    """ResNet-18 without its classifier; the last two stages are dilated, so that the stride stays 8."""
    first = stage_channels[0]
    layers: list[nn.Module] = [
        nn.Conv2d(3, first, 7, stride=2, padding=3, bias=norm == "none"),
        normalisation(norm, first),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    before = first
    for channels, stride, dilation in zip(stage_channels, _STAGE_STRIDES, _STAGE_DILATIONS, strict=True):
        for block in range(_BLOCKS_PER_STAGE):
            layers.append(ResidualBlock(before, channels, stride if block == 0 else 1, dilation, norm))
            before = channels
    return nn.Sequential(*layers)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; the branch starts at 0, so that depth costs no signal."""

    def __init__(self, before: int, channels: int, stride: int, dilation: int, norm: Norm) -> None:
        super().__init__()
        bias = norm == "none"
        self.branch = nn.Sequential(
            nn.Conv2d(before, channels, 3, stride, padding=dilation, dilation=dilation, bias=bias),
            normalisation(norm, channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=bias),
            normalisation(norm, channels),
        )
        same = before == channels and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, channels, 1, stride, bias=False)
        self.start_as_shortcut()

    def start_as_shortcut(self) -> None:
        """Set the branch's last layer to 0."""
        last = self.branch[3] if isinstance(self.branch[4], nn.Identity) else self.branch[4]
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features: Float[Tensor, "batch before rows columns"]) -> Float[Tensor, "batch c r k"]:
        """Add the branch to the shortcut."""
        return functional.relu(self.shortcut(features) + self.branch(features))


class PyramidPooling(nn.Module):
    """Joins the map with its averages over coarse grids: every pixel sees the whole crop."""

    def __init__(self, before: int, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        self.projections = nn.ModuleList(nn.Conv2d(before, before, 1, bias=False) for _ in bins)
        self.bottleneck = nn.Conv2d(before * (len(bins) + 1), channels, 1)

    def forward(
        self, features: Float[Tensor, "batch before rows columns"]
    ) -> Float[Tensor, "batch c rows columns"]:
        """Pool, project, enlarge, concatenate, reduce."""
        size = features.shape[-2:]
        pooled = [
            functional.interpolate(
                projection(functional.adaptive_avg_pool2d(features, bins)), size=size, mode="bilinear"
            )
            for bins, projection in zip(self.bins, self.projections, strict=True)
        ]
        return functional.relu(self.bottleneck(torch.cat([*pooled, features], 1)))


class Doubling(nn.Module):
    """Twice the resolution: bilinear enlargement, 3x3 convolution, PReLU (or ReLU)."""

    def __init__(self, before: int, channels: int, prelu: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, channels, 3, padding=1)
        self.activation = nn.PReLU() if prelu else nn.ReLU(inplace=True)

    def forward(self, features: Float[Tensor, "batch before rows columns"]) -> Float[Tensor, "batch c r k"]:
        """Enlarge, then smooth."""
        larger = functional.interpolate(features, scale_factor=2.0, mode="bilinear")
        return self.activation(self.convolution(larger))


def normalisation(norm: Norm, channels: int) -> nn.Module:
    """The normalisation layer of that name."""
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    return nn.GroupNorm(max(1, channels // 16), channels) if norm == "group" else nn.Identity()
