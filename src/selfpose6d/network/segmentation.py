"""A small network that says of each place of an image which object it shows, and where that object's middle is.

An encoder and decoder of residual blocks (Ronneberger et al., U-Net, 2015; He et al., 2016), and the two answers that
tell instances of one object apart without boxes (Cheng et al., Panoptic-DeepLab, 2020; here each pixel votes).
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 2
"""Image pixels per place of the answers."""
MULTIPLE = 16
"""Images are padded to a multiple of it: four halvings."""
VOTE_UNIT_PX = 16.0
"""Places; votes reach some tens of them, and the network's last layer gives numbers about one."""
_GROUPS = 8
"""Of channels that are normalised together (Wu & He, Group Normalization, 2018): batches are small."""


@dataclass(frozen=True)
class SegmentationConfig:
    """The network's structure."""

    input_channels: int = 8
    channels: tuple[int, ...] = (32, 48, 96, 128)
    """At a half, a quarter, an eighth and a sixteenth of the image's resolution. Takes 30 ms an image of 320 x 240 on
    two cores."""
    blocks: tuple[int, ...] = (1, 2, 2, 2)
    """Residual blocks at each, on the way down; on the way up there is one."""

    def to_json(self) -> dict[str, Any]:
        """For a checkpoint's header."""
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "SegmentationConfig":
        """As `to_json` wrote it."""
        return cls(int(stored["input_channels"]), tuple(stored["channels"]), tuple(stored["blocks"]))


class Segmentation(NamedTuple):
    """What the network says of each place: scores of background and of each object, and the way to the middle."""

    logits: Float[Tensor, "batch classes rows columns"]
    """Class 0 is what is none of the objects."""
    votes_px: Float[Tensor, "batch 2 rows columns"]
    """From the place to the middle of the instance's visible pixels (column, row), in places."""


class SegmentationNetwork(nn.Module):
    """Images (batch, channels, height, width), multiples of `MULTIPLE`, to a `Segmentation` at `1 / STRIDE`."""

    def __init__(
        self, config: SegmentationConfig, obj_ids: tuple[int, ...], diameters_m: tuple[float, ...]
    ) -> None:
        """`obj_ids`: the objects, in the order of the classes from 1 on; `diameters_m`: how large each can appear."""
        super().__init__()
        self.config, self.obj_ids, self.diameters_m = config, obj_ids, diameters_m
        width = config.channels
        self.stem = nn.Conv2d(config.input_channels * STRIDE**2, width[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(4 * a, b, 1) for a, b in pairwise(width))
        self.encode = nn.ModuleList(
            nn.Sequential(*(_Block(channels) for _ in range(count)))
            for channels, count in zip(width, config.blocks, strict=True)
        )
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(width))
        self.decode = nn.ModuleList(_Block(channels) for channels in width[:-1])
        self.head = nn.Conv2d(width[0], 1 + len(obj_ids) + 2, 1)

    def forward(self, image: Float[Tensor, "batch channels height width"]) -> Segmentation:
        """Scores and votes."""
        features = self.stem(functional.pixel_unshuffle(image, STRIDE))
        skipped = []
        for level, encode in enumerate(self.encode):
            if level:
                features = self.down[level - 1](functional.pixel_unshuffle(features, 2))
            features = encode(features)
            skipped.append(features)
        for level in reversed(range(len(self.decode))):
            coarse = functional.interpolate(self.up[level](features), scale_factor=2.0, mode="nearest")
            features = self.decode[level](skipped[level] + coarse)
        logits, votes = self.head(functional.silu(features)).split([1 + len(self.obj_ids), 2], dim=1)
        return Segmentation(logits, VOTE_UNIT_PX * votes)


class _Block(nn.Module):
    """Normalise, then two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, channels)
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Float[Tensor, "batch channels rows columns"]) -> Tensor:
        inner = self.first(functional.silu(self.norm(features)))
        return features + self.second(functional.silu(inner))


def padded(
    image: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels rows columns"]:
    """The image with zeros below and on its right, up to a multiple of `MULTIPLE`."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE))


def lay_out_as_images(module: nn.Module) -> None:
    """Lay the weights out as convolutions on CPUs and GPUs like them best."""
    module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
