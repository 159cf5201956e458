"""Instances side by side, three tiles each: the observed image, the rendering at the pose, and its outline."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from selfpose6d.geometry.camera import CropBox, crop_intrinsics
from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.render import render
from selfpose6d.viz.overlay import DrawnPose, draw_axes, draw_outline, draw_text, silhouettes
from selfpose6d.viz.palette import BACKGROUND_RGB, STATUS_RGB, TEXT_RGB, TRUTH_RGB

TILE_PX = 208
# on each side of the object, of its longer side
MARGIN_RATIO = 0.15
CAPTION_PX = 17
GAP_PX = 10


@dataclass(frozen=True)
class SheetEntry:
    """One instance: its image, the pose to show, lines of text, and the true pose where it is known."""

    rgb: UInt8[np.ndarray, "height width 3"]
    K: Float[np.ndarray, "3 3"]
    pose: DrawnPose
    captions: tuple[str, ...]
    T_cam_obj_true: Float[np.ndarray, "4 4"] | None = None

    @property
    def poses(self) -> list[DrawnPose]:
        """The pose to show, then the true one where it is known."""
        known = [] if self.T_cam_obj_true is None else [self.T_cam_obj_true]
        return [self.pose, *(DrawnPose(self.pose.mesh_index, T) for T in known)]


def draw_contact_sheet(
    meshes: PackedMeshes, entries: Sequence[SheetEntry], columns: int = 2
) -> UInt8[np.ndarray, "rows columns 3"]:
    """All entries in a grid; the true outline, where known, is white.

    Raises:
        ValueError: there are no entries.
    """
    if not entries:
        raise ValueError("a contact sheet needs at least one entry")
    lines = max(len(entry.captions) for entry in entries)
    strips = [draw_strip(meshes, entry, lines) for entry in entries]
    height, width = strips[0].shape[:2]
    columns = min(columns, len(strips))
    rows = -(-len(strips) // columns)
    sheet = _ground(rows * (height + GAP_PX) + GAP_PX, columns * (width + GAP_PX) + GAP_PX)
    for index, strip in enumerate(strips):
        top = GAP_PX + index // columns * (height + GAP_PX)
        left = GAP_PX + index % columns * (width + GAP_PX)
        sheet[top : top + height, left : left + width] = strip
    return sheet


def draw_strip(
    meshes: PackedMeshes, entry: SheetEntry, caption_lines: int | None = None
) -> UInt8[np.ndarray, "rows columns 3"]:
    """One instance: observed image, rendering and outline in a row, its captions underneath."""
    observed, K_crop = crop_around(meshes, entry)
    outline, colour = observed.copy(), STATUS_RGB[entry.pose.status]
    estimated, *true = silhouettes(meshes, entry.poses, K_crop, outline.shape[:2])
    for mask in true:
        draw_outline(outline, mask, TRUTH_RGB, 1)
    draw_outline(outline, estimated, colour)
    draw_axes(outline, K_crop, meshes, entry.pose)
    tiles = np.concatenate([observed, _rendering(meshes, entry.pose, K_crop), outline], axis=1)
    if entry.pose.label:
        draw_text(tiles, entry.pose.label, 0, 0, colour)
    lines = len(entry.captions) if caption_lines is None else caption_lines
    return np.concatenate([tiles, _caption(entry.captions, tiles.shape[1], lines)]) if lines else tiles


def crop_around(
    meshes: PackedMeshes, entry: SheetEntry
) -> tuple[UInt8[np.ndarray, "tile tile 3"], Float[np.ndarray, "3 3"]]:
    """A square around the object and its true position, with its camera matrix; the image if out of view."""
    height, width = entry.rgb.shape[:2]
    _, rows, columns = np.nonzero(silhouettes(meshes, entry.poses, entry.K, (height, width)))
    if not len(rows):
        rows, columns = np.array([0, height - 1]), np.array([0, width - 1])
    side = max(np.ptp(rows), np.ptp(columns)) * (1 + 2 * MARGIN_RATIO) + 8
    left, top = ((x.min() + x.max() - side + 1) / 2 for x in (columns, rows))
    box = CropBox(float(left), float(top), float(side))
    K_crop = crop_intrinsics(torch.from_numpy(np.asarray(entry.K, np.float64)), box, TILE_PX).numpy()
    A = K_crop @ np.linalg.inv(entry.K)
    interpolation = cv2.INTER_AREA if side > TILE_PX else cv2.INTER_CUBIC
    size = (TILE_PX, TILE_PX)
    crop = cv2.warpAffine(entry.rgb, A[:2], size, flags=interpolation, borderValue=BACKGROUND_RGB)
    return np.asarray(crop, np.uint8), K_crop


def _rendering(meshes: PackedMeshes, pose: DrawnPose, K: np.ndarray) -> UInt8[np.ndarray, "tile tile 3"]:
    T, K_tile = (torch.from_numpy(matrix).float() for matrix in (pose.T_cam_obj[None], K))
    posed = PosedMeshes.of_one(meshes, pose.mesh_index, T, K_tile, (TILE_PX, TILE_PX))
    rendering = render(posed, supersample=2)
    coverage = rendering.mask[0, ..., None].numpy()
    rgb = 255 * rendering.rgb[0].numpy() + (1 - coverage) * np.array(BACKGROUND_RGB)
    return np.rint(rgb).clip(0, 255).astype(np.uint8)


def _caption(lines: Sequence[str], width_px: int, count: int) -> np.ndarray:
    area = _ground(CAPTION_PX * count + 4, width_px)
    for index, line in enumerate(lines):
        at = (2, (index + 1) * CAPTION_PX - 4)
        cv2.putText(area, line, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, TEXT_RGB, 1, cv2.LINE_AA)
    return area


def _ground(height_px: int, width_px: int) -> np.ndarray:
    return np.full((height_px, width_px, 3), BACKGROUND_RGB, np.uint8)
