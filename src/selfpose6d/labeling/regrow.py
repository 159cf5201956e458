"""The mask grown again from poses: the pixels where measured and rendered depth are the same surface.

A detector's mask has foreign pixels, holes and a displaced outline; a box is hardly a mask at all. Where a pose is
known, depth says by itself which pixels show the object.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.labeling.observation import Observation, sample_box
from selfpose6d.labeling.silhouette import whole_object_box
from selfpose6d.objects.object_model import COARSE_MESH
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize

MAX_SIDE_PX = 192
"""Of the window that is rendered; larger objects are sampled more coarsely, to half a per cent of their size."""
MIN_PART = 0.05
"""Connected parts smaller than this, of the largest, are coincidences of depth along an edge."""

AROUND_PX = 15
"""Of the window, looked at around a pixel of unknown depth."""
CLOSED_PX = 5
"""Gaps of what a pose shows that are this narrow are depth's, not an occluder's."""


@dataclass(frozen=True)
class Explained:
    """What poses explain of the image, in a window of it. Depth 0 is unknown."""

    window: CropBox
    covered: Bool[np.ndarray, "poses size size"]
    """Rendered there."""
    agrees: Bool[np.ndarray, "poses size size"]
    """Measured and rendered depth are the same surface."""
    behind: Bool[np.ndarray, "poses size size"]
    """The measured surface lies behind the rendered one: what is rendered there is not there."""
    unknown: Bool[np.ndarray, "size size"]
    """Depth was not measured."""
    mask: Bool[np.ndarray, "size size"]
    """The observation's mask."""

    def visible(self, pose: int = 0) -> Bool[np.ndarray, "size size"]:
        """The pixels that show the object at this pose: explained, or rendered in the mask where depth is unknown."""
        return self.agrees[pose] | (self.covered[pose] & self.unknown & self.mask)

    def prompt(self, mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "size size"]:
        """A mask of the whole image in this window."""
        return sample_box(mask.astype(np.uint8), self.window, len(self.unknown), smooth=False).astype(bool)

    def shown(self) -> Bool[np.ndarray, "size size"]:
        """The pixels that show the object at the first pose, whatever the mask: explained, or rendered where depth is
        unknown and most of what is known around agrees.
        """
        agrees, behind = self.agrees[0], self.behind[0]
        in_front = self.covered[0] & ~agrees & ~behind & ~self.unknown
        around = [
            cv2.blur(one.astype(np.float32), (AROUND_PX, AROUND_PX)) for one in (agrees, behind | in_front)
        ]
        shown = agrees | (self.covered[0] & self.unknown & (around[0] > around[1]))
        closed = cv2.morphologyEx(
            shown.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((CLOSED_PX, CLOSED_PX), np.uint8)
        )
        return closed.astype(bool) & self.covered[0]

    def in_image(
        self, mask: Bool[np.ndarray, "size size"], shape: tuple[int, int]
    ) -> Bool[np.ndarray, "height width"]:
        """A mask of this window in the whole image of `shape` (height, width)."""
        step = self.window.side_px / len(mask)
        first = 0.5 * step - 0.5
        to_image = np.array([[step, 0, self.window.left_px + first], [0, step, self.window.top_px + first]])
        return cv2.warpAffine(mask.astype(np.uint8), to_image, shape[::-1], flags=cv2.INTER_NEAREST).astype(
            bool
        )

    def regrown(self) -> Bool[np.ndarray, "size size"]:
        """The first pose's visible pixels and what any other explains of the mask, without holes and crumbs."""
        grown = self.visible() | (self.agrees.any(0) & self.mask)
        kernel = np.ones((3, 3), np.uint8)
        closed = cv2.morphologyEx(grown.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
        closed = closed * self.covered.any(0).astype(np.uint8)
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(closed)
        area = statistics[:, cv2.CC_STAT_AREA].copy()
        area[0] = 0
        return (area >= max(MIN_PART * area.max(), 1))[labels]


def explain(observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"]) -> Explained:
    """Render the poses, whole objects, into a window of the image and compare depth with depth."""
    model = observation.model
    window = _window(observation, T_cam_obj)
    size_px = int(min(MAX_SIDE_PX, max(32, round(window.side_px))))
    K = crop_intrinsics(observation.K, window, size_px)
    posed = PosedMeshes.of_one(model.packed, COARSE_MESH, T_cam_obj, K, (size_px, size_px))
    raster = rasterize(posed)
    rendered_m = raster.depth_m.cpu().numpy()
    covered = (raster.face_id >= 0).cpu().numpy()
    measured_m = sample_box(observation.depth_m, window, size_px, smooth=False)
    known = measured_m > 0
    gap_m = measured_m - rendered_m
    agrees = covered & known & (np.abs(gap_m) < observation.lengths.agree_m)
    behind = covered & known & (gap_m >= observation.lengths.agree_m)
    mask = sample_box(observation.mask.astype(np.uint8), window, size_px, smooth=False).astype(bool)
    inside = sample_box(np.ones(observation.image_shape, np.uint8), window, size_px, smooth=False).astype(
        bool
    )
    return Explained(window, covered & inside, agrees, behind, ~known & inside, mask)


def regrow(observation: Observation, explained: Explained) -> Bool[np.ndarray, "height width"]:
    """The regrown mask in the whole image."""
    return explained.in_image(explained.regrown(), observation.image_shape)


def _window(observation: Observation, T_cam_obj: Float[Tensor, "poses 4 4"]) -> CropBox:
    """The square that holds every pose's whole silhouette and the mask, as far as the image reaches."""
    boxes = [whole_object_box(observation.K, T, observation.model) for T in T_cam_obj]
    x, y, w, h = cv2.boundingRect(observation.mask.astype(np.uint8))
    left = min([float(x), *(box.left_px for box in boxes)])
    top = min([float(y), *(box.top_px for box in boxes)])
    right = max([float(x + w), *(box.left_px + box.side_px for box in boxes)])
    bottom = max([float(y + h), *(box.top_px + box.side_px for box in boxes)])
    height, width = observation.image_shape
    left, right = max(left, 0.0), min(right, float(width))
    top, bottom = max(top, 0.0), min(bottom, float(height))
    side = max(right - left, bottom - top, 1.0)
    return CropBox(0.5 * (left + right - side), 0.5 * (top + bottom - side), side)
