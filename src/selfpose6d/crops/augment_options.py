"""How strongly crops are changed at random."""

from dataclasses import dataclass

from selfpose6d.errors import UsageError


@dataclass(frozen=True)
class AugmentOptions:
    """How strongly crops are changed; 0 switches a change off."""

    brightness: float = 0.25
    """Largest relative change of brightness, and of each colour channel by a third of it."""
    contrast: float = 0.25
    """Largest relative change of contrast."""
    saturation: float = 0.3
    """Largest relative change of saturation."""
    hue: float = 0.0
    """Largest turn of the hue, radians."""
    tone: float = 0.0
    """Largest bend of the tone curve, 0-1: another exposure or gamma."""
    light: float = 0.0
    """Largest relative change of brightness from the crop's middle to its edge: light that falls from one side."""
    highlight: float = 0.0
    """Largest brightness of a soft white spot, 0-1 units: light that a shiny surface reflects."""
    sharpness: float = 0.0
    """Most of the difference to the blurred image that is taken away or added, as a fraction of it."""
    colour_shift_px: int = 0
    """Most pixels that colours are shifted by against depth and mask: cameras that are calibrated a little off."""
    fade: float = 0.0
    """Fraction of instances whose colours lose all but a trace of their pattern: light and shadow that a scanned
    texture holds are not there in another room."""
    noise: float = 0.02
    """Largest standard deviation of the pixel noise, 0-1 units."""
    occluder_fraction: float = 0.4
    """Fraction of instances that get a piece of another crop pasted over them."""
    occluder_size: float = 0.35
    """Largest half axis of the pasted ellipse, as a fraction of the crop."""
    mask_px: int = 1
    """Most pixels that a mask is eroded or dilated by."""
    mask_shift_px: int = 1
    """Most pixels that a mask is shifted by, in each direction."""
    depth_dropout: float = 0.1
    """Largest fraction of an instance's depth pixels that are set to unknown."""
    depth_noise_m: float = 0.001
    """Standard deviation of the noise added to each depth pixel, metres."""
    depth_bumps_m: float = 0.0
    """Largest standard deviation of errors that neighbours share, metres: what stereo and structured light make."""
    depth_border_px: int = 0
    """Most pixels on either side of a mask's border that lose their depth: what one of two cameras does not see."""
    depth_hole: float = 0.0
    """Largest half axis of an ellipse without depth, as a fraction of the crop: glare, shadow of the projector."""
    background_fraction: float = 0.0
    """Fraction of instances whose background is replaced by another crop's image (for rendered crops)."""

    def __post_init__(self) -> None:
        for name in ("occluder_fraction", "depth_dropout", "background_fraction", "tone", "light", "fade"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} must be a fraction between 0 and 1, got {getattr(self, name)}.")
