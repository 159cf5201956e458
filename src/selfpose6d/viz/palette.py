"""The colours of everything we draw, RGB 0-255: a pose by its certificate, axes x y z as red green blue."""

STATUS_RGB = {
    "certified": (46, 204, 113),
    "ambiguous": (255, 170, 0),
    "rejected": (255, 72, 72),
    "": (64, 156, 255),
}
"""By certificate status; "" is a pose without certificate."""
TRUTH_RGB = (255, 255, 255)
AXES_RGB = ((255, 70, 70), (70, 220, 70), (90, 120, 255))
BACKGROUND_RGB = (24, 26, 30)
TEXT_RGB = (235, 235, 235)


def to_hex(rgb: tuple[int, int, int]) -> str:
    """As plots and HTML take it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)
