"""The colours of everything we draw, RGB 0-255: a pose by its certificate, axes x y z as red green blue."""

Colour = tuple[int, int, int]

STATUS_RGB: dict[str, Colour] = {
    "certified": (46, 204, 113),
    "ambiguous": (255, 170, 0),
    "rejected": (255, 72, 72),
    "": (64, 156, 255),
}
"""By certificate status; "" is a pose without certificate."""
TRUTH_RGB = (255, 255, 255)
MASK_RGB = (255, 0, 220)
OTHER_RUN_RGB = (0, 200, 255)
AXES_RGB = ((255, 70, 70), (70, 220, 70), (90, 120, 255))
BACKGROUND_RGB = (24, 26, 30)
TEXT_RGB = (235, 235, 235)
AXIS_LENGTH_RATIO = 0.6
"""Of the object's radius: the axes of a pose stay within its outline."""
