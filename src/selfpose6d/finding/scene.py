"""One frame, prepared for finding: its surface, its support planes, its colours."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from selfpose6d.finding.looks import image_lab
from selfpose6d.finding.support import Plane, find_planes
from selfpose6d.finding.surface import Surface
from selfpose6d.labeling.observation import ObservedFrame
from selfpose6d.types import Frame

CLOSED_PX = 7
"""Gaps of unknown depth up to this wide, within a piece, are the piece."""


@dataclass(frozen=True)
class Scene:
    """Everything about a frame that no object changes."""

    seen: ObservedFrame
    surface: Surface
    planes: list[Plane]
    on_plane: Bool[np.ndarray, "rows columns"]
    """Pixels of the grid on any of them."""
    lab: Float[np.ndarray, "rows columns 3"]

    @classmethod
    def of(cls, frame: Frame, largest_m: float, noise_m: float | None = None) -> "Scene":
        """`largest_m`: the greatest diameter of an object; `noise_m`: of the depth, None: measured."""
        seen = ObservedFrame.of(frame, noise_m)
        surface = Surface.of(seen)
        planes = find_planes(surface, largest_m)
        on_plane = np.zeros(surface.known.shape, bool)
        for plane in planes:
            on_plane |= plane.on_it
        return cls(seen, surface, planes, on_plane, image_lab(frame.rgb, surface.step_px))

    @property
    def focal_px(self) -> float:
        """Of the image."""
        return float(self.seen.frame.K[0, 0])

    def mask_of(self, piece: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "height width"]:
        """A piece of the surface as a mask of the image; what has no depth within it belongs to it."""
        mask = self.surface.to_image(piece)
        closed = cv2.morphologyEx(
            mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((CLOSED_PX, CLOSED_PX), np.uint8)
        )
        return mask | (closed.astype(bool) & (self.seen.depth_m == 0))
