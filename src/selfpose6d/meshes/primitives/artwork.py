"""Product labels drawn from a seed: brand words, pictures, text, tables and bar codes, drawn with OpenCV."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

Canvas = UInt8[np.ndarray, "_ _ 3"]
Colour = tuple[int, int, int]
Point = tuple[float, float]
"""x, y as fractions of the face's width and height."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom as fractions of the face's width and height."""

# 0.3 mm a texel: finer than a pixel at the nearest distance, 0.6 m
PX_PER_M = 3000.0
SYLLABLES = "ka ro mi ve lu tan dor sel bri no pal chi zu gra fe mo"
WHITE: Colour = (244, 243, 238)
BLACK: Colour = (24, 22, 26)


@dataclass(frozen=True)
class Brand:
    """What all faces of one product share: RGB colours and its name."""

    ground: Colour
    accent: Colour
    second: Colour
    name: str


def random_brand(generator: np.random.Generator) -> Brand:
    """A saturated ground, an accent from across the colour circle, and a pronounceable name."""
    hue = generator.random()
    ground = hsv(hue, generator.uniform(0.55, 0.95), generator.uniform(0.45, 0.9))
    accent = hsv(hue + generator.uniform(0.3, 0.7), generator.uniform(0.6, 1.0), generator.uniform(0.75, 1.0))
    near = hue + generator.uniform(-0.12, 0.12)
    second = hsv(near, generator.uniform(0.3, 0.8), generator.uniform(0.3, 1.0))
    return Brand(ground, accent, second, random_word(generator, 2, 3).upper())


def draw_front(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """The face with the large name, a swung band, a picture of the goods and a badge."""
    canvas = gradient(width_px, height_px, brand.ground, brand.second)
    draw_band(canvas, brand.accent, generator.uniform(0.45, 0.6), generator.uniform(0.08, 0.2), generator)
    draw_goods(canvas, (0.5, generator.uniform(0.68, 0.78)), 0.32 * min(width_px, height_px), generator)
    draw_text(canvas, brand.name, (0.5, generator.uniform(0.12, 0.2)), 0.86, WHITE, bold=True)
    draw_text(canvas, random_word(generator, 2, 3), (0.5, 0.3), 0.5, brand.accent, bold=True)
    corner = (generator.uniform(0.18, 0.3), 0.46)
    draw_badge(canvas, corner, 0.11 * min(width_px, height_px), brand.accent, generator)
    draw_text(canvas, f"{generator.integers(2, 99) * 10} g", (generator.uniform(0.7, 0.85), 0.95), 0.2, WHITE)
    return print_grain(canvas, generator)


def draw_back(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """The face with a small name, paragraphs, a table and a bar code on a pale ground."""
    canvas = gradient(width_px, height_px, WHITE, (222, 218, 205))
    header = int(height_px * generator.uniform(0.14, 0.2))
    canvas[:header] = brand.ground
    draw_text(canvas, brand.name, (0.36, 0.5 * header / height_px), 0.6, WHITE, bold=True)
    draw_paragraph(canvas, (0.06, 0.2, 0.9, 0.42), BLACK, generator)
    draw_table(canvas, (0.06, 0.46, 0.55, 0.95), generator)
    draw_bar_code(canvas, (0.64, 0.74, 0.94, 0.93), generator)
    draw_badge(canvas, (0.78, 0.57), 0.1 * min(width_px, height_px), brand.accent, generator)
    return print_grain(canvas, generator)


def draw_side(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """A narrow face: the name runs along the long edge, between stripes and a text block."""
    canvas = gradient(width_px, height_px, brand.second, brand.ground)
    draw_stripes(canvas, brand.accent, generator)
    lengthwise = (
        np.ascontiguousarray(np.rot90(canvas, generator.choice([1, 3]))) if height_px > width_px else canvas
    )
    draw_text(lengthwise, brand.name, (generator.uniform(0.27, 0.34), 0.5), 0.46, WHITE, bold=True)
    left = generator.uniform(0.6, 0.66)
    draw_panel(lengthwise, (left, 0.12, 0.95, 0.88), WHITE)
    draw_paragraph(lengthwise, (left + 0.02, 0.18, 0.93, 0.84), BLACK, generator)
    canvas = np.ascontiguousarray(np.rot90(lengthwise)) if height_px > width_px else lengthwise
    return print_grain(canvas, generator)


def draw_lid(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """A small face: ground colour, the name off the middle, a corner mark and a few stripes."""
    canvas = gradient(width_px, height_px, brand.ground, brand.ground)
    draw_stripes(canvas, brand.second, generator)
    draw_text(canvas, brand.name, (0.5, generator.uniform(0.3, 0.7)), 0.7, WHITE, bold=True)
    corner = (generator.choice([0.14, 0.86]), generator.choice([0.2, 0.8]))
    draw_badge(canvas, corner, 0.14 * min(width_px, height_px), brand.accent, generator)
    return print_grain(canvas, generator)


def draw_wrap(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """A label around a round body: front, text and picture panels, no seam in the ground colour."""
    canvas = gradient(width_px, height_px, brand.ground, brand.second)
    draw_band(canvas, brand.accent, generator.uniform(0.4, 0.7), 0.12, generator, periodic=True)
    third = width_px // 3
    front = np.ascontiguousarray(canvas[:, :third])
    draw_text(front, brand.name, (0.5, 0.2), 0.92, WHITE, bold=True)
    draw_goods(front, (0.5, 0.66), 0.3 * min(third, height_px), generator)
    text = np.ascontiguousarray(canvas[:, third : 2 * third])
    draw_panel(text, (0.1, 0.12, 0.9, 0.88), WHITE)
    draw_paragraph(text, (0.14, 0.16, 0.86, 0.5), BLACK, generator)
    draw_table(text, (0.14, 0.55, 0.6, 0.85), generator)
    draw_bar_code(text, (0.64, 0.55, 0.88, 0.85), generator)
    picture = np.ascontiguousarray(canvas[:, 2 * third :])
    draw_badge(picture, (0.5, 0.34), 0.24 * min(third, height_px), brand.accent, generator)
    draw_text(picture, random_word(generator, 2, 3), (0.5, 0.8), 0.7, WHITE, bold=True)
    return print_grain(np.concatenate([front, text, picture], axis=1), generator)


def random_word(generator: np.random.Generator, least: int, most: int) -> str:
    """A pronounceable word of `least` to `most` syllables."""
    return "".join(generator.choice(SYLLABLES.split(), size=generator.integers(least, most + 1)))


def gradient(width_px: int, height_px: int, top: Colour, bottom: Colour) -> Canvas:
    """A ground that changes from one colour to another, down the face."""
    along = np.linspace(0, 1, height_px)[:, None, None]
    mixed = np.array(top) * (1 - 0.6 * along) + np.array(bottom) * 0.6 * along
    return np.ascontiguousarray(np.broadcast_to(mixed, (height_px, width_px, 3)).astype(np.uint8))


def print_grain(canvas: Canvas, generator: np.random.Generator) -> Canvas:
    """Faint blotches and grain, as ink on board has."""
    rows, columns = canvas.shape[:2]
    coarse = generator.normal(0, 5.0, (rows // 24 + 2, columns // 24 + 2)).astype(np.float32)
    fine = generator.normal(0, 2.0, (rows, columns)).astype(np.float32)
    noise = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC) + fine
    return np.clip(canvas + noise[..., None], 0, 255).astype(np.uint8)


def draw_text(
    canvas: Canvas, text: str, centre: Point, width: float, colour: Colour, bold: bool = False
) -> None:
    """Write one line; `width` is a fraction of the face's. Bold text casts a shadow."""
    rows, columns = canvas.shape[:2]
    font = cv2.FONT_HERSHEY_DUPLEX if bold else cv2.FONT_HERSHEY_SIMPLEX
    (unit_px, unit_height_px), _ = cv2.getTextSize(text, font, 1.0, 1)
    scale = min(width * columns / unit_px, 0.5 * rows / unit_height_px)
    x = int(centre[0] * columns - 0.5 * scale * unit_px)
    y = int(centre[1] * rows + 0.5 * scale * unit_height_px)
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


def draw_goods(canvas: Canvas, centre: Point, radius_px: float, generator: np.random.Generator) -> None:
    """A heap of shaded round shapes in two tones."""
    rows, columns = canvas.shape[:2]
    hue, count = generator.random(), generator.integers(7, 14)
    for _ in range(count):
        angle, away = generator.uniform(0, 2 * np.pi), radius_px * np.sqrt(generator.random())
        x, y = centre[0] * columns + away * np.cos(angle), centre[1] * rows + 0.7 * away * np.sin(angle)
        size = radius_px * generator.uniform(0.2, 0.42)
        axes, angle_deg = (int(size), int(size * generator.uniform(0.6, 1))), float(generator.uniform(0, 180))
        tone = hue + generator.choice([0.0, 0.08, 0.45])
        for shrink, value in ((1.0, 0.35), (0.9, 0.7), (0.5, 0.92)):
            inner = (max(1, int(axes[0] * shrink)), max(1, int(axes[1] * shrink)))
            at = (int(x - (1 - shrink) * 0.3 * size), int(y - (1 - shrink) * 0.3 * size))
            cv2.ellipse(canvas, at, inner, angle_deg, 0, 360, hsv(tone, 0.75, value), -1, cv2.LINE_AA)


def draw_badge(
    canvas: Canvas, centre: Point, radius_px: float, colour: Colour, generator: np.random.Generator
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
        far = y + slope * columns
        ends = [[0, y - half], [columns, far - half], [columns, far + half], [0, y + half]]
        cv2.fillPoly(canvas, [np.round(ends).astype(np.int32)], colour, cv2.LINE_AA)


def draw_panel(canvas: Canvas, box: Box, colour: Colour) -> None:
    """A filled rectangle."""
    left, top, right, bottom = _to_px(canvas, box)
    cv2.rectangle(canvas, (left, top), (right, bottom), colour, -1)


def draw_paragraph(canvas: Canvas, box: Box, colour: Colour, generator: np.random.Generator) -> None:
    """Lines of small words inside `box`."""
    left, top, right, bottom = _to_px(canvas, box)
    line_px = max(9, (bottom - top) // 9)
    for y in range(top + line_px, bottom, line_px):
        words = " ".join(random_word(generator, 1, 3) for _ in range(12))
        fits = max(2, int((right - left) / (0.62 * line_px)))
        line = words[: int(fits * generator.uniform(0.7, 1.0))]
        cv2.putText(canvas, line, (left, y), cv2.FONT_HERSHEY_SIMPLEX, line_px / 36, colour, 1, cv2.LINE_AA)


def draw_table(canvas: Canvas, box: Box, generator: np.random.Generator) -> None:
    """A ruled table of words and numbers."""
    left, top, right, bottom = _to_px(canvas, box)
    cv2.rectangle(canvas, (left, top), (right, bottom), BLACK, 2)
    rows = int(generator.integers(5, 8))
    for index, y in enumerate(np.linspace(top, bottom, rows + 1)[1:].astype(int)):
        cv2.line(canvas, (left, y), (right, y), BLACK, 2 if index == 0 else 1)
        size = (bottom - top) / rows / 40
        amount = f"{generator.integers(1, 999) / 10:.1f}"
        name = random_word(generator, 1, 2)
        cv2.putText(canvas, name, (left + 4, y - 4), cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)
        at = (left + int(0.62 * (right - left)), y - 4)
        cv2.putText(canvas, amount, at, cv2.FONT_HERSHEY_SIMPLEX, size, BLACK, 1, cv2.LINE_AA)


def draw_bar_code(canvas: Canvas, box: Box, generator: np.random.Generator) -> None:
    """Black bars of several widths on white."""
    draw_panel(canvas, box, (255, 255, 255))
    left, top, right, bottom = _to_px(canvas, box)
    x = left + 4
    while x < right - 6:
        width = int(generator.integers(1, 5))
        canvas[top + 3 : bottom - 3, x : min(x + width, right - 3)] = BLACK
        x += width + int(generator.integers(1, 5))


def _to_px(canvas: Canvas, box: Box) -> tuple[int, int, int, int]:
    rows, columns = canvas.shape[:2]
    left, top, right, bottom = box
    return int(left * columns), int(top * rows), int(right * columns), int(bottom * rows)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB of a colour given by hue (wraps at 1), saturation and value (0-1)."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return int(255 * red), int(255 * green), int(255 * blue)
