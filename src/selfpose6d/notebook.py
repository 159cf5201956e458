"""Images and poses as HTML, for notebooks: pictures and a small table. No script, nothing beside the text."""

import base64
import html
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from selfpose6d.image_files import to_jpeg

MAX_WIDTH_PX = 480
"""Of a picture: two of them fit beside each other."""
MASK_WEIGHT = 0.45
"""Of a mask's colour in its pixels."""
GOLDEN_ANGLE_DEG = 137.5
"""From one mask's hue to the next: neighbours in the list differ well, however many there are."""
MM_PER_M = 1000


def image_html(
    title: str,
    rgb: UInt8[np.ndarray, "height width 3"],
    depth_m: Float[np.ndarray, "height width"],
    K: Float[np.ndarray, "3 3"],
    masks: Sequence[tuple[str, Bool[np.ndarray, "height width"]]],
) -> str:
    """The photo with the masks and their labels, and the depth, near red to far blue, unknown black."""
    known = depth_m[depth_m > 0]
    extent = f"{known.min():.2f} to {known.max():.2f} m" if known.size else "none known"
    unknown = 1 - known.size / depth_m.size
    height, width = depth_m.shape
    caption = (
        f"{title}, {width}x{height} pixels; {len(masks)} masks; depth {extent}, {100 * unknown:.0f} % unknown; "
        f"K: fx {K[0, 0]:.1f}, fy {K[1, 1]:.1f}, cx {K[0, 2]:.1f}, cy {K[1, 2]:.1f}"
    )
    pictures = _picture(_with_masks(rgb, masks), "photo with masks") + _picture(
        _depth_colours(depth_m), "depth"
    )
    return f"<figure>{pictures}<figcaption>{html.escape(caption)}</figcaption></figure>"


def pose_html(said: Mapping[str, str], T_cam_obj: Float[np.ndarray, "4 4"] | None) -> str:
    """A row for each thing that is said, empty ones left out, and where the object is, if that is known."""
    rows = dict(said)
    if T_cam_obj is not None:
        x, y, z = MM_PER_M * T_cam_obj[:3, 3]
        rows["position"] = f"{x:.1f}, {y:.1f}, {z:.1f} mm (camera: right, down, forward)"
        rows["rotation"] = _rotation_text(T_cam_obj[:3, :3])
    cells = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left;white-space:pre-wrap'>{html.escape(text)}</td></tr>"
        for name, text in rows.items()
        if text
    )
    return f"<table>{cells}</table>"


def _rotation_text(R: Float[np.ndarray, "3 3"]) -> str:
    """The matrix by row, and its axis and angle."""
    rotvec = cv2.Rodrigues(np.asarray(R, np.float64))[0].ravel()
    angle_rad = float(np.linalg.norm(rotvec))
    axis = rotvec / angle_rad if angle_rad > 1e-9 else np.array([0.0, 0.0, 1.0])
    rows = "\n".join(" ".join(f"{value:6.3f}" for value in row) for row in R)
    return f"{rows}\n{np.rad2deg(angle_rad):.1f}° about ({axis[0]:.2f}, {axis[1]:.2f}, {axis[2]:.2f})"


def _with_masks(
    rgb: UInt8[np.ndarray, "height width 3"], masks: Sequence[tuple[str, Bool[np.ndarray, "height width"]]]
) -> UInt8[np.ndarray, "height width 3"]:
    image = rgb.copy()
    for index, (_, mask) in enumerate(masks):
        image[mask] = ((1 - MASK_WEIGHT) * image[mask] + MASK_WEIGHT * _hue_rgb(index)).astype(np.uint8)
    for label, mask in masks:
        if mask.any():
            rows, columns = np.nonzero(mask)
            at = (int(np.median(columns)), int(np.median(rows)))
            for colour, width_px in (((0, 0, 0), 4), ((255, 255, 255), 1)):
                cv2.putText(image, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, colour, width_px, cv2.LINE_AA)
    return image


def _hue_rgb(index: int) -> Float[np.ndarray, "3"]:
    hue = round(index * GOLDEN_ANGLE_DEG % 360 / 2)  # OpenCV's hue is in steps of two degrees
    pixel = np.array([[[hue, 220, 255]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)


def _depth_colours(depth_m: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    known = depth_m > 0
    if not known.any():
        return np.zeros((*depth_m.shape, 3), np.uint8)
    near_m, far_m = np.percentile(depth_m[known], (1, 99))
    nearness = np.clip((far_m - depth_m) / max(far_m - near_m, 1e-6), 0, 1)
    bgr = cv2.applyColorMap(np.rint(255 * nearness).astype(np.uint8), cv2.COLORMAP_TURBO)
    return np.where(known[..., None], bgr[..., ::-1], 0).astype(np.uint8)


def _picture(rgb: UInt8[np.ndarray, "height width 3"], name: str) -> str:
    height, width = rgb.shape[:2]
    if width > MAX_WIDTH_PX:
        size = (MAX_WIDTH_PX, max(1, round(height * MAX_WIDTH_PX / width)))
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
    data = base64.b64encode(to_jpeg(rgb)).decode()
    return f"<img alt='{name}' style='display:inline' src='data:image/jpeg;base64,{data}'/>"
