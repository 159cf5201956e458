"""The two sizes of the pose network, as frozen configurations."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from selfpose6d.errors import UsageError

Norm = Literal["none", "group", "batch"]
Size = Literal["small", "paper"]


@dataclass(frozen=True)
class NetworkConfig:
    """Everything that fixes the network's structure; a checkpoint stores it."""

    crop_px: int
    """Side of the square crop, pixels; a multiple of 8."""
    num_points: int
    """Sampled pixels per instance (the paper's Np)."""
    stage_channels: tuple[int, int, int, int]
    """Channels of the four ResNet-18 stages."""
    psp_channels: int
    """Channels after the pyramid pooling's bottleneck."""
    decoder_channels: tuple[int, ...]
    """Channels after each doubling of the colour map's resolution; three doublings return to the crop's."""
    fusion_channels: tuple[int, int]
    """Channels of each branch at the two fusion levels."""
    global_channels: tuple[int, int]
    """Channels of the shared layers before the average over the points."""
    head_channels: tuple[int, int, int]
    """Hidden channels of the rotation, translation and confidence branches."""
    refiner_channels: tuple[int, int]
    """Hidden channels of the refinement network's two branches."""
    refiner_residuals: bool = True
    """Tell the refinement network of each point also where the nearest point of the model is; False is the paper's
    input, the points alone."""
    colour_channels: int = 32
    """Channels of the colour embedding of a pixel."""
    psp_bins: tuple[int, ...] = (1, 2, 3, 6)
    """Grid sizes of the pyramid pooling."""
    norm: Norm = "none"
    """Normalisation after the ResNet's convolutions; DenseFusion has none."""
    log_softmax: bool = True
    """End the colour embedding with a log-softmax over its channels, as DenseFusion does."""
    prelu: bool = True
    """Learn the slope of the decoder's activations, as DenseFusion does; plain ReLU is cheaper on CPUs."""
    dropout: float = 0.3
    """Fraction of channels dropped after the pyramid pooling; half of it after each doubling."""
    weighted: bool = True
    """Weigh both branches pixel by pixel before they are joined, Eq. (1); False is DenseFusion."""

    def __post_init__(self) -> None:
        if self.crop_px % 8 or self.crop_px < 32:
            raise UsageError(f"crop_px must be a multiple of 8 from 32 on, got {self.crop_px}.")
        if not 1 <= len(self.decoder_channels) <= 3:
            raise UsageError(f"decoder_channels must have 1 to 3 entries, got {len(self.decoder_channels)}.")
        if self.num_points < 1 or not 0 <= self.dropout < 1:
            raise UsageError(
                f"need points >= 1 and 0 <= dropout < 1, got {self.num_points} and {self.dropout}."
            )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "NetworkConfig":
        """The configuration that a file holds."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        return cls(num_points=values.pop("points"), **values)

    def to_json(self) -> dict[str, Any]:
        """For files, where the number of points is called `points`."""
        return {"points" if name == "num_points" else name: value for name, value in asdict(self).items()}

    @property
    def map_stride(self) -> int:
        """Crop pixels per pixel of the colour map."""
        return 8 >> len(self.decoder_channels)


PAPER = NetworkConfig(
    crop_px=128,
    num_points=1000,
    stage_channels=(64, 128, 256, 512),
    psp_channels=1024,
    decoder_channels=(256, 64, 64),
    fusion_channels=(64, 128),
    global_channels=(512, 1024),
    head_channels=(640, 256, 128),
    refiner_channels=(512, 128),
)
SMALL = NetworkConfig(
    crop_px=96,
    num_points=256,
    stage_channels=(32, 48, 96, 128),
    psp_channels=128,
    decoder_channels=(64, 32),
    fusion_channels=(32, 64),
    global_channels=(128, 256),
    head_channels=(160, 96, 64),
    refiner_channels=(128, 64),
    log_softmax=False,
    prelu=False,
    dropout=0.0,
)
SIZES: dict[Size, NetworkConfig] = {"small": SMALL, "paper": PAPER}
