"""What the stored values of an image mean: labels, the pixels of one object's mask, 8-bit colours.

Rules, in this order. A palette's *index* is the label. Of a mask file that shows one object the object is where alpha
says so, where that differs between pixels; else where the image is not black. Soft edges are cut at half of the
brightest value.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped, UInt8

VOC_VOID = 255
VOC_VOID_RGB = (224, 224, 192)
"""The index and colour with which Pascal VOC's palette marks outlines that belong to no object."""
SOFT_FROM = 127
"""Brightest integer level from which several levels are one soft edge; darker ones are small numbers, as labels are."""
MAX_CHROMA_GAP = 0.25
"""Between colours relative to their brightest channel: more is another hue. JPEG leaves 0.1 within one colour."""
MIN_MEAN_CHROMA_GAP = 0.03
"""Of a picture of an object of one hue; soft edges of one colour have its chroma exactly."""
MIN_OTHER_HUES = 0.25
"""Part of the bright pixels that has other hues in a picture of an object; JPEG's edges are fewer."""
MIN_SHADES = 0.5
"""Part of the pixels of a picture of an object that is neither dark nor bright; soft edges are fewer."""
JPEG_NOISE = 15
"""Levels that JPEG leaves on black beside a sharp edge, at usual qualities."""
MAX_FLAT_COLOURS = 8
"""Of a palette image: with more its colours are the shades of soft edges or of a picture."""
USUAL_BITS = (8, 10, 12, 16)
"""Of colours in 16-bit files. An image that needs fewer than 12 would be nearly black as one of 16."""


@dataclass(frozen=True)
class StoredImage:
    """An image file's own values: rows, columns and, with more than one, channels (RGB order, alpha last)."""

    values: Shaped[np.ndarray, "height width *channels"]
    palette: UInt8[np.ndarray, "colours 4"] | None = None
    """RGBA of each index, where the values are indices."""
    lossy: bool = False
    """The format changes values (JPEG, WebP)."""

    def shown(self) -> Shaped[np.ndarray, "height width *channels"]:
        """What a person sees: a palette's colours in place of its indices."""
        return self.values if self.palette is None else self.palette[self.values]


def object_ids_of(image: StoredImage) -> Integer[np.ndarray, "height width"]:
    """The labels of an image of labels, 0 is background.

    Raises:
        ValueError: it holds none; the message says what it holds.
    """
    if image.palette is not None:
        return _without_void(image)
    if image.lossy:
        raise ValueError("JPEG and lossy WebP change values, so that labels cannot be told from noise")
    values, alpha = _split_alpha(image.values)
    if values.ndim == 3:
        if (values != values[..., :1]).any():
            raise ValueError(f"colours are no labels, got {_some_colours(values)}")
        values = values[..., 0]
    if values.dtype.kind == "f":
        if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
            raise ValueError(f"expected integer labels, got {values.dtype} with fractions")
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise ValueError(f"expected integer labels, got {values.dtype}")
    return values if alpha is None else np.where(alpha > 0, values, 0)


def object_pixels_of(image: StoredImage) -> Bool[np.ndarray, "height width"]:
    """The pixels of the object that a mask file of one object shows."""
    if image.palette is not None:
        labels = _without_void(image)
        used = np.unique(image.values)
        is_background = (image.palette[:, 3] == 0) | (image.palette[:, :3].max(1) == 0)
        if is_background[used].sum() != 1:  # the colours do not say what is background
            return labels > 0
        if len(used) <= MAX_FLAT_COLOURS:
            return ~is_background[image.values] & ((labels > 0) | (image.values == 0))
        image = StoredImage(image.shown())
    values, alpha = _split_alpha(image.values)
    if alpha is not None and alpha.min() < alpha.max():
        return _bright(alpha, image)
    if values.ndim == 2 or (values == values[..., :1]).all():
        grey = values if values.ndim == 2 else values[..., 0]
        return _bright(grey if grey.dtype.kind == "u" else _as_levels(grey), image)
    levels = _as_levels(values)
    brightness = levels.max(-1)
    if _is_picture(levels, brightness):
        return brightness > (JPEG_NOISE if image.lossy else 0)
    return _bright(brightness, image)


def rgb_of(image: StoredImage) -> UInt8[np.ndarray, "height width 3"]:
    """Colours of 8 bits; grey gives three equal channels, alpha is left out.

    Of 16 bits the brightest value says how many are used: cameras of 10 and 12 bits leave the others 0.

    Raises:
        ValueError: values that are no colours; the message says which.
    """
    values, _ = _split_alpha(image.shown())
    if values.dtype.kind == "f":
        high = float(np.nan_to_num(values).max(initial=0))
        if not np.isfinite(values).all() or values.min(initial=0) < 0 or high > 255:
            raise ValueError(f"expected colours of 0 to 1 or 0 to 255, got {values.dtype} up to {high:.4g}")
        values = np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)
    elif values.dtype == np.uint16:
        bits = next(bits for bits in USUAL_BITS if values.max(initial=0) < 2**bits)
        values = np.rint(values * (255 / (2**bits - 1))).astype(np.uint8)
    elif values.dtype != np.uint8:
        raise ValueError(f"expected colours of 8 or 16 bits, got {values.dtype}")
    channels = values if values.ndim == 3 else values[..., None]
    return np.ascontiguousarray(
        channels if channels.shape[2] == 3 else np.repeat(channels[..., :1], 3, axis=2)
    )


def _without_void(image: StoredImage) -> Integer[np.ndarray, "height width"]:
    """The indices; 0 on the outlines that Pascal VOC's palette marks."""
    assert image.palette is not None
    palette, index = image.palette, image.values
    has_void = len(palette) > VOC_VOID and tuple(palette[VOC_VOID, :3]) == VOC_VOID_RGB
    return np.where(index == VOC_VOID, 0, index) if has_void else index


def _split_alpha(
    values: Shaped[np.ndarray, "height width *channels"],
) -> tuple[Shaped[np.ndarray, "height width *colours"], Shaped[np.ndarray, "height width"] | None]:
    if values.ndim == 2:
        return values, None
    if values.shape[2] in (2, 4):
        colours = values[..., :-1]
        return (colours[..., 0] if colours.shape[2] == 1 else colours), values[..., -1]
    return (values[..., 0] if values.shape[2] == 1 else values), None


def _as_levels(values: np.ndarray) -> Float[np.ndarray, "..."]:
    return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)


def _bright(
    levels: Shaped[np.ndarray, "height width"], image: StoredImage
) -> Bool[np.ndarray, "height width"]:
    """What is bright: of two levels the higher one, of a soft edge what reaches half."""
    low, high = float(levels.min(initial=0)), float(levels.max(initial=0))
    if low == high or low > high / 2:
        return levels > 0  # one level only, give or take noise
    if ((levels == low) | (levels == high)).all():
        return levels == high
    is_soft = image.lossy or image.values.dtype.kind == "f" or high > SOFT_FROM
    return levels >= high / 2 if is_soft else levels > 0


def _is_picture(
    levels: Float[np.ndarray, "height width 3"], brightness: Float[np.ndarray, "height width"]
) -> bool:
    """Whether an object's own colours are shown on black, not one colour for all of it."""
    high = brightness.max()
    inside = brightness > 0.1 * high
    bright = levels[brightness > 0.5 * high] / brightness[brightness > 0.5 * high, None]
    chroma_gap = np.abs(bright - np.median(bright, axis=0)).max(1)
    shades = brightness[inside] < 0.9 * high
    is_shaded = shades.mean() > MIN_SHADES and chroma_gap.mean() > MIN_MEAN_CHROMA_GAP
    return bool((chroma_gap > MAX_CHROMA_GAP).mean() > MIN_OTHER_HUES or is_shaded)


def _some_colours(values: np.ndarray, most: int = 3) -> str:
    colours = np.unique(values.reshape(-1, values.shape[2]), axis=0)
    shown = ", ".join(str(tuple(colour)) for colour in colours[:most].tolist())
    return f"{shown}{' and others' if len(colours) > most else ''}"
