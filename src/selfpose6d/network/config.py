"""The pose networks' structures, as frozen configurations: two architectures in two sizes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from selfpose6d.errors import UsageError

Norm = Literal["none", "group", "batch"]
Size = Literal["small", "paper"]
Architecture = Literal["dense-fusion", "coordinates"]


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """What fixes a network's structure and both architectures share; a checkpoint stores it."""

    architecture: ClassVar[Architecture]
    needs_view: ClassVar[bool]
    """Whether it looks at all pixels, not at the sampled ones alone."""

    crop_px: int
    """Side of the square crop, pixels; a multiple of 8."""
    num_points: int
    """Sampled pixels per instance (the paper's Np)."""
    refiner_channels: tuple[int, int]
    """Hidden channels of the refinement network's two branches."""
    weighted: bool = True
    """Weigh both branches pixel by pixel before they are joined, Eq. (1); False is DenseFusion."""

    def __post_init__(self) -> None:
        if self.crop_px % 8 or self.crop_px < 32:
            raise UsageError(f"crop_px must be a multiple of 8 from 32 on, got {self.crop_px}.")
        if self.num_points < 1:
            raise UsageError(f"need points >= 1, got {self.num_points}.")

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> "NetworkConfig":
        """The configuration that a file holds; one that names no architecture is of the first.

        Raises:
            UsageError: it has no fragments, as coordinate networks had none at first.
        """
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        kind = ARCHITECTURES[values.pop("architecture", DenseFusionConfig.architecture)]
        if kind is CoordinatesConfig and "fragments" not in values:
            raise UsageError("its coordinates are not of fragments, as those of this version are.")
        return kind(num_points=values.pop("points"), **values)

    def to_json(self) -> dict[str, Any]:
        """For files, where the number of points is called `points`."""
        values = {"points" if name == "num_points" else name: value for name, value in asdict(self).items()}
        return {"architecture": self.architecture, **values}


@dataclass(frozen=True, kw_only=True)
class DenseFusionConfig(NetworkConfig):
    """The paper's network: one pose a pixel, regressed from colours and points fused pixel by pixel."""

    architecture = "dense-fusion"
    needs_view = False

    stage_channels: tuple[int, int, int, int]
    """Channels of the four ResNet-18 stages."""
    psp_channels: int
    """Channels after the pyramid pooling's bottleneck."""
    decoder_channels: tuple[int, ...]
    """Channels after each doubling of the colour map's resolution; three doublings return to the crop's."""
    head_channels: tuple[int, int, int]
    """Hidden channels of the rotation, translation and confidence branches."""
    colour_channels: int = 32
    """Channels of the colour embedding of a pixel."""
    fusion_channels: tuple[int, int]
    """Channels of each branch at the two fusion levels."""
    global_channels: tuple[int, int]
    """Channels of the shared layers before the average over the points."""
    refiner_residuals: bool = True
    """Tell the refinement network of each point also where the nearest point of the model is; False is the paper's
    input, the points alone."""
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= len(self.decoder_channels) <= 3:
            raise UsageError(f"decoder_channels must have 1 to 3 entries, got {len(self.decoder_channels)}.")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"need 0 <= dropout < 1, got {self.dropout}.")

    @property
    def map_stride(self) -> int:
        """Crop pixels per pixel of the colour map."""
        return 8 >> len(self.decoder_channels)


CELL_PX = 16
"""Of the coordinate network's coarsest map: sides of its crops are multiples."""


@dataclass(frozen=True, kw_only=True)
class CoordinatesConfig(NetworkConfig):
    """The sample-efficient network: places on the object, pixel by pixel, and rigid fits to the measured points."""

    architecture = "coordinates"
    needs_view = True

    stem_channels: int
    """Channels of colours and of geometry at half the crop's resolution."""
    map_channels: tuple[int, int, int]
    """Channels at a quarter, an eighth and a sixteenth of the crop's resolution."""
    pixel_channels: int
    """Channels of the layers that each sampled pixel has for itself."""
    compared_points: int
    """How many points of an instance the comparison looks up on the mesh, and of the mesh in the crop."""
    comparison_channels: tuple[int, ...]
    """Channels of the comparison's layers that each point has for itself."""
    fragments: int
    """Of each object's surface, among which a pixel's place is chosen."""
    modes: int = 8
    """Poses of each instance that are rated: a box that looks alike from four sides leaves none for a second guess of
    four. Four instead of eight cost 1 of 90 ADD(-S) after 800 steps (docs/results.md)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_px % CELL_PX:
            raise UsageError(f"crop_px must be a multiple of {CELL_PX} for coordinates, got {self.crop_px}.")
        if self.modes < 1:
            raise UsageError(f"modes must be at least 1, got {self.modes}.")
        if self.fragments < 1:
            raise UsageError(f"fragments must be at least 1, got {self.fragments}.")


PAPER = DenseFusionConfig(
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
SMALL = DenseFusionConfig(
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
SIZES: dict[Size, DenseFusionConfig] = {"small": SMALL, "paper": PAPER}
"""Of the paper's network."""
COORDINATES_SMALL = CoordinatesConfig(
    crop_px=96,
    num_points=256,
    stem_channels=16,
    map_channels=(48, 96, 160),
    pixel_channels=128,
    compared_points=128,
    comparison_channels=(64, 96, 96),
    refiner_channels=(192, 96),
    fragments=128,
)
COORDINATES_PAPER = CoordinatesConfig(
    crop_px=128,
    num_points=1000,
    stem_channels=32,
    map_channels=(128, 256, 384),
    pixel_channels=256,
    compared_points=256,
    comparison_channels=(128, 192, 192),
    refiner_channels=(512, 128),
    fragments=128,
)
COORDINATES: dict[Size, CoordinatesConfig] = {"small": COORDINATES_SMALL, "paper": COORDINATES_PAPER}
"""Of the coordinate estimator; `paper` has the crop and points of the paper's."""
ARCHITECTURES: dict[str, type[NetworkConfig]] = {
    kind.architecture: kind for kind in (DenseFusionConfig, CoordinatesConfig)
}


def network_config(architecture: Architecture, size: Size) -> NetworkConfig:
    """The structure of that name and size."""
    return SIZES[size] if architecture == "dense-fusion" else COORDINATES[size]
