"""What labels are made of: text, bands, pictures, badges, tables and bar codes, drawn with OpenCV."""

import colorsys

import cv2
import numpy as np
from jaxtyping import UInt8

Canvas = UInt8[np.ndarray, "_ _ 3"]
Colour = tuple[int, int, int]

SYLLABLES = (
    "ka",
    "ro",
    "mi",
    "ve",
    "lu",
    "tan",
    "dor",
    "sel",
    "bri",
    "no",
    "pal",
    "chi",
    "zu",
    "gra",
    "fe",
    "mo",
)
WHITE: Colour = (244, 243, 238)
BLACK: Colour = (24, 22, 26)


def random_word(generator: np.random.Generator, least: int = 1, most: int = 3) -> str:
    """A pronounceable word of `least` to `most` syllables."""
    return "".join(generator.choice(SYLLABLES, size=generator.integers(least, most + 1)))


def gradient(width_px: int, height_px: int, top: Colour, bottom: Colour) -> Canvas:
    """A ground that changes from one colour to another, down the face."""
    along = np.linspace(0, 1, height_px)[:, None, None]
    mixed = np.array(top) * (1 - 0.6 * along) + np.array(bottom) * 0.6 * along
    return np.ascontiguousarray(np.broadcast_to(mixed, (height_px, width_px, 3)).astype(np.uint8))


def print_grain(canvas: Canvas, generator: np.random.Generator, strength: float = 5.0) -> Canvas:
    """Faint blotches and grain, as ink on board has."""
    rows, columns = canvas.shape[:2]
    coarse = generator.normal(0, strength, (rows // 24 + 2, columns // 24 + 2)).astype(np.float32)
    fine = generator.normal(0, 0.4 * strength, (rows, columns)).astype(np.float32)
    noise = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC) + fine
    return np.clip(canvas + noise[..., None], 0, 255).astype(np.uint8)


def draw_text(
    canvas: Canvas,
    text: str,
    centre: tuple[float, float],
    width: float,
    colour: Colour,
    bold: bool = False,
) -> None:
    """Write one line; `centre` (x, y) and `width` are shares of the face. Bold text casts a shadow."""
    rows, columns = canvas.shape[:2]
    font = cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
    (unit_px, unit_height_px), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(width * columns / unit_px, 0.5 * rows / unit_height_px)
    x, y = (
        int(centre[0] * columns - 0.5 * scale * unit_px),
        int(centre[1] * rows + 0.5 * scale * unit_height_px),
    )
    thickness = max(1, round(scale * (2.4 if bold else 1.0)))
    if bold:
        cv2.putText(canvas, text, (x + thickness, y + thickness), font, scale, BLACK, thickness, cv2.LINE_AA)
    cv2.putText(canvas, text, (x, y), font, scale, colour, thickness, cv2.LINE_AA)


def draw_band(
    canvas: Canvas,
    colour: Colour,
    height: float,
    thickness: float,
    generator: np.random.Generator,
    periodic: bool = False,
) -> None:
    """A swung band from left to right; a periodic one meets itself."""
    rows, columns = canvas.shape[:2]
    x = np.linspace(0, 1, 64)
    cycles = generator.integers(1, 3) if periodic else generator.uniform(0.3, 0.9)
    middle = height + generator.uniform(0.05, 0.1) * np.sin(2 * np.pi * (cycles * x + generator.random()))
    upper, lower = np.stack([x, middle - thickness / 2], 1), np.stack([x, middle + thickness / 2], 1)
    outline = np.concatenate([upper, lower[::-1]]) * (columns, rows)
    cv2.fillPoly(canvas, [np.round(outline).astype(np.int32)], colour, cv2.LINE_AA)


def draw_goods(
    canvas: Canvas, centre: tuple[float, float], radius_px: float, generator: np.random.Generator
) -> None:
    """A heap of shaded round things in two tones."""
    rows, columns = canvas.shape[:2]
    hue, count = generator.random(), generator.integers(7, 14)
    for _ in range(count):
        angle, away = generator.uniform(0, 2 * np.pi), radius_px * np.sqrt(generator.random())
        x, y = centre[0] * columns + away * np.cos(angle), centre[1] * rows + 0.7 * away * np.sin(angle)
        size = radius_px * generator.uniform(0.2, 0.42)
        axes, turn = (int(size), int(size * generator.uniform(0.6, 1))), float(generator.uniform(0, 180))
        tone = hue + generator.choice([0.0, 0.08, 0.45])
        for shrink, value in ((1.0, 0.35), (0.9, 0.7), (0.5, 0.92)):
            inner = (max(1, int(axes[0] * shrink)), max(1, int(axes[1] * shrink)))
            at = (int(x - (1 - shrink) * 0.3 * size), int(y - (1 - shrink) * 0.3 * size))
            cv2.ellipse(canvas, at, inner, turn, 0, 360, hsv(tone, 0.75, value), -1, cv2.LINE_AA)


def draw_badge(
    canvas: Canvas,
    centre: tuple[float, float],
    radius_px: float,
    colour: Colour,
    generator: np.random.Generator,
) -> None:
    """A star or a disc with a short word."""
    rows, columns = canvas.shape[:2]
    middle = np.array([centre[0] * columns, centre[1] * rows])
    points = generator.integers(8, 17)
    angle = np.arange(2 * points) * np.pi / points + generator.random()
    reach = radius_px * np.where(np.arange(2 * points) % 2, generator.uniform(0.7, 0.95), 1.0)
    star = middle + reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    cv2.fillPoly(canvas, [np.round(star).astype(np.int32)], colour, cv2.LINE_AA)
    cv2.circle(canvas, (int(middle[0]), int(middle[1])), int(0.6 * radius_px), BLACK, -1, cv2.LINE_AA)
    word = random_word(generator, 1, 1).upper()
    draw_text(canvas, word, centre, 1.0 * radius_px / columns, colour)


def draw_stripes(canvas: Canvas, colour: Colour, generator: np.random.Generator) -> None:
    """Two to four straight stripes across the face, of several widths."""
    rows, columns = canvas.shape[:2]
    slope = generator.uniform(-0.5, 0.5)
    for _ in range(generator.integers(2, 5)):
        y, half = generator.random() * rows, generator.uniform(0.01, 0.05) * rows
        ends = [
            [0, y - half],
            [columns, y + slope * columns - half],
            [columns, y + slope * columns + half],
            [0, y + half],
        ]
        cv2.fillPoly(canvas, [np.round(ends).astype(np.int32)], colour, cv2.LINE_AA)


def draw_panel(canvas: Canvas, box: tuple[float, float, float, float], colour: Colour) -> None:
    """A filled rectangle; `box` is left, top, right, bottom as shares of the face."""
    left, top, right, bottom = _to_px(canvas, box)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, -1)


def draw_paragraph(
    canvas: Canvas, box: tuple[float, float, float, float], colour: Colour, generator: np.random.Generator
) -> None:
    """Lines of small words inside `box`."""
    left, top, right, bottom = _to_px(canvas, box)
    line_px = max(9, (bottom - top) // 9)
    for y in range(top + line_px, bottom, line_px):
        words = " ".join(random_word(generator, 1, 3) for _ in range(12))
        fits = max(2, int((right - left) / (0.62 * line_px)))
        line = words[: int(fits * generator.uniform(0.7, 1.0))]
        cv2.putText(canvas, line, (left, y), cv2.FONT_HERSHEY_SIMPLEX, line_px / 36, colour, 1, cv2.LINE_AA)


def draw_table(
    canvas: Canvas, box: tuple[float, float, float, float], generator: np.random.Generator
) -> None:
    """A ruled table of words and numbers."""
    left, top, right, bottom = _to_px(canvas, box)
    cv2.rectangle(canvas, (left, top), (right, bottom), BLACK, 2)
    rows = int(generator.integers(5, 8))
    for index, y in enumerate(np.linspace(top, bottom, rows + 1)[1:].astype(int)):
        cv2.line(canvas, (left, y), (right, y), BLACK, 2 if index == 0 else 1)
        size = (bottom - top) / rows / 40
        number = f"{generator.integers(1, 999) / 10:.1f}"
        name = random_word(generator, 1, 2)
        cv2.putText(canvas, name, (left + 4, y - 4), cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)
        at = (left + int(0.62 * (right - left)), y - 4)
        cv2.putText(canvas, number, at, cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)


def draw_bar_code(
    canvas: Canvas, box: tuple[float, float, float, float], generator: np.random.Generator
) -> None:
    """Black bars of several widths on white."""
    draw_panel(canvas, box, (255, 255, 255))
    left, top, right, bottom = _to_px(canvas, box)
    x = left + 4
    while x < right - 6:
        width = int(generator.integers(1, 5))
        canvas[top + 3 : bottom - 3, x : min(x + width, right - 3)] = BLACK
        x += width + int(generator.integers(1, 5))


def _to_px(canvas: Canvas, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    rows, columns = canvas.shape[:2]
    left, top, right, bottom = box
    return int(left * columns), int(top * rows), int(right * columns), int(bottom * rows)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a colour given by hue (wraps at 1), saturation and value (0-1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)
