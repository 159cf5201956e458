"""Estimated poses drawn into the image: the mesh's outline, its axes, and what is claimed of it."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from selfpose6d.renderer.packed import PackedMeshes
from selfpose6d.renderer.posed import PosedMeshes
from selfpose6d.renderer.rasterize import rasterize
from selfpose6d.viz.palette import AXES_RGB, AXIS_LENGTH_RATIO, STATUS_RGB, TEXT_RGB, Colour

FONT, FONT_SCALE, TEXT_PADDING_PX = cv2.FONT_HERSHEY_SIMPLEX, 0.42, 3
LABEL_HEIGHT_PX = 18
"""From one line of `draw_text` to the next."""
# binary digits after the point of the coordinates that OpenCV draws between pixels
SUBPIXEL_BITS = 4
Box = tuple[int, int, int, int]
"""Left, top, right, bottom of a label, pixels."""


@dataclass(frozen=True)
class DrawnPose:
    """One pose to draw: which packed mesh, where, its label and its certificate's status ("" if none)."""

    mesh_index: int
    T_cam_obj: Float[np.ndarray, "4 4"]
    label: str = ""
    status: str = ""


def pose_label(obj: str, status: str, confidence: float) -> str:
    """What stands at a pose: the object's label, its status where it is not certified, its confidence."""
    words = [obj, "" if status == "certified" else status, f"{confidence:.2f}"]
    return " ".join(filter(None, words))


def draw_overlay(
    rgb: UInt8[np.ndarray, "height width 3"],
    K: Float[np.ndarray, "3 3"],
    meshes: PackedMeshes,
    poses: Sequence[DrawnPose],
) -> UInt8[np.ndarray, "height width 3"]:
    """A copy of the image with every pose's outline, axes and label. Hidden parts are drawn too."""
    image = np.ascontiguousarray(rgb).copy()
    masks = silhouettes(meshes, poses, K, rgb.shape[:2])
    for pose, mask in zip(poses, masks, strict=True):
        draw_outline(image, mask, STATUS_RGB[pose.status])
    for pose in poses:
        draw_axes(image, K, meshes, pose)
    taken: list[Box] = []
    for pose, mask in zip(poses, masks, strict=True):
        if mask.any() and pose.label:
            taken.append(draw_label(image, mask, pose.label, STATUS_RGB[pose.status], taken))
    return image


def silhouettes(
    meshes: PackedMeshes, poses: Sequence[DrawnPose], K: Float[np.ndarray, "3 3"], shape: tuple[int, int]
) -> Bool[np.ndarray, "poses height width"]:
    """The pixels that each mesh covers, alone in the image."""
    if not poses:
        return np.zeros((0, *shape), bool)
    posed = PosedMeshes(
        meshes,
        torch.tensor([pose.mesh_index for pose in poses]),
        torch.from_numpy(np.stack([pose.T_cam_obj for pose in poses])).float(),
        torch.from_numpy(np.asarray(K)).float().expand(len(poses), 3, 3),
        *shape,
    )
    return (rasterize(posed).face_id >= 0).numpy()


def draw_outline(
    image: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"],
    rgb: Colour,
    thickness_px: int = 2,
) -> None:
    """Draw the border of `mask` into `image`, on a dark line that keeps it visible on any ground."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.polylines(image, contours, True, (0, 0, 0), thickness_px + 2, cv2.LINE_AA)
    cv2.polylines(image, contours, True, rgb, thickness_px, cv2.LINE_AA)


def draw_axes(
    image: UInt8[np.ndarray, "height width 3"],
    K: Float[np.ndarray, "3 3"],
    meshes: PackedMeshes,
    pose: DrawnPose,
) -> None:
    """Draw the object's x, y, z axes from the middle of its bounding box; nothing behind the camera."""
    centre_m, radius_m = _extent(meshes, pose.mesh_index)
    ends_m = centre_m + np.concatenate([np.zeros((1, 3)), np.eye(3)]) * radius_m * AXIS_LENGTH_RATIO
    ends_cam_m = ends_m @ pose.T_cam_obj[:3, :3].T + pose.T_cam_obj[:3, 3]
    if ends_cam_m[:, 2].min() <= 0:
        return
    homogeneous = ends_cam_m @ np.asarray(K).T
    uv = np.rint(homogeneous[:, :2] / homogeneous[:, 2:] * 2**SUBPIXEL_BITS)
    if np.abs(uv).max() > 2**30:  # OpenCV takes 32-bit integers
        return
    origin, *tips = (tuple(map(int, point)) for point in uv)
    for tip, rgb in zip(tips, AXES_RGB, strict=True):
        cv2.line(image, origin, tip, (0, 0, 0), 4, cv2.LINE_AA, SUBPIXEL_BITS)
        cv2.line(image, origin, tip, rgb, 2, cv2.LINE_AA, SUBPIXEL_BITS)


def draw_text(
    image: UInt8[np.ndarray, "height width 3"], text: str, left_px: int, top_px: int, rgb: Colour
) -> None:
    """Write a line of text on a dark box whose upper left corner is given."""
    text = printable(text)
    (width, height), baseline = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    right_px, bottom_px = left_px + width + 2 * TEXT_PADDING_PX, top_px + height + baseline + TEXT_PADDING_PX
    cv2.rectangle(image, (left_px, top_px), (right_px, bottom_px), (18, 18, 18), cv2.FILLED)
    cv2.rectangle(image, (left_px, top_px), (left_px + 2, bottom_px), rgb, cv2.FILLED)
    at = (left_px + TEXT_PADDING_PX + 2, top_px + height + TEXT_PADDING_PX)
    cv2.putText(image, text, at, FONT, FONT_SCALE, TEXT_RGB, 1, cv2.LINE_AA)


def printable(text: str) -> str:
    """The text in the letters that OpenCV has (ASCII): accents are left out, other letters are a question mark."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c if " " <= c <= "~" else "?" for c in plain if not unicodedata.combining(c))


def draw_label(
    image: UInt8[np.ndarray, "height width 3"],
    mask: Bool[np.ndarray, "height width"],
    text: str,
    rgb: Colour,
    taken: Sequence[Box],
) -> Box:
    """Write above the outline, lower where another label stands; gives the box: left, top, right, bottom."""
    text = printable(text)
    (text_width, text_height), baseline = cv2.getTextSize(text, FONT, FONT_SCALE, 1)
    width, height = text_width + 2 * TEXT_PADDING_PX + 2, text_height + baseline + TEXT_PADDING_PX + 1
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left = int(np.clip((columns[0] + columns[-1] - width) // 2, 0, max(0, image.shape[1] - width - 1)))
    top = int(np.clip(rows[0] - height - 2, 0, max(0, image.shape[0] - height - 1)))
    for other in sorted(taken, key=lambda box: box[1]):
        if left < other[2] and left + width > other[0] and top < other[3] and top + height > other[1]:
            top = other[3] + 1
    draw_text(image, text, left, top, rgb)
    return left, top, left + width, top + height


def _extent(meshes: PackedMeshes, mesh_index: int) -> tuple[np.ndarray, float]:
    start, stop = meshes.vertex_start[mesh_index : mesh_index + 2].tolist()
    vertices_m = meshes.vertices_m[start:stop].cpu().numpy().astype(np.float64)
    low_m, high_m = vertices_m.min(axis=0), vertices_m.max(axis=0)
    return (low_m + high_m) / 2, float(np.linalg.norm(high_m - low_m) / 2)
