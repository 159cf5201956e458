"""Instances side by side, three tiles each: the observed image, the rendering at the pose, and its outline."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.viz.overlay import DrawnPose, draw_text, printable
from selfpose6d.viz.palette import BACKGROUND_RGB, STATUS_RGB, TEXT_RGB
from selfpose6d.viz.tiles import crop_tile, outline_tile, rendering_tile

TILE_PX = 208
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
    outline = outline_tile(meshes, observed, K_crop, entry.pose, entry.T_cam_obj_true)
    tiles = np.concatenate([observed, rendering_tile(meshes, entry.pose, K_crop, TILE_PX), outline], axis=1)
    if entry.pose.label:
        draw_text(tiles, entry.pose.label, 0, 0, STATUS_RGB[entry.pose.status])
    lines = len(entry.captions) if caption_lines is None else caption_lines
    return np.concatenate([tiles, _caption(entry.captions, tiles.shape[1], lines)]) if lines else tiles


def crop_around(
    meshes: PackedMeshes, entry: SheetEntry
) -> tuple[UInt8[np.ndarray, "tile tile 3"], Float[np.ndarray, "3 3"]]:
    """A square around the object and its true position, with its camera matrix; the image if out of view."""
    return crop_tile(meshes, entry.rgb, entry.K, entry.poses, TILE_PX)


def _caption(lines: Sequence[str], width_px: int, count: int) -> np.ndarray:
    area = _ground(CAPTION_PX * count + 4, width_px)
    for index, line in enumerate(lines):
        at = (2, (index + 1) * CAPTION_PX - 4)
        cv2.putText(area, printable(line), at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, TEXT_RGB, 1, cv2.LINE_AA)
    return area


def _ground(height_px: int, width_px: int) -> np.ndarray:
    return np.full((height_px, width_px, 3), BACKGROUND_RGB, np.uint8)
