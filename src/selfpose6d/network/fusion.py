"""Pixel-wise weighted dense fusion: colour and geometry of each pixel at two levels, plus a global vector.

Sampled pixels have no order, so every layer is shared by all of them (a linear layer is DenseFusion's 1x1
convolution).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from selfpose6d.network.config import DenseFusionConfig

_START_LOGIT = 2.0
"""Of the gates: 0.88 of each feature passes at the start of training."""


@dataclass(frozen=True)
class FusedFeatures:
    """What is known of each pixel (both fusion levels side by side) and of the instance as a whole."""

    local: Float[Tensor, "batch points local"]
    whole: Float[Tensor, "batch whole"]


class PixelGate(nn.Module):
    """One weight a pixel: sigmoid(conv(cat[max over channels, mean over channels])), kernel 1.

    Reference: paper III-B (spatial attention of CBAM); Eq. (1).
    """

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(2, 1)

    def start_open(self) -> None:
        """Let nearly everything through, as DenseFusion does, whatever the features; training closes it."""
        nn.init.zeros_(self.mix.weight)
        nn.init.constant_(self.mix.bias, _START_LOGIT)

    def forward(self, features: Float[Tensor, "*pixels c"]) -> Float[Tensor, "*pixels 1"]:
        """Weights between 0 and 1."""
        largest = features.max(-1, keepdim=True).values  # its gradient is cheaper than amax's
        pooled = torch.cat([largest, features.mean(-1, keepdim=True)], -1)
        return torch.sigmoid(self.mix(pooled))


class WeightedFusion(nn.Module):
    """Each branch times its own weight, then side by side; without weights it is DenseFusion's concatenation.

    Reference: paper Eq. (1).
    """

    def __init__(self, weighted: bool) -> None:
        super().__init__()
        self.colour_gate = PixelGate() if weighted else None
        self.geometry_gate = PixelGate() if weighted else None

    def forward(
        self, colour: Float[Tensor, "*pixels c"], geometry: Float[Tensor, "*pixels g"]
    ) -> Float[Tensor, "*pixels c+g"]:
        """Join the two branches."""
        if self.colour_gate is not None and self.geometry_gate is not None:
            colour = self.colour_gate(colour) * colour
            geometry = self.geometry_gate(geometry) * geometry
        return torch.cat([colour, geometry], -1)


class DenseFusion(nn.Module):
    """Colour embeddings and points of the sampled pixels to fused local and global features."""

    def __init__(self, config: DenseFusionConfig, point_channels: int = 3) -> None:
        super().__init__()
        first, second = config.fusion_channels
        middle, whole = config.global_channels
        self.colour_layers = nn.ModuleList(
            [nn.Linear(config.colour_channels, first), nn.Linear(first, second)]
        )
        self.geometry_layers = nn.ModuleList([nn.Linear(point_channels, first), nn.Linear(first, second)])
        self.fusions = nn.ModuleList(WeightedFusion(config.weighted) for _ in range(2))
        self.shared = nn.Sequential(
            nn.Linear(2 * second, middle),
            nn.ReLU(inplace=True),
            nn.Linear(middle, whole),
            nn.ReLU(inplace=True),
        )

    def forward(
        self, colour: Float[Tensor, "batch points c"], points: Float[Tensor, "batch points p"]
    ) -> FusedFeatures:
        """Fuse; `points` are centred and scaled to about the unit sphere (and whatever else is known of each)."""
        # all points in one list: layers of matrices with two axes are faster in an exported graph
        sizes = points.shape[:2]
        levels, colour, geometry = [], colour.flatten(0, 1), points.flatten(0, 1)
        for to_colour, to_geometry, fusion in zip(
            self.colour_layers, self.geometry_layers, self.fusions, strict=True
        ):
            colour = functional.relu(to_colour(colour))
            geometry = functional.relu(to_geometry(geometry))
            levels.append(fusion(colour, geometry))
        whole = self.shared(levels[-1]).unflatten(0, sizes).mean(1)
        return FusedFeatures(torch.cat(levels, -1).unflatten(0, sizes), whole)
