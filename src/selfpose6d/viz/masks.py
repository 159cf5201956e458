"""Masks drawn into the image: what was found, in its status' colour, and boxes of what was turned away."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from selfpose6d.viz.overlay import Box, draw_label, draw_outline
from selfpose6d.viz.palette import STATUS_RGB

FILL = 0.35
"""Of a mask's colour in its pixels."""
AWAY_RGB = (150, 150, 150)


@dataclass(frozen=True)
class DrawnMask:
    """A found object's visible pixels, what it is called, and its certificate's status."""

    mask: Bool[np.ndarray, "height width"]
    label: str
    status: str


@dataclass(frozen=True)
class DrawnBox:
    """Where something was turned away: [x, y, width, height] in pixels, and what."""

    bbox_px: tuple[int, int, int, int]
    label: str


def draw_masks(
    rgb: UInt8[np.ndarray, "height width 3"], masks: Sequence[DrawnMask], boxes: Sequence[DrawnBox]
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of the image with every mask filled and outlined, and the boxes thin and grey beneath them."""
    image = np.ascontiguousarray(rgb).copy()
    for box in boxes:
        x, y, width, height = box.bbox_px
        cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), AWAY_RGB, 1, cv2.LINE_AA)
    for one in masks:
        colour = np.array(STATUS_RGB[one.status], np.float32)
        image[one.mask] = ((1 - FILL) * image[one.mask] + FILL * colour).astype(np.uint8)
    for one in masks:
        draw_outline(image, one.mask, STATUS_RGB[one.status], 1)
    taken: list[Box] = []
    for one in masks:
        if one.mask.any():
            taken.append(draw_label(image, one.mask, one.label, STATUS_RGB[one.status], taken))
    return image
