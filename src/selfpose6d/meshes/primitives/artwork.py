"""Product labels drawn from a seed: ground colours, brand words, pictures, text, tables and bar codes."""

from dataclasses import dataclass

import numpy as np

from selfpose6d.meshes.primitives.marks import (
    BLACK,
    WHITE,
    Canvas,
    Colour,
    draw_badge,
    draw_band,
    draw_bar_code,
    draw_goods,
    draw_panel,
    draw_paragraph,
    draw_stripes,
    draw_table,
    draw_text,
    gradient,
    hsv,
    print_grain,
    random_word,
)


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
    second = hsv(
        hue + generator.uniform(-0.12, 0.12), generator.uniform(0.3, 0.8), generator.uniform(0.3, 1.0)
    )
    return Brand(ground, accent, second, random_word(generator, 2, 3).upper())


def draw_front(width_px: int, height_px: int, brand: Brand, generator: np.random.Generator) -> Canvas:
    """The face with the large name, a swung band, a picture of the goods and a badge."""
    canvas = gradient(width_px, height_px, brand.ground, brand.second)
    draw_band(canvas, brand.accent, generator.uniform(0.45, 0.6), generator.uniform(0.08, 0.2), generator)
    draw_goods(canvas, (0.5, generator.uniform(0.68, 0.78)), 0.32 * min(width_px, height_px), generator)
    draw_text(canvas, brand.name, (0.5, generator.uniform(0.12, 0.2)), 0.86, WHITE, bold=True)
    draw_text(canvas, random_word(generator, 2, 3), (0.5, 0.3), 0.5, brand.accent, bold=True)
    draw_badge(
        canvas, (generator.uniform(0.18, 0.3), 0.46), 0.11 * min(width_px, height_px), brand.accent, generator
    )
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
