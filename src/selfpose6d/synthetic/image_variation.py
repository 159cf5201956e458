"""What cheap colour cameras add: light, white balance, blur, noise, compression, and a shift against the depth."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.synthetic.lighting import Lights, draw_lights
from selfpose6d.synthetic.noise_fields import FrameNoise

# exposure relative to a well-exposed image: three in ten frames are dark or bright on purpose
USUAL_EXPOSURE, DARK_EXPOSURE, BRIGHT_EXPOSURE = (0.7, 1.5), (0.15, 0.5), (1.6, 2.8)
DARK_CHANCE, BRIGHT_CHANCE = 0.15, 0.15
WHITE_BALANCE = 0.15
BLUR_PX = (0.4, 2.0)
NOISE_LEVELS = (1.0, 8.0)
# half of all cameras compress; below 30 blocks are seen from afar
JPEG_CHANCE, JPEG_QUALITY = 0.5, (30, 95)
MAX_SHIFT_PX = 4.0
# of the assets' highlights
GLOSS_FACTOR = (0.5, 3.0)


@dataclass(frozen=True)
class ImageSettings:
    """One frame's colour camera. `shift_px` (x, y): where the colours lie, against the depth image."""

    gain_rgb: Float[np.ndarray, "3"]
    blur_px: float
    noise_levels: float
    jpeg_quality: int | None
    shift_px: Float[np.ndarray, "2"]


def draw_image_settings(generator: np.random.Generator, max_shift_px: float = MAX_SHIFT_PX) -> ImageSettings:
    """Exposure, white balance, blur, noise, compression and misregistration, small ones more often."""
    chance = generator.random()
    exposure = USUAL_EXPOSURE
    if chance < DARK_CHANCE + BRIGHT_CHANCE:
        exposure = DARK_EXPOSURE if chance < DARK_CHANCE else BRIGHT_EXPOSURE
    balance = 1 + WHITE_BALANCE * generator.uniform(-1, 1, 3) * (1, 0, 1)
    angle = generator.uniform(0, 2 * np.pi)
    shift_px = max_shift_px * generator.random() ** 2 * np.array([np.cos(angle), np.sin(angle)])
    compressed = generator.random() < JPEG_CHANCE
    return ImageSettings(
        gain_rgb=generator.uniform(*exposure) * balance,
        blur_px=float(BLUR_PX[0] + (BLUR_PX[1] - BLUR_PX[0]) * generator.random() ** 2),
        noise_levels=float(generator.uniform(*NOISE_LEVELS)),
        jpeg_quality=int(generator.integers(*JPEG_QUALITY)) if compressed else None,
        shift_px=shift_px,
    )


def draw_varied_lights(generator: np.random.Generator, scale: float) -> Lights:
    """Light as `draw_lights` has it, with one of its three parts much stronger or weaker, and warmer or colder."""
    lights = draw_lights(generator, scale)
    weights = np.exp(generator.normal(0, 0.5, 3))
    total = weights @ [0.7 * lights.key_rgb[1], 0.3 * lights.fill_rgb[1], lights.ambient_rgb[1]]
    key, fill, ambient = weights / total
    return replace(
        lights,
        key_rgb=key * lights.key_rgb,
        fill_rgb=fill * lights.fill_rgb,
        ambient_rgb=ambient * lights.ambient_rgb,
    )


def take_varied_image(
    rgb: UInt8[np.ndarray, "height width 3"], settings: ImageSettings, noise: FrameNoise
) -> UInt8[np.ndarray, "height width 3"]:
    """Blur, shift, noise per channel and compression, in this order."""
    image = cv2.GaussianBlur(rgb, (0, 0), settings.blur_px)
    move = np.array([[1, 0, settings.shift_px[0]], [0, 1, settings.shift_px[1]]], np.float32)
    image = cv2.warpAffine(image, move, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    # one window of the field for each channel, scaled while it is cut to bytes
    grain = cv2.merge([noise.white() for _ in range(3)])
    image = cv2.scaleAdd(grain, settings.noise_levels, image.astype(np.float32))
    image = np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)
    return image if settings.jpeg_quality is None else _compressed(image, settings.jpeg_quality)


def _compressed(
    rgb: UInt8[np.ndarray, "height width 3"], quality: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Through JPEG and back."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1].copy()
